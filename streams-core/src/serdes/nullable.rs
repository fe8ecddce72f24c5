//! Types that have room for Kafka's null.

use super::{DefaultSerde, Serde, SerdeError};

/// Reads and writes `Option<T>` with the serde of `T`: `None` is Kafka's null.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nullable<S>(pub S);

impl<T, S: Serde<T>> Serde<Option<T>> for Nullable<S> {
    fn serialize(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match value {
            Some(value) => self.0.serialize(value, out),
            None => Err(SerdeError::UnexpectedNull { type_name: std::any::type_name::<T>() }),
        }
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Option<T>, SerdeError> {
        self.0.deserialize(bytes).map(Some)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        // A serde may have a null of its own: an `Option<Option<_>>` is null in two ways.
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }

    fn null(&self) -> Result<Option<T>, SerdeError> {
        Ok(None)
    }

    fn partition_suffix(&self) -> usize {
        self.0.partition_suffix()
    }

    fn to_json(&self, value: &Option<T>) -> Option<serde_json::Value> {
        match value {
            Some(value) => self.0.to_json(value),
            None => Some(serde_json::Value::Null),
        }
    }

    fn from_json(&self, json: &serde_json::Value) -> Option<Result<Option<T>, SerdeError>> {
        if json.is_null() {
            return Some(Ok(None));
        }
        Some(self.0.from_json(json)?.map(Some))
    }
}

impl<T: DefaultSerde> DefaultSerde for Option<T> {
    type Serde = Nullable<T::Serde>;
}
