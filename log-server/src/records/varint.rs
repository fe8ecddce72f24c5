//! Variable-length integers: zig-zag, then little-endian groups of seven bits, as in Protocol Buffers.

use bytes::BufMut;

/// Reads a signed number of at most ten bytes from the front of `bytes`; `None` if it is cut short or too long.
pub(crate) fn read_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
        if first & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// As [`read_varlong`], for numbers that fit in 32 bits.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<i32> {
    i32::try_from(read_varlong(bytes)?).ok()
}

/// Writes a signed number.
pub(crate) fn put_varlong(out: &mut impl BufMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64) {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(read_varlong(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read_varlong(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn has_the_known_bytes() {
        for (value, expected) in [(0, &[0u8][..]), (-1, &[1]), (1, &[2]), (-64, &[127]), (64, &[128, 1])] {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            assert_eq!(bytes, expected);
        }
    }
}
