//! The key of a window store: the key's bytes, the window's start in ms, a sequence number (Kafka's
//! `WindowKeySchema`), all big-endian.

/// Length of what follows the key.
pub(crate) const SUFFIX_LEN: usize = 12;

/// Length of what follows the key in a session's key.
const LONGEST_SUFFIX_LEN: usize = 16;

/// Appends start and sequence number to a key's bytes.
pub(crate) fn append_suffix(out: &mut Vec<u8>, start_ms: i64, sequence: i32) {
    out.extend_from_slice(&start_ms.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
}

/// The key's bytes and the window's start; none where the bytes are too short to be such a key.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], i64)> {
    let (key, suffix) = bytes.split_at_checked(bytes.len().checked_sub(SUFFIX_LEN)?)?;
    Some((key, i64::from_be_bytes(*suffix.first_chunk()?)))
}

/// The window's start.
pub(crate) fn start_of(bytes: &[u8]) -> Option<i64> {
    split(bytes).map(|(_, start)| start)
}

/// The sequence number; 0 where the bytes are too short to be such a key.
pub(crate) fn sequence_of(bytes: &[u8]) -> i32 {
    bytes.last_chunk().map_or(0, |sequence| i32::from_be_bytes(*sequence))
}

/// A bound at or behind all window and session keys whose key is at most `key`: a shorter key, followed by its time,
/// may lie behind a longer one, so the bound steps back to the first place where a time's byte could be the larger one.
pub(crate) fn upper_bound(key: &[u8], latest_ms: i64) -> Vec<u8> {
    let first_time_byte = latest_ms.max(0).to_be_bytes()[0];
    let kept = key.iter().position(|&byte| byte <= first_time_byte).unwrap_or(key.len());
    let mut bound = key[..kept].to_vec();
    bound.push(first_time_byte);
    bound.resize(key.len() + LONGEST_SUFFIX_LEN + 1, u8::MAX);
    bound
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window_key(key: &[u8], start: i64, sequence: i32) -> Vec<u8> {
        let mut bytes = key.to_vec();
        append_suffix(&mut bytes, start, sequence);
        bytes
    }

    /// The bytes that Kafka Streams 4.3.1 writes.
    #[test]
    fn keys_are_laid_out_as_in_kafka() {
        assert_eq!(window_key(b"a", 0, 7), [0x61, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let expected = [0x67, 0x72, 0xc3, 0xbc, 0x6e, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0, 0, 0, 0, 0];
        assert_eq!(window_key("grün".as_bytes(), 1_700_000_000_000, 0), expected);
        assert_eq!(split(&expected), Some(("grün".as_bytes(), 1_700_000_000_000)));
        assert_eq!(split(&[0; 11]), None);
    }

    proptest! {
        #[test]
        fn order_of_bytes_is_order_of_time(key: Vec<u8>, a in 0i64.., b in 0i64.., n in 0i32.., m in 0i32..) {
            prop_assert_eq!(window_key(&key, a, n).cmp(&window_key(&key, b, m)), (a, n).cmp(&(b, m)));
        }

        #[test]
        fn the_upper_bound_leaves_no_smaller_key_out(
            key in prop::collection::vec(0u8..4, 0..5),
            other in prop::collection::vec(0u8..4, 0..5),
            latest in 0i64..,
            before in 0i64..,
        ) {
            let start = before.min(latest);
            if other <= key {
                prop_assert!(window_key(&other, start, i32::MAX) <= upper_bound(&key, latest));
            }
        }
    }
}
