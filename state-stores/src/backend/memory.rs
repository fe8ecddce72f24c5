//! Databases that live in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use streams_core::state::{
    Direction, KeyValueIter, KeyspaceId, StateBackend, StoreError, TaskDatabase, WriteBatch, WriteOp,
};

/// Keeps a task's stores in memory; after a restart they are restored from their changelogs.
#[derive(Debug, Clone, Copy, Default)]
pub struct InMemory;

impl StateBackend for InMemory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn persistent(&self) -> bool {
        false
    }

    fn open(&self, _dir: &Path) -> Result<Arc<dyn TaskDatabase>, StoreError> {
        Ok(Arc::new(MemoryDatabase::default()))
    }
}

type Entries = BTreeMap<Box<[u8]>, Box<[u8]>>;

#[derive(Debug, Default)]
struct MemoryDatabase {
    keyspaces: RwLock<Keyspaces>,
}

#[derive(Debug, Default)]
struct Keyspaces {
    /// By number; none once dropped. A scan holds the map that it began with: a write behind its back copies it.
    entries: Vec<Option<Arc<Entries>>>,
    numbers: HashMap<String, u32>,
}

impl MemoryDatabase {
    fn entries(&self, keyspace: KeyspaceId) -> Option<Arc<Entries>> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        keyspaces.entries.get(keyspace.0 as usize).cloned().flatten()
    }
}

impl TaskDatabase for MemoryDatabase {
    fn keyspace(&self, name: &str) -> Result<KeyspaceId, StoreError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = keyspaces.numbers.get(name) {
            return Ok(KeyspaceId(number));
        }
        let number = keyspaces.entries.len() as u32;
        keyspaces.entries.push(Some(Arc::default()));
        keyspaces.numbers.insert(name.to_owned(), number);
        Ok(KeyspaceId(number))
    }

    fn keyspaces(&self) -> Vec<String> {
        self.keyspaces.read().unwrap_or_else(PoisonError::into_inner).numbers.keys().cloned().collect()
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), StoreError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = keyspaces.numbers.remove(name) {
            keyspaces.entries[number as usize] = None;
        }
        Ok(())
    }

    fn get(&self, keyspace: KeyspaceId, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let entries = keyspaces.entries.get(keyspace.0 as usize).and_then(Option::as_ref);
        let value = entries.and_then(|entries| entries.get(key));
        if let Some(value) = value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn scan(
        &self,
        keyspace: KeyspaceId,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValueIter<'_>, StoreError> {
        let Some(entries) = self.entries(keyspace) else { return Ok(Box::new(std::iter::empty())) };
        // Joins look for each record, and mostly find nothing here.
        if is_empty(range) || entries.range::<[u8], _>(range).next().is_none() {
            return Ok(Box::new(std::iter::empty()));
        }
        let (lower, upper) = (range.0.map(Box::from), range.1.map(Box::from));
        Ok(Box::new(MemoryScan { entries, lower, upper, direction }))
    }

    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        for (keyspace, op) in batch.iter() {
            // A keyspace that was dropped since takes its writes with it.
            let Some(Some(entries)) = keyspaces.entries.get_mut(keyspace.0 as usize) else { continue };
            let entries = Arc::make_mut(entries);
            match op {
                WriteOp::Put(key, value) => match entries.get_mut(key) {
                    Some(old) if old.len() == value.len() => old.copy_from_slice(value),
                    Some(old) => *old = value.into(),
                    None => drop(entries.insert(key.into(), value.into())),
                },
                WriteOp::Delete(key) => drop(entries.remove(key)),
            }
        }
        Ok(())
    }

    fn approximate_len(&self, keyspace: KeyspaceId) -> u64 {
        self.entries(keyspace).map_or(0, |entries| entries.len() as u64)
    }
}

/// A cursor over the map as it was when the scan began; each step looks up where it left off.
struct MemoryScan {
    entries: Arc<Entries>,
    lower: Bound<Box<[u8]>>,
    upper: Bound<Box<[u8]>>,
    direction: Direction,
}

impl Iterator for MemoryScan {
    type Item = Result<(Box<[u8]>, Box<[u8]>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bounds = (self.lower.as_ref().map(|key| &**key), self.upper.as_ref().map(|key| &**key));
        if is_empty(bounds) {
            return None;
        }
        let mut range = self.entries.range::<[u8], _>(bounds);
        let (key, value) = match self.direction {
            Direction::Forward => range.next()?,
            Direction::Backward => range.next_back()?,
        };
        let bound = Bound::Excluded(key.clone());
        let found = (key.clone(), value.clone());
        match self.direction {
            Direction::Forward => self.lower = bound,
            Direction::Backward => self.upper = bound,
        }
        Some(Ok(found))
    }
}

/// Whether no key can lie between two bounds; `BTreeMap::range` panics on some such pairs.
pub(crate) fn is_empty((lower, upper): (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Excluded(upper) | Bound::Included(upper),
        ) => lower >= upper,
    }
}
