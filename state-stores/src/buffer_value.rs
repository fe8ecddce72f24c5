//! The values of buffers in bytes: Kafka's `BufferValue` and `ProcessorRecordContext`.

use bytes::{Buf, Bytes};
use streams_core::record::{Header, RecordContext};
use streams_core::serdes::SerdeError;
use streams_core::{Headers, Timestamp};

/// Stands where a value's length is, for no value.
const NO_VALUE: i32 = -1;
/// Stands where the old value's length is, for one that equals the prior value.
const SAME_AS_PRIOR: i32 = -2;
/// Stands where offset and partition are, for a record that came from no topic.
const NOWHERE: i32 = -1;
/// What timestamp, offset and partition take of a buffer's bound on bytes.
const CONTEXT_BYTES: usize = 8 + 8 + 4;

/// Event time, headers and origin of a buffered record, as they were when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferedContext {
    /// Its event time.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
    /// The input record that it came from; none where a cache's flush or a punctuation sent it.
    pub record: Option<RecordContext>,
}

/// What a buffer holds about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BufferValue {
    pub(crate) context: BufferedContext,
    /// What was there before the key came into the buffer.
    pub(crate) prior: Option<Bytes>,
    /// What was there before the latest change.
    pub(crate) old: Option<Bytes>,
    pub(crate) new: Option<Bytes>,
}

impl BufferValue {
    /// Appends the bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.context.write(out);
        write_value(self.prior.as_ref(), out);
        match &self.old {
            Some(old) if self.prior.as_ref() == Some(old) => {
                out.extend_from_slice(&SAME_AS_PRIOR.to_be_bytes());
            }
            old => write_value(old.as_ref(), out),
        }
        write_value(self.new.as_ref(), out);
    }

    /// Reads the bytes; answers what is behind them.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<(Self, &[u8]), SerdeError> {
        let context = BufferedContext::read(&mut bytes)?;
        let prior = read_value(&mut bytes)?;
        let old = match number(&mut bytes)? {
            SAME_AS_PRIOR => prior.clone(),
            length => sized(&mut bytes, length)?,
        };
        let new = read_value(&mut bytes)?;
        Ok((BufferValue { context, prior, old, new }, bytes))
    }

    /// What it takes of a buffer's bound on bytes, counted as Kafka does.
    pub(crate) fn byte_len(&self) -> usize {
        let len = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let old = if self.old == self.prior { 0 } else { len(&self.old) };
        len(&self.prior) + old + len(&self.new) + self.context.byte_len()
    }
}

impl BufferedContext {
    fn write(&self, out: &mut Vec<u8>) {
        let (topic, partition, offset) = match &self.record {
            Some(record) => (&*record.topic, record.partition, record.offset),
            None => ("", NOWHERE, i64::from(NOWHERE)),
        };
        out.extend_from_slice(&self.timestamp.as_millis().to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
        write_sized(topic.as_bytes(), out);
        out.extend_from_slice(&partition.to_be_bytes());
        out.extend_from_slice(&(self.headers.len() as u32).to_be_bytes());
        for Header { name, value } in &self.headers {
            write_sized(name.as_bytes(), out);
            write_value(value.as_ref(), out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, SerdeError> {
        let timestamp = Timestamp::from_millis(bytes.try_get_i64().map_err(invalid)?);
        let offset = bytes.try_get_i64().map_err(invalid)?;
        let topic = read_text(bytes)?;
        let partition = number(bytes)?;
        // Old versions wrote -1 for no headers.
        let count = number(bytes)?.max(0);
        let mut headers = Headers::new();
        for _ in 0..count {
            headers.add(read_text(bytes)?, read_value(bytes)?);
        }
        let record = (partition != NOWHERE).then(|| RecordContext { topic: topic.into(), partition, offset });
        Ok(BufferedContext { timestamp, headers, record })
    }

    fn byte_len(&self) -> usize {
        let chars = |text: &str| text.encode_utf16().count();
        let topic = self.record.as_ref().map_or(0, |record| chars(&record.topic));
        let headers = self
            .headers
            .iter()
            .map(|header| chars(&header.name) + header.value.as_ref().map_or(0, Bytes::len));
        CONTEXT_BYTES + topic + headers.sum::<usize>()
    }
}

fn write_sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn write_value(value: Option<&Bytes>, out: &mut Vec<u8>) {
    match value {
        Some(value) => write_sized(value, out),
        None => out.extend_from_slice(&NO_VALUE.to_be_bytes()),
    }
}

fn number(bytes: &mut &[u8]) -> Result<i32, SerdeError> {
    bytes.try_get_i32().map_err(invalid)
}

fn read_value(bytes: &mut &[u8]) -> Result<Option<Bytes>, SerdeError> {
    let length = number(bytes)?;
    sized(bytes, length)
}

fn read_text(bytes: &mut &[u8]) -> Result<String, SerdeError> {
    let text = read_value(bytes)?.unwrap_or_default();
    String::from_utf8(text.into()).map_err(invalid)
}

fn sized(bytes: &mut &[u8], length: i32) -> Result<Option<Bytes>, SerdeError> {
    if length == NO_VALUE {
        return Ok(None);
    }
    let cut = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (value, rest) =
        cut.ok_or_else(|| invalid(format!("{length} bytes are announced, {} are left", bytes.len())))?;
    *bytes = rest;
    Ok(Some(Bytes::copy_from_slice(value)))
}

fn invalid(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SerdeError {
    SerdeError::invalid::<BufferValue>(source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..4)).prop_map(|bytes| bytes.map(Bytes::from))
    }

    fn values() -> impl Strategy<Value = BufferValue> {
        let headers = prop::collection::vec(("[a-zä]{0,3}", bytes()), 0..3);
        let record = prop::option::of(("[a-z]{0,3}", 0i32..9, any::<i64>()));
        (any::<i64>(), headers, record, bytes(), bytes(), bytes()).prop_map(
            |(timestamp, headers, record, prior, old, new)| {
                let headers = headers.into_iter().map(|(name, value)| Header { name: name.into(), value });
                let record = record.map(|(topic, partition, offset)| RecordContext {
                    topic: topic.into(),
                    partition,
                    offset,
                });
                let context = BufferedContext {
                    timestamp: Timestamp::from_millis(timestamp),
                    headers: headers.collect(),
                    record,
                };
                BufferValue { context, prior, old, new }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back_and_what_was_cut_is_an_error(value in values()) {
            let mut bytes = Vec::new();
            value.write(&mut bytes);
            let whole = bytes.len();
            bytes.extend_from_slice(b"behind");
            prop_assert_eq!(BufferValue::read(&bytes).unwrap(), (value, &b"behind"[..]));
            for end in 0..whole {
                prop_assert!(BufferValue::read(&bytes[..end]).is_err(), "cut to {} bytes", end);
            }
        }

        #[test]
        fn bytes_of_any_kind_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = BufferValue::read(&bytes);
        }
    }
}
