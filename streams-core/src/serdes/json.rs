//! JSON by `serde_json`, for any type that derives serde's traits.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json_view::{parsed, shown};
use super::{DefaultSerde, Serde, SerdeError};

/// Compact UTF-8 JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned + 'static> Serde<T> for Json {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        serde_json::to_writer(out, value).map_err(SerdeError::invalid::<T>)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        serde_json::from_slice(bytes).map_err(SerdeError::invalid::<T>)
    }

    fn to_json(&self, value: &T) -> Option<Value> {
        shown(value)
    }

    fn from_json(&self, json: &Value) -> Option<Result<T, SerdeError>> {
        parsed(json)
    }
}

/// A type of another crate, read and written as JSON.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct AsJson<T>(pub T);

impl<T: Serialize + DeserializeOwned + 'static> DefaultSerde for AsJson<T> {
    type Serde = Json;
}

impl DefaultSerde for serde_json::Value {
    type Serde = Json;
}

impl<T> Deref for AsJson<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for AsJson<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
