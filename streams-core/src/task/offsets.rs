//! Where a database keeps how far it is: a keyspace of its own, written in the same batch as the data (KIP-892,
//! KIP-1035), so that data and offset never part.

use crate::record::TopicPartition;
use crate::state::{KeyspaceId, Position, StoreError, TaskDatabase, WriteBatch};

/// No store may be named so: `@` is no legal character of store names.
const KEYSPACE: &str = "@offsets";
const CHANGELOG: u8 = b'c';
const POSITION: u8 = b'p';

/// The keyspace of a database with changelog offsets, by store, and input positions, by partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct OffsetKeyspace(KeyspaceId);

impl OffsetKeyspace {
    pub(super) fn open(database: &dyn TaskDatabase) -> Result<Self, StoreError> {
        database.keyspace(KEYSPACE).map(OffsetKeyspace)
    }

    /// The changelog offset that the store's data in the database stands for.
    pub(super) fn changelog_offset(
        self,
        database: &dyn TaskDatabase,
        store: &str,
    ) -> Result<Option<i64>, StoreError> {
        self.read(database, &changelog_key(store))
    }

    pub(super) fn put_changelog_offset(self, batch: &mut WriteBatch, store: &str, offset: i64) {
        batch.put(self.0, &changelog_key(store), &offset.to_be_bytes());
    }

    /// The input offset that the database's data stands for.
    pub(super) fn position(
        self,
        database: &dyn TaskDatabase,
        partition: &TopicPartition,
    ) -> Result<Option<i64>, StoreError> {
        self.read(database, &position_key(partition))
    }

    pub(super) fn put_position(self, batch: &mut WriteBatch, partition: &TopicPartition, offset: i64) {
        batch.put(self.0, &position_key(partition), &offset.to_be_bytes());
    }

    fn read(self, database: &dyn TaskDatabase, key: &[u8]) -> Result<Option<i64>, StoreError> {
        let mut offset = None;
        database.get(self.0, key, &mut |bytes| offset = Some(bytes.try_into().map(i64::from_be_bytes)))?;
        match offset {
            None => Ok(None),
            Some(Ok(offset)) => Ok(Some(offset)),
            Some(Err(_)) => Err(StoreError::Misuse {
                store: String::from_utf8_lossy(&key[1..]).into_owned(),
                message: "its offset in the database is no number: delete the task's directory".to_owned(),
            }),
        }
    }
}

/// What the data in a task's database stands for: of each of these inputs the offset of the next record, where one was
/// written. Restoring does not write any, so the data may be newer.
///
/// # Errors
/// When the storage fails.
pub(crate) fn committed_position(
    database: &dyn TaskDatabase,
    inputs: &[TopicPartition],
) -> Result<Position, StoreError> {
    let offsets = OffsetKeyspace::open(database)?;
    let mut position = Position::default();
    for input in inputs {
        if let Some(offset) = offsets.position(database, input)? {
            position.advance(input, offset);
        }
    }
    Ok(position)
}

fn changelog_key(store: &str) -> Vec<u8> {
    [&[CHANGELOG], store.as_bytes()].concat()
}

fn position_key(partition: &TopicPartition) -> Vec<u8> {
    [&[POSITION], partition.topic.as_bytes(), &partition.partition.to_be_bytes()].concat()
}
