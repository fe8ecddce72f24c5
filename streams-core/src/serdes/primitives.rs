//! The encodings of Kafka's own serdes: UTF-8 text, big-endian numbers, bytes, UUIDs, nothing.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::json_view::{parsed, shown};
use super::{DefaultSerde, Serde, SerdeError};

/// UTF-8 text, as Kafka's `StringSerde`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8;

impl Serde<String> for Utf8 {
    fn serialize(&self, value: &String, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(SerdeError::invalid::<String>(error)),
        }
    }

    fn to_json(&self, value: &String) -> Option<Value> {
        shown(value)
    }

    fn from_json(&self, json: &Value) -> Option<Result<String, SerdeError>> {
        parsed(json)
    }
}

impl DefaultSerde for String {
    type Serde = Utf8;
}

/// Big-endian numbers, as Kafka's `ShortSerde`, `IntegerSerde`, `LongSerde`, `FloatSerde` and `DoubleSerde`;
/// unsigned numbers are written alike; a `bool` is one byte, as in `BooleanSerde`.
#[derive(Debug, Clone, Copy, Default)]
pub struct BigEndian;

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl Serde<$number> for BigEndian {
            fn serialize(&self, value: &$number, out: &mut Vec<u8>) -> Result<(), SerdeError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }

            fn deserialize(&self, bytes: &[u8]) -> Result<$number, SerdeError> {
                bytes.try_into().map(<$number>::from_be_bytes).map_err(|_| SerdeError::WrongLength {
                    type_name: stringify!($number),
                    expected: size_of::<$number>(),
                    actual: bytes.len(),
                })
            }

            fn to_json(&self, value: &$number) -> Option<Value> {
                shown(value)
            }

            fn from_json(&self, json: &Value) -> Option<Result<$number, SerdeError>> {
                parsed(json)
            }
        }

        impl DefaultSerde for $number {
            type Serde = BigEndian;
        }
    )*};
}

big_endian!(i8, u8, i16, u16, i32, u32, i64, u64, i128, u128, f32, f64);

impl Serde<bool> for BigEndian {
    fn serialize(&self, value: &bool, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<bool, SerdeError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(SerdeError::invalid::<bool>(format!("byte {other} is neither 0 nor 1"))),
            _ => Err(SerdeError::WrongLength { type_name: "bool", expected: 1, actual: bytes.len() }),
        }
    }

    fn to_json(&self, value: &bool) -> Option<Value> {
        shown(value)
    }

    fn from_json(&self, json: &Value) -> Option<Result<bool, SerdeError>> {
        parsed(json)
    }
}

impl DefaultSerde for bool {
    type Serde = BigEndian;
}

/// Bytes as they are, in a `Vec<u8>`, as Kafka's `ByteArraySerde`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByteArray;

impl Serde<Vec<u8>> for ByteArray {
    fn serialize(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }
}

impl DefaultSerde for Vec<u8> {
    type Serde = ByteArray;
}

/// Bytes as they are, cheap to clone, as Kafka's `BytesSerde`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawBytes;

impl Serde<Bytes> for RawBytes {
    fn serialize(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Bytes, SerdeError> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

impl DefaultSerde for Bytes {
    type Serde = RawBytes;
}

/// A UUID as its hyphenated text, as Kafka's `UUIDSerde`.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidText;

impl Serde<Uuid> for UuidText {
    fn serialize(&self, value: &Uuid, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let mut buffer = Uuid::encode_buffer();
        out.extend_from_slice(value.as_hyphenated().encode_lower(&mut buffer).as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Uuid, SerdeError> {
        Uuid::try_parse_ascii(bytes).map_err(SerdeError::invalid::<Uuid>)
    }

    fn to_json(&self, value: &Uuid) -> Option<Value> {
        Some(value.to_string().into())
    }

    fn from_json(&self, json: &Value) -> Option<Result<Uuid, SerdeError>> {
        let text = json.as_str().unwrap_or_default();
        Some(Uuid::try_parse(text).map_err(SerdeError::invalid::<Uuid>))
    }
}

impl DefaultSerde for Uuid {
    type Serde = UuidText;
}

/// No bytes at all, always null, as Kafka's `VoidSerde`: for topics whose keys do not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Void;

impl Serde<()> for Void {
    fn serialize(&self, (): &(), _out: &mut Vec<u8>) -> Result<(), SerdeError> {
        Ok(())
    }

    fn deserialize(&self, _bytes: &[u8]) -> Result<(), SerdeError> {
        Ok(())
    }

    fn is_null(&self, (): &()) -> bool {
        true
    }

    fn null(&self) -> Result<(), SerdeError> {
        Ok(())
    }
}

impl DefaultSerde for () {
    type Serde = Void;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_kafka_writes_them() {
        let mut out = Vec::new();
        BigEndian.serialize(&258i64, &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(Serde::<i64>::deserialize(&BigEndian, &out).unwrap(), 258);
        let error = Serde::<i64>::deserialize(&BigEndian, &[1, 2]).unwrap_err();
        assert_eq!(error.to_string(), "2 bytes were met where `i64` has 8");
    }

    #[test]
    fn a_null_names_the_remedy() {
        let error = Serde::<String>::null(&Utf8).unwrap_err();
        assert!(error.to_string().contains("read the topic as `Option<"), "{error}");
    }
}
