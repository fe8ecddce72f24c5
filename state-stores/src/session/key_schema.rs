//! The key of a session store: the key's bytes, the session's end and its start in ms (Kafka's `SessionKeySchema`),
//! all big-endian.

use crate::windowed::Window;

/// Length of what follows the key.
pub(crate) const SUFFIX_LEN: usize = 16;

/// Appends a session's end and start to a key's bytes.
pub(crate) fn append_suffix(out: &mut Vec<u8>, end_ms: i64, start_ms: i64) {
    out.extend_from_slice(&end_ms.to_be_bytes());
    out.extend_from_slice(&start_ms.to_be_bytes());
}

/// The key's bytes and the session; none where the bytes are too short to be such a key.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], Window)> {
    let (key, suffix) = bytes.split_at_checked(bytes.len().checked_sub(SUFFIX_LEN)?)?;
    let (end, start) = suffix.split_at(SUFFIX_LEN / 2);
    let millis = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
    Some((key, Window::new(millis(start)?, millis(end)?)))
}

/// The session's end: sessions grow old by it.
pub(crate) fn end_of(bytes: &[u8]) -> Option<i64> {
    split(bytes).map(|(_, session)| session.end.as_millis())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that Kafka Streams 4.3.1 writes.
    #[test]
    fn keys_are_laid_out_as_in_kafka() {
        let mut bytes = b"a".to_vec();
        append_suffix(&mut bytes, 10_000, 0);
        assert_eq!(bytes, [0x61, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(split(&bytes), Some((&b"a"[..], Window::new(0, 10_000))));
        assert_eq!(split(&bytes[2..]), None);
    }

    proptest! {
        #[test]
        fn order_of_bytes_is_order_of_end_and_start(a in (0i64.., 0i64..), b in (0i64.., 0i64..)) {
            let bytes = |(end, start)| {
                let mut bytes = b"key".to_vec();
                append_suffix(&mut bytes, end, start);
                bytes
            };
            prop_assert_eq!(bytes(a).cmp(&bytes(b)), a.cmp(&b));
        }
    }
}
