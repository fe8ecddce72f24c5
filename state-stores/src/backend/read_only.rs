//! A database that is only read.

use std::ops::Bound;
use std::sync::Arc;

use streams_core::state::{Direction, KeyValueIter, KeyspaceId, StoreError, TaskDatabase, WriteBatch};

/// Names no keyspace of any database: there it holds nothing.
const NONE: KeyspaceId = KeyspaceId(u32::MAX);

/// Another one's database, which stays as it is whatever a store does: opening a store makes keyspaces that are not there,
/// and a view of one must not bring a segment back that its owner drops at this moment.
#[derive(Debug)]
pub(crate) struct ReadOnly(pub(crate) Arc<dyn TaskDatabase>);

impl TaskDatabase for ReadOnly {
    fn keyspace(&self, name: &str) -> Result<KeyspaceId, StoreError> {
        match self.0.keyspaces().iter().any(|known| known == name) {
            true => self.0.keyspace(name),
            false => Ok(NONE),
        }
    }

    fn keyspaces(&self) -> Vec<String> {
        self.0.keyspaces()
    }

    fn drop_keyspace(&self, _name: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn get(&self, keyspace: KeyspaceId, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        self.0.get(keyspace, key, read)
    }

    fn scan(
        &self,
        keyspace: KeyspaceId,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValueIter<'_>, StoreError> {
        self.0.scan(keyspace, range, direction)
    }

    fn write(&self, _batch: &WriteBatch) -> Result<(), StoreError> {
        Ok(())
    }

    fn approximate_len(&self, keyspace: KeyspaceId) -> u64 {
        self.0.approximate_len(keyspace)
    }
}

#[cfg(test)]
mod tests {
    use streams_core::state::StateBackend;

    use super::*;
    use crate::InMemory;

    #[test]
    fn a_view_makes_and_drops_nothing() {
        let database = InMemory.open("unused".as_ref()).unwrap();
        let known = database.keyspace("counts").unwrap();
        let view = ReadOnly(Arc::clone(&database));
        assert_eq!(view.keyspace("counts").unwrap(), known);
        let absent = view.keyspace("gone").unwrap();
        assert!(!view.get(absent, b"key", &mut |_| {}).unwrap());
        assert_eq!(
            view.scan(absent, (Bound::Unbounded, Bound::Unbounded), Direction::Forward).unwrap().count(),
            0
        );
        let mut batch = WriteBatch::default();
        batch.put(known, b"key", b"value");
        view.write(&batch).unwrap();
        view.drop_keyspace("counts").unwrap();
        assert_eq!(database.keyspaces(), ["counts"]);
        assert!(!database.get(known, b"key", &mut |_| {}).unwrap());
    }
}
