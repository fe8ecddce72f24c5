//! How many bytes a record takes on its way.

use crate::record::Headers;

/// A batch's header with its first offset and its length.
const BATCH_HEADER_BYTES: usize = 61;
/// Attributes, and the differences to the batch's time and offset, which are 0 for a record alone.
const RECORD_FIELDS_BYTES: usize = 3;

/// Bytes of a batch that holds this record alone, uncompressed: what a topic's `max.message.bytes` bounds.
pub(crate) fn batch_bytes(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
    let field = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => varint_bytes(bytes.len() as i64) + bytes.len(),
        None => varint_bytes(-1),
    };
    let header = |name: &str, value: Option<&[u8]>| field(Some(name.as_bytes())) + field(value);
    let headers_bytes: usize = headers.iter().map(|it| header(&it.name, it.value.as_deref())).sum::<usize>()
        + varint_bytes(headers.len() as i64);
    let record = RECORD_FIELDS_BYTES + field(key) + field(value) + headers_bytes;
    BATCH_HEADER_BYTES + varint_bytes(record as i64) + record
}

/// The length of a number in zigzag encoding, seven bits to the byte.
fn varint_bytes(number: i64) -> usize {
    let zigzag = ((number << 1) ^ (number >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_kafkas_format() {
        assert_eq!([0, -1, 63, 64, 8_191, 8_192].map(varint_bytes), [1, 1, 1, 2, 2, 3]);
        // 61 + length 1 + fields 3 + key 1 + 1, value 1 + 3, number of headers 1.
        assert_eq!(batch_bytes(Some(b"k"), Some(b"abc"), &Headers::new()), 72);
        assert_eq!(batch_bytes(None, None, &Headers::new()), 61 + 1 + 3 + 1 + 1 + 1);
        let mut headers = Headers::new();
        headers.add("h", None);
        assert_eq!(batch_bytes(None, None, &headers), 61 + 1 + 3 + 1 + 1 + 1 + 3);
    }
}
