//! The one write of a commit.

use std::ops::Range;

/// A keyspace of a task's database: a RocksDB column family, or a map in memory. Numbers are given by the database
/// and hold while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyspaceId(pub u32);

/// Room that a batch keeps for the next one. All tasks have batches, and few are large at the same time.
const KEPT_BYTES: usize = 256 << 10;
const KEPT_WRITES: usize = 4 << 10;

/// Writes that become durable together or not at all.
#[derive(Debug, Default)]
pub struct WriteBatch {
    bytes: Vec<u8>,
    ops: Vec<(KeyspaceId, Range<usize>, Option<Range<usize>>)>,
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
        let key = self.append(key);
        let value = self.append(value);
        self.ops.push((keyspace, key, Some(value)));
    }

    /// Removes a key.
    pub fn delete(&mut self, keyspace: KeyspaceId, key: &[u8]) {
        let key = self.append(key);
        self.ops.push((keyspace, key, None));
    }

    /// Appends a write.
    pub fn push(&mut self, keyspace: KeyspaceId, op: WriteOp<'_>) {
        match op {
            WriteOp::Put(key, value) => self.put(keyspace, key, value),
            WriteOp::Delete(key) => self.delete(keyspace, key),
        }
    }

    /// The writes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (KeyspaceId, WriteOp<'_>)> {
        self.ops.iter().map(|(keyspace, key, value)| {
            let key = &self.bytes[key.clone()];
            let op = match value {
                Some(value) => WriteOp::Put(key, &self.bytes[value.clone()]),
                None => WriteOp::Delete(key),
            };
            (*keyspace, op)
        })
    }

    /// How many writes it holds.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// How many bytes of keys and values it holds.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the writes and keeps a little room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.ops.clear();
        self.ops.shrink_to(KEPT_WRITES);
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
