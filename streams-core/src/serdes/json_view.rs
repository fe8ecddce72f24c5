//! Bytes shown as JSON, whatever their type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use super::{Serde, SerdeError};

/// Shows bytes of one type as JSON and reads such JSON back, for those who do not know the type: browsers of state.
#[derive(Clone)]
pub struct JsonView(Arc<dyn View>);

impl JsonView {
    /// A view by the type's serde: see [`Serde::to_json`].
    pub fn of<T: 'static>(serde: Arc<dyn Serde<T>>) -> Self {
        JsonView(Arc::new(Typed { serde, value: PhantomData }))
    }

    /// The JSON of some bytes; none where the serde has no such form, or the bytes are not its.
    pub fn show(&self, bytes: &[u8]) -> Option<Value> {
        self.0.show(bytes)
    }

    /// The bytes of what some JSON stands for; none where the serde has no such form.
    ///
    /// # Errors
    /// When the JSON does not fit the type.
    pub fn read(&self, json: &Value) -> Option<Result<Vec<u8>, SerdeError>> {
        self.0.read(json)
    }
}

impl fmt::Debug for JsonView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonView")
    }
}

trait View: Send + Sync {
    fn show(&self, bytes: &[u8]) -> Option<Value>;
    fn read(&self, json: &Value) -> Option<Result<Vec<u8>, SerdeError>>;
}

struct Typed<T> {
    serde: Arc<dyn Serde<T>>,
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> View for Typed<T> {
    fn show(&self, bytes: &[u8]) -> Option<Value> {
        self.serde.to_json(&self.serde.deserialize(bytes).ok()?)
    }

    fn read(&self, json: &Value) -> Option<Result<Vec<u8>, SerdeError>> {
        let write = |value| {
            let mut bytes = Vec::new();
            self.serde.serialize(&value, &mut bytes).map(|()| bytes)
        };
        Some(self.serde.from_json(json)?.and_then(write))
    }
}

/// The forms of a type that derives serde's traits: what [`Serde::to_json`] and [`Serde::from_json`] of most serdes
/// answer.
pub(super) fn shown<T: serde::Serialize>(value: &T) -> Option<Value> {
    serde_json::to_value(value).ok()
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(json: &Value) -> Option<Result<T, SerdeError>> {
    Some(serde_json::from_value(json.clone()).map_err(SerdeError::invalid::<T>))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{BigEndian, ByteArray, Json, Nullable, Utf8, UuidText};
    use super::*;

    fn round_trip<T: 'static>(serde: impl Serde<T>, bytes: &[u8], json: Value) {
        let view = JsonView::of(Arc::new(serde) as Arc<dyn Serde<T>>);
        assert_eq!(view.show(bytes), Some(json.clone()));
        assert_eq!(view.read(&json).unwrap().unwrap(), bytes);
    }

    #[test]
    fn what_a_serde_writes_has_a_form_in_json() {
        round_trip::<String>(Utf8, b"tea", json!("tea"));
        round_trip::<i64>(BigEndian, &7i64.to_be_bytes(), json!(7));
        round_trip::<bool>(BigEndian, &[1], json!(true));
        round_trip::<Vec<i32>>(Json, b"[1,2]", json!([1, 2]));
        round_trip::<Option<String>>(Nullable(Utf8), b"tea", json!("tea"));
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        round_trip::<uuid::Uuid>(UuidText, id.as_bytes(), json!(id));
        let wrong = JsonView::of(Arc::new(BigEndian) as Arc<dyn Serde<i64>>);
        assert!(wrong.read(&json!("seven")).unwrap().is_err());
        assert_eq!(wrong.show(b"short"), None);
        let bytes = JsonView::of(Arc::new(ByteArray) as Arc<dyn Serde<Vec<u8>>>);
        assert!(bytes.show(b"any").is_none() && bytes.read(&json!("any")).is_none());
    }
}
