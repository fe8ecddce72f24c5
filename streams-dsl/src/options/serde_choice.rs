//! Which serde an operator takes: the one named here, the one that came with the stream, or the type's own.

use std::fmt;
use std::sync::Arc;

use streams_core::serdes::{DefaultSerde, Serde};

/// A serde as handles carry it along.
pub(crate) type SharedSerde<T> = Arc<dyn Serde<T>>;

/// The serde that a type has by itself.
pub(crate) fn default_serde<T: DefaultSerde + 'static>() -> SharedSerde<T> {
    Arc::new(T::Serde::default())
}

/// A serde that was named, or the type's own, which gives way to one that came with the stream.
pub(crate) enum SerdeChoice<T> {
    Named(SharedSerde<T>),
    Default(SharedSerde<T>),
}

impl<T: 'static> SerdeChoice<T> {
    pub(crate) fn named(serde: impl Serde<T>) -> Self {
        SerdeChoice::Named(Arc::new(serde))
    }

    pub(crate) fn of_type() -> Self
    where
        T: DefaultSerde,
    {
        SerdeChoice::Default(default_serde::<T>())
    }

    /// The serde to take where `carried` came with the stream.
    pub(crate) fn or_carried(&self, carried: Option<&SharedSerde<T>>) -> SharedSerde<T> {
        match (self, carried) {
            (SerdeChoice::Default(_), Some(carried)) => Arc::clone(carried),
            (SerdeChoice::Default(own) | SerdeChoice::Named(own), _) => Arc::clone(own),
        }
    }
}

impl<T> Clone for SerdeChoice<T> {
    fn clone(&self) -> Self {
        match self {
            SerdeChoice::Named(serde) => SerdeChoice::Named(Arc::clone(serde)),
            SerdeChoice::Default(serde) => SerdeChoice::Default(Arc::clone(serde)),
        }
    }
}

impl<T> fmt::Debug for SerdeChoice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SerdeChoice::Named(_) => "Named",
            SerdeChoice::Default(_) => "Default",
        })
    }
}
