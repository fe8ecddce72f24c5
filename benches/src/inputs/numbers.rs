//! Random numbers that are a pure function of seed, stream, index and position.

/// The numbers behind all inputs of one seed.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    seed: u64,
}

impl Numbers {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Number `k` of record `i` of a stream: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) over a counter.
    pub fn at(self, stream: u64, i: u64, k: u64) -> u64 {
        let mut z = self
            .seed
            .wrapping_mul(0xD134_2543_DE82_EF95)
            .wrapping_add(stream.wrapping_mul(0xA076_1D64_78BD_642F))
            .wrapping_add((i.wrapping_mul(8).wrapping_add(k + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..n`.
    pub fn below(self, stream: u64, i: u64, k: u64, n: u64) -> u64 {
        (self.at(stream, i, k) >> 1) % n
    }

    /// A number in `0.0..1.0` with 53 random bits.
    pub fn unit(self, stream: u64, i: u64, k: u64) -> f64 {
        (self.at(stream, i, k) >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}
