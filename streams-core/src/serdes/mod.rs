//! Serdes: how keys and values become bytes and come back.

mod json;
mod json_view;
mod nullable;
mod primitives;

pub use json::{AsJson, Json};
pub use json_view::JsonView;
pub use nullable::Nullable;
pub use primitives::{BigEndian, ByteArray, RawBytes, Utf8, UuidText, Void};

use std::sync::Arc;

use thiserror::Error;

/// Turns one type into bytes and back; shared by all tasks, so it holds no state of a single record.
///
/// One serde object should serve one type: then the type is inferred from the serde.
pub trait Serde<T>: Send + Sync + 'static {
    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    /// [`SerdeError`] when the value has no encoding.
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError>;

    /// Reads a value from all of `bytes`.
    ///
    /// # Errors
    /// [`SerdeError`] when the bytes are not an encoding of `T`.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError>;

    /// Whether `value` stands for Kafka's null; such a value is written as no bytes at all.
    fn is_null(&self, _value: &T) -> bool {
        false
    }

    /// The value that stands for Kafka's null.
    ///
    /// # Errors
    /// [`SerdeError::UnexpectedNull`] when the type has no room for it.
    fn null(&self) -> Result<T, SerdeError> {
        Err(SerdeError::UnexpectedNull { type_name: std::any::type_name::<T>() })
    }

    /// How many bytes at a key's end do not count when its partition is chosen: the window of a windowed key, so that
    /// all windows of a key share its partition (Kafka's `WindowedStreamPartitioner`).
    fn partition_suffix(&self) -> usize {
        0
    }

    /// The value as JSON, for people and programs that browse state; none where the format has no such form, and its
    /// bytes are shown instead.
    fn to_json(&self, _value: &T) -> Option<serde_json::Value> {
        None
    }

    /// The value that JSON of [`Serde::to_json`] stands for, or why it is none; none where the format has no such form.
    #[allow(clippy::wrong_self_convention)]
    fn from_json(&self, _json: &serde_json::Value) -> Option<Result<T, SerdeError>> {
        None
    }
}

impl<T: 'static> Serde<T> for Arc<dyn Serde<T>> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        (**self).serialize(value, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        (**self).deserialize(bytes)
    }

    fn is_null(&self, value: &T) -> bool {
        (**self).is_null(value)
    }

    fn null(&self) -> Result<T, SerdeError> {
        (**self).null()
    }

    fn partition_suffix(&self) -> usize {
        (**self).partition_suffix()
    }

    fn to_json(&self, value: &T) -> Option<serde_json::Value> {
        (**self).to_json(value)
    }

    fn from_json(&self, json: &serde_json::Value) -> Option<Result<T, SerdeError>> {
        (**self).from_json(json)
    }
}

/// The serde that a type has unless another is named: standard types have Kafka's own encodings, your own types
/// get one by `#[derive(DefaultSerde)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default serde, so its bytes on a topic or in a store are not known",
    label = "no default serde for `{Self}`",
    note = "for your own type: `#[derive(serde::Serialize, serde::Deserialize, DefaultSerde)]` writes it as JSON",
    note = "or name a serde here: every such method has a `_with` variant, e.g. `stream_with(topic, Consumed::with(Utf8, Json))`",
    note = "for a type of another crate that derives serde's traits: wrap it, `AsJson<{Self}>`",
    note = "`usize` and `isize` have none on purpose, for their size differs between machines: use `u64` or `i64`"
)]
pub trait DefaultSerde: Sized {
    /// The serde itself; it has no settings.
    type Serde: Serde<Self> + Default;
}

/// Why a value could not be written or bytes could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// A null was met where the type has no room for it.
    #[error("a null was met, but `{type_name}` has no room for it: read the topic as `Option<{type_name}>`")]
    UnexpectedNull {
        /// The type that was to be read.
        type_name: &'static str,
    },
    /// The bytes have another length than the type's encoding.
    #[error("{actual} bytes were met where `{type_name}` has {expected}")]
    WrongLength {
        /// The type that was to be read.
        type_name: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// The length met.
        actual: usize,
    },
    /// The bytes are no encoding of the type, or the value has none.
    #[error("`{type_name}`: {source}")]
    Invalid {
        /// The type that was to be read or written.
        type_name: &'static str,
        /// What the format's own code says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SerdeError {
    /// Wraps the error of a format's own code.
    pub fn invalid<T>(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        SerdeError::Invalid { type_name: std::any::type_name::<T>(), source: source.into() }
    }
}

/// Writes a value that may be null: appends its bytes and says whether there are any.
///
/// # Errors
/// Those of [`Serde::serialize`].
pub fn serialize_nullable<T>(
    serde: &(impl Serde<T> + ?Sized),
    value: &T,
    out: &mut Vec<u8>,
) -> Result<bool, SerdeError> {
    if serde.is_null(value) {
        return Ok(false);
    }
    serde.serialize(value, out)?;
    Ok(true)
}

/// Reads a value that may be null.
///
/// # Errors
/// Those of [`Serde::deserialize`] and [`Serde::null`].
pub fn deserialize_nullable<T>(
    serde: &(impl Serde<T> + ?Sized),
    bytes: Option<&[u8]>,
) -> Result<T, SerdeError> {
    match bytes {
        Some(bytes) => serde.deserialize(bytes),
        None => serde.null(),
    }
}
