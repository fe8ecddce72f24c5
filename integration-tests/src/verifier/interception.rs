//! Keeps clients behind the proxy: addresses of the broker in its answers are made the proxy's.

/// Replaces one text by another of the same length in a stream of bytes, however it is cut into pieces.
#[derive(Debug)]
pub(super) struct Interception {
    from: Vec<u8>,
    to: Vec<u8>,
    /// The end of the last piece, where it may be the beginning of `from`.
    held: Vec<u8>,
}

impl Interception {
    /// In Kafka's protocol a host is followed by its port as four bytes, in every version of every answer.
    pub(super) fn new(host: &str, from_port: u16, to_port: u16) -> Self {
        let address = |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
        Interception { from: address(from_port), to: address(to_port), held: Vec::new() }
    }

    /// What may be passed on of what came so far.
    pub(super) fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(self.from.len()).position(|window| window == self.from) {
            bytes[at + found..at + found + self.to.len()].copy_from_slice(&self.to);
            at += found + self.to.len();
        }
        let longest = (self.from.len() - 1).min(bytes.len() - at);
        let begun = (1..=longest).rev().find(|length| bytes.ends_with(&self.from[..*length]));
        self.held = bytes.split_off(bytes.len() - begun.unwrap_or(0));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_replaced_wherever_the_stream_is_cut() {
        let address = |port: u32| [&b"127.0.0.1"[..], &port.to_be_bytes()].concat();
        let stream = [&b"one"[..], &address(9092), b"127.0.0.", &address(9092), b"end"].concat();
        let expected = [&b"one"[..], &address(9999), b"127.0.0.", &address(9999), b"end"].concat();
        for size in 1..stream.len() {
            let mut interception = Interception::new("127.0.0.1", 9092, 9999);
            let passed: Vec<u8> = stream.chunks(size).flat_map(|piece| interception.pass(piece)).collect();
            assert_eq!(passed, expected, "in pieces of {size}");
        }
    }
}
