//! The hash by which an answer is known to be about the present row.

/// 128 bits of a row's bytes, as they travel.
pub(super) type RowHash = [u8; 16];

const SEED: u64 = 104_729;
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// MurmurHash3, x64, 128 bits, with the seed of Kafka Streams (`Murmur3.hash128`).
pub(super) fn hash_row(bytes: &[u8]) -> RowHash {
    let (mut h1, mut h2) = (SEED, SEED);
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        let (k1, k2) = words(block);
        h1 = (h1 ^ mix_first(k1)).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mix_second(k2)).rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // A missing byte is a zero, and a zero changes nothing.
    let (k1, k2) = words(blocks.remainder());
    h2 ^= mix_second(k2) ^ bytes.len() as u64;
    h1 ^= mix_first(k1) ^ bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (finish(h1), finish(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&h1.to_be_bytes());
    hash[8..].copy_from_slice(&h2.to_be_bytes());
    hash
}

/// Up to 16 bytes as two little-endian words.
fn words(bytes: &[u8]) -> (u64, u64) {
    let mut whole = [0; 16];
    whole[..bytes.len()].copy_from_slice(bytes);
    let whole = u128::from_le_bytes(whole);
    (whole as u64, (whole >> 64) as u64)
}

fn mix_first(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_second(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka Streams 4.3.1 answers.
    #[test]
    fn hashes_are_those_of_kafka_streams() {
        for (text, hash) in [
            ("", 0x9d27_64a0_18e3_2942_8c3c_f3b0_3593_8518_u128),
            ("v1", 0x8d77_3876_e277_e53e_b9cb_237a_096f_3bea),
            ("r1:3", 0x2b78_8f27_5d54_c27d_8cce_f75f_fbfd_ca09),
            ("a-little-bit-longer-string-than-sixteen-bytes", 0x112e_125b_2153_7289_f195_c765_7596_0981),
        ] {
            assert_eq!(hash_row(text.as_bytes()), hash.to_be_bytes(), "{text}");
        }
    }
}
