//! Bytes and their readable forms, by the names that the recorded runs give to serdes.

use bytes::Bytes;
use serde_json::{Value, json};

/// The bytes of a value in a run's file; null is no bytes.
pub(crate) fn encode(serde: &str, value: &Value) -> Option<Bytes> {
    if value.is_null() {
        return None;
    }
    if let Some(raw) = value.get("raw_hex").and_then(Value::as_str) {
        return Some(unhex(raw).into());
    }
    Some(match serde {
        "string" => value.as_str().expect("a text").as_bytes().to_vec().into(),
        "i64" => value.as_i64().expect("a whole number").to_be_bytes().to_vec().into(),
        "f64" => value.as_f64().expect("a number").to_be_bytes().to_vec().into(),
        "json" => value.to_string().into(),
        other => panic!("inputs have no serde {other}"),
    })
}

/// The readable form of bytes that the topology sent.
pub(crate) fn decode(serde: &str, bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    let unreadable = || json!({ "unreadable": hex(bytes), "as": serde });
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).ok();
    if let Some(size) = serde.strip_prefix("windowed<string,").and_then(|rest| rest.strip_suffix('>')) {
        let Some(split) = bytes.len().checked_sub(8) else { return unreadable() };
        let (Some(start), Ok(size)) = (number(&bytes[split..]), size.parse::<i64>()) else {
            return unreadable();
        };
        return json!({ "key": text(&bytes[..split]), "start": start, "end": start.saturating_add(size) });
    }
    match serde {
        "string" => text(bytes),
        "i64" => number(bytes).map_or_else(unreadable, Value::from),
        "f64" => bytes.try_into().map_or_else(|_| unreadable(), |bytes| json!(f64::from_be_bytes(bytes))),
        "json" => serde_json::from_slice(bytes).unwrap_or_else(|_| unreadable()),
        "session<string>" => {
            let Some(split) = bytes.len().checked_sub(16) else { return unreadable() };
            let (end, start) = (number(&bytes[split..split + 8]), number(&bytes[split + 8..]));
            json!({ "key": text(&bytes[..split]), "start": start, "end": end })
        }
        _ => unreadable(),
    }
}

/// Whether bytes are an encoding of a value whose serde the file does not tell (stores).
pub(crate) fn fits(value: &Value, bytes: &[u8]) -> bool {
    match value {
        Value::String(text) => text.as_bytes() == bytes,
        Value::Number(number) => {
            number.as_i64().is_some_and(|number| number.to_be_bytes() == bytes)
                || number.as_f64().is_some_and(|number| number.to_be_bytes() == bytes)
        }
        other => other.to_string().as_bytes() == bytes,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}
