//! Keys and values as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use streams_core::serdes::JsonView;

use crate::error::Refusal;
use crate::partition_read::Entry;

/// How the entries of a store look.
#[derive(Debug, Clone)]
pub(crate) struct Shown(pub(crate) Option<(JsonView, JsonView)>);

impl Shown {
    /// The bytes of a key as it stands in a path or a query: text where keys are text, else JSON, else
    /// `{"base64": "…"}`.
    pub(crate) fn key(&self, text: &str) -> Result<Vec<u8>, Refusal> {
        let json: Option<Value> = serde_json::from_str(text).ok();
        if let Some(bytes) = json.as_ref().and_then(|json| json.get("base64")).and_then(Value::as_str) {
            return STANDARD
                .decode(bytes)
                .map_err(|error| Refusal::bad_request(format!("key {text}: {error}")));
        }
        let Some((keys, _)) = &self.0 else { return Err(no_form(text)) };
        let as_text = keys.read(&Value::String(text.to_owned())).ok_or_else(|| no_form(text))?;
        match (as_text, json) {
            (Ok(bytes), _) => Ok(bytes),
            (Err(error), None) => Err(Refusal::bad_request(format!("key {text}: {error}"))),
            (Err(_), Some(json)) => match keys.read(&json) {
                Some(Ok(bytes)) => Ok(bytes),
                Some(Err(error)) => Err(Refusal::bad_request(format!("key {text}: {error}"))),
                None => Err(no_form(text)),
            },
        }
    }

    pub(crate) fn entry(&self, entry: &Entry) -> Value {
        let (keys, values) = self.0.as_ref().map(|(keys, values)| (keys, values)).unzip();
        let mut shown = json!({ "key": shown(keys, &entry.key.0), "value": shown(values, &entry.value.0) });
        if let Some((start, end)) = entry.window {
            shown["window"] = json!({ "start": start, "end": end });
        }
        if let Some(timestamp) = entry.timestamp {
            shown["timestamp"] = timestamp.into();
        }
        if let Some(valid_to) = entry.valid_to {
            shown["valid_to"] = valid_to.into();
        }
        shown
    }

    pub(crate) fn shown_key(&self, key: &[u8]) -> Value {
        shown(self.0.as_ref().map(|(keys, _)| keys), key)
    }
}

fn shown(view: Option<&JsonView>, bytes: &[u8]) -> Value {
    view.and_then(|view| view.show(bytes)).unwrap_or_else(|| json!({ "base64": STANDARD.encode(bytes) }))
}

fn no_form(text: &str) -> Refusal {
    Refusal::bad_request(format!(
        "the store's keys have no form in JSON, so {text} says nothing: give their bytes as {{\"base64\": \"…\"}}, or \
         implement `to_json` and `from_json` of their serde"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use streams_core::serdes::{BigEndian, ByteArray, Serde, Utf8};

    use super::*;

    fn of<K: 'static>(serde: impl Serde<K>) -> Shown {
        let keys = JsonView::of(Arc::new(serde) as Arc<dyn Serde<K>>);
        Shown(Some((keys.clone(), keys)))
    }

    #[test]
    fn keys_are_read_as_their_serde_has_them() {
        assert_eq!(of::<String>(Utf8).key("42").unwrap(), b"42");
        assert_eq!(of::<i64>(BigEndian).key("42").unwrap(), 42i64.to_be_bytes());
        assert!(of::<i64>(BigEndian).key("tea").unwrap_err().message.contains("key tea"));
        assert_eq!(of::<Vec<u8>>(ByteArray).key(r#"{"base64":"dGVh"}"#).unwrap(), b"tea");
        assert!(of::<Vec<u8>>(ByteArray).key("tea").unwrap_err().message.contains("base64"));
    }
}
