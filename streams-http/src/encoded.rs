//! Bytes in JSON between instances.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};
use streams_core::TopicPartition;
use streams_core::state::Position;

/// Bytes, in base64 where they are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                STANDARD.decode(text).map(Base64).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A position as a list.
pub(crate) type Offsets = Vec<(String, i32, i64)>;

pub(crate) fn offsets(position: &Position) -> Offsets {
    position.iter().map(|(at, offset)| (at.topic.to_string(), at.partition, offset)).collect()
}

pub(crate) fn position(offsets: Offsets) -> Position {
    offsets.into_iter().map(|(topic, at, offset)| (TopicPartition::new(topic, at), offset)).collect()
}

/// Anything as a word that a URL can hold.
pub(crate) fn to_token<T: Serialize>(value: &T) -> String {
    // What is written here are numbers and strings.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

pub(crate) fn from_token<T: serde::de::DeserializeOwned>(token: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_a_url() {
        let here = Position::default().with(TopicPartition::new("rides", 3), 70);
        let token = to_token(&offsets(&here));
        assert_eq!(from_token::<Offsets>(&token).map(position), Some(here));
        assert_eq!(from_token::<Offsets>("not one"), None);
        let bytes = Base64(vec![0, 255, 7]);
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<Base64>(&text).unwrap(), bytes);
    }
}
