//! The one write of a commit.

/// A keyspace of a task's database: a RocksDB column family, or a map in memory. Numbers are given by the database
/// and hold while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyspaceId(pub u32);

/// In front of each write: its keyspace, the length of its key, that of its value.
const HEADER_BYTES: usize = 12;
/// The length of a value where the write is a deletion.
const DELETION: u32 = u32::MAX;
/// What [`WriteBatch::clear`] keeps of the room.
const ROOM_BYTES: usize = 64 << 10;

/// Writes that become durable together or not at all.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// One write behind the other.
    bytes: Vec<u8>,
    len: usize,
}

/// One write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOp<'a> {
    /// Sets a key.
    Put(&'a [u8], &'a [u8]),
    /// Removes a key.
    Delete(&'a [u8]),
}

impl WriteBatch {
    /// Sets a key.
    pub fn put(&mut self, keyspace: KeyspaceId, key: &[u8], value: &[u8]) {
        self.append(keyspace, key, Some(value));
    }

    /// Removes a key.
    pub fn delete(&mut self, keyspace: KeyspaceId, key: &[u8]) {
        self.append(keyspace, key, None);
    }

    /// Appends a write.
    pub fn push(&mut self, keyspace: KeyspaceId, op: WriteOp<'_>) {
        match op {
            WriteOp::Put(key, value) => self.put(keyspace, key, value),
            WriteOp::Delete(key) => self.delete(keyspace, key),
        }
    }

    /// The writes in order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyspaceId, WriteOp<'_>)> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let [keyspace, key_len, value_len] = header(rest)?;
            let (key, behind) = rest[HEADER_BYTES..].split_at(key_len as usize);
            let op = match value_len {
                DELETION => {
                    rest = behind;
                    WriteOp::Delete(key)
                }
                value_len => {
                    let (value, behind) = behind.split_at(value_len as usize);
                    rest = behind;
                    WriteOp::Put(key, value)
                }
            };
            Some((KeyspaceId(keyspace), op))
        })
    }

    /// How many writes it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes its writes take.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for so many more bytes of keys and values in so many more writes, so that it need not grow step by step.
    pub fn reserve(&mut self, writes: usize, bytes: usize) {
        self.bytes.reserve(writes * HEADER_BYTES + bytes);
    }

    /// Forgets the writes and keeps a little room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(ROOM_BYTES);
        self.len = 0;
    }

    fn append(&mut self, keyspace: KeyspaceId, key: &[u8], value: Option<&[u8]>) {
        let value_len = value.map_or(DELETION, |value| value.len() as u32);
        for number in [keyspace.0, key.len() as u32, value_len] {
            self.bytes.extend_from_slice(&number.to_ne_bytes());
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.len += 1;
    }
}

fn header(bytes: &[u8]) -> Option<[u32; 3]> {
    let (numbers, _) = bytes.first_chunk::<HEADER_BYTES>()?.as_chunks::<4>();
    Some([0, 1, 2].map(|place| u32::from_ne_bytes(numbers[place])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_back_in_order_and_their_room_is_given_back() {
        let mut batch = WriteBatch::default();
        let large = vec![7; 4 * ROOM_BYTES];
        batch.put(KeyspaceId(3), b"k", b"");
        batch.delete(KeyspaceId(1), b"");
        batch.put(KeyspaceId(0), b"", &large);
        let ops: Vec<_> = batch.iter().collect();
        assert_eq!(
            ops,
            [
                (KeyspaceId(3), WriteOp::Put(b"k", b"")),
                (KeyspaceId(1), WriteOp::Delete(b"")),
                (KeyspaceId(0), WriteOp::Put(b"", &large)),
            ]
        );
        assert_eq!((batch.len(), batch.byte_len()), (3, 3 * HEADER_BYTES + 1 + large.len()));
        batch.clear();
        assert!(batch.is_empty() && batch.iter().next().is_none() && batch.bytes.capacity() <= ROOM_BYTES);
    }
}
