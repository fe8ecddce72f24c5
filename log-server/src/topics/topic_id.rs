//! Topic ids as Kafka writes them: URL-safe base 64 without padding.

use uuid::Uuid;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The 22 characters of an id.
pub(crate) fn encode(id: Uuid) -> String {
    // 128 bits are 21 digits of 6 bits and one of 2, which is filled up with zeros on the right.
    let bits = id.as_u128();
    (0..22u32)
        .map(|at| {
            let shift = 122i32 - 6 * at as i32;
            let digit = if shift >= 0 { bits >> shift } else { bits << -shift };
            char::from(DIGITS[(digit & 63) as usize])
        })
        .collect()
}

/// The id of 22 characters; `None` for anything else.
pub(crate) fn decode(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (at, char) in text.bytes().enumerate() {
        let digit = DIGITS.iter().position(|known| *known == char)? as u128;
        let shift = 122i32 - 6 * at as i32;
        bits |= if shift >= 0 { digit << shift } else { digit >> -shift };
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive() {
        for id in [Uuid::nil(), Uuid::max(), Uuid::new_v4(), Uuid::from_u128(1)] {
            assert_eq!(decode(&encode(id)), Some(id));
        }
        assert_eq!(encode(Uuid::nil()), "A".repeat(22));
        assert_eq!(encode(Uuid::from_u128(1)), format!("{}Q", "AAAAAAAAAAAAAAAAAAAAAA".split_at(21).0));
        assert_eq!(decode("short"), None);
    }
}
