//! What unit tests of topology, processor and task build on: a database in memory that outlives its task, a plain
//! store, and specs of nodes for string records.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::processor::{
    Partitioner, Processor, ProcessorContext, ProcessorError, RecordArena, SinkTopic, SourceNode,
    StoreHandle, TimestampExtractor,
};
use crate::record::{Headers, OwnedRecord, Record};
use crate::serdes::Utf8;
use crate::state::{
    ChangelogConfig, ChangelogRecord, CleanupPolicy, Direction, KeyValueIter, KeyspaceId, StateBackend,
    StateStore, StoreBuilder, StoreError, TaskDatabase, WriteBatch, WriteOp,
};
use crate::time::Timestamp;
use crate::topology::{ProcessorSpec, SinkSpec, SourceSpec, Topics};

/// Opens databases that are there again when the same directory is opened again.
#[derive(Debug, Default)]
pub(crate) struct MapBackend(Mutex<HashMap<PathBuf, Arc<MapDatabase>>>);

impl StateBackend for MapBackend {
    fn name(&self) -> &'static str {
        "map"
    }

    fn persistent(&self) -> bool {
        false
    }

    fn open(&self, dir: &Path) -> Result<Arc<dyn TaskDatabase>, StoreError> {
        Ok(Arc::clone(self.0.lock().unwrap().entry(dir.to_owned()).or_default()) as Arc<dyn TaskDatabase>)
    }
}

/// Values by keyspace and key.
type Entries = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

#[derive(Debug, Default)]
pub(crate) struct MapDatabase {
    keyspaces: Mutex<Vec<String>>,
    entries: Mutex<Entries>,
}

impl TaskDatabase for MapDatabase {
    fn keyspace(&self, name: &str) -> Result<KeyspaceId, StoreError> {
        let mut keyspaces = self.keyspaces.lock().unwrap();
        let place = keyspaces.iter().position(|known| known == name).unwrap_or_else(|| {
            keyspaces.push(name.to_owned());
            keyspaces.len() - 1
        });
        Ok(KeyspaceId(place as u32))
    }

    fn keyspaces(&self) -> Vec<String> {
        self.keyspaces.lock().unwrap().clone()
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), StoreError> {
        let KeyspaceId(dropped) = self.keyspace(name)?;
        self.entries.lock().unwrap().retain(|(keyspace, _), _| *keyspace != dropped);
        Ok(())
    }

    fn get(&self, keyspace: KeyspaceId, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        let entries = self.entries.lock().unwrap();
        let value = entries.get(&(keyspace.0, key.to_vec()));
        value.inspect(|value| read(value));
        Ok(value.is_some())
    }

    fn scan(
        &self,
        keyspace: KeyspaceId,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValueIter<'_>, StoreError> {
        let entries = self.entries.lock().unwrap();
        let mut found: Vec<_> = entries
            .iter()
            .filter(|((of, key), _)| {
                *of == keyspace.0 && RangeBounds::<[u8]>::contains(&range, key.as_slice())
            })
            .map(|((_, key), value)| Ok((key.clone().into_boxed_slice(), value.clone().into_boxed_slice())))
            .collect();
        if direction == Direction::Backward {
            found.reverse();
        }
        Ok(Box::new(found.into_iter()))
    }

    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut entries = self.entries.lock().unwrap();
        for (keyspace, op) in batch.iter() {
            match op {
                WriteOp::Put(key, value) => entries.insert((keyspace.0, key.to_vec()), value.to_vec()),
                WriteOp::Delete(key) => entries.remove(&(keyspace.0, key.to_vec())),
            };
        }
        Ok(())
    }

    fn approximate_len(&self, keyspace: KeyspaceId) -> u64 {
        self.entries.lock().unwrap().keys().filter(|(of, _)| *of == keyspace.0).count() as u64
    }
}

/// Strings by strings, uncommitted writes kept apart until they are committed.
#[derive(Debug)]
pub(crate) struct MapStore {
    name: String,
    database: Arc<dyn TaskDatabase>,
    keyspace: KeyspaceId,
    open: BTreeMap<String, String>,
    sealed: Option<BTreeMap<String, String>>,
    changelog: RecordArena,
    timestamp: Timestamp,
}

impl MapStore {
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let sealed = || self.sealed.as_ref().and_then(|sealed| sealed.get(key));
        if let Some(value) = self.open.get(key).or_else(sealed) {
            return Some(value.clone());
        }
        let mut value = None;
        let mut read = |bytes: &[u8]| value = Some(String::from_utf8(bytes.to_vec()).unwrap());
        self.database.get(self.keyspace, key.as_bytes(), &mut read).unwrap();
        value
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.open.insert(key.to_owned(), value.to_owned());
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        self.changelog.push(key, value, Some(self.timestamp), Headers::new());
    }
}

impl StateStore for MapStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn enter(&mut self, timestamp: Timestamp, _headers: &Headers) {
        self.timestamp = timestamp;
    }

    fn take_changelog(&mut self, into: &mut RecordArena) {
        for (key, value, record) in self.changelog.iter() {
            into.push(key, value, record.timestamp, record.headers.clone());
        }
        self.changelog.clear();
    }

    fn uncommitted_bytes(&self) -> usize {
        self.open.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        assert!(self.sealed.is_none(), "sealed once at a time");
        self.sealed = Some(std::mem::take(&mut self.open));
        Ok(())
    }

    fn stage(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        for (key, value) in self.sealed.iter().flatten() {
            batch.put(self.keyspace, key.as_bytes(), value.as_bytes());
        }
        Ok(())
    }

    fn retire(&mut self) -> Result<(), StoreError> {
        self.sealed = None;
        Ok(())
    }

    fn restores_blindly(&self) -> bool {
        true
    }

    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        for record in records {
            match record.value {
                Some(value) => batch.put(self.keyspace, record.key, value),
                None => batch.delete(self.keyspace, record.key),
            }
        }
        Ok(())
    }

    fn database(&self) -> &Arc<dyn TaskDatabase> {
        &self.database
    }
}

/// Makes [`MapStore`]s.
#[derive(Debug, Clone)]
pub(crate) struct MapStoreBuilder {
    name: String,
    backend: Arc<MapBackend>,
    pub(crate) logged: bool,
}

impl StoreBuilder for MapStoreBuilder {
    fn name(&self) -> &str {
        &self.name
    }

    fn changelog(&self) -> Option<ChangelogConfig> {
        self.logged.then(|| ChangelogConfig { cleanup: CleanupPolicy::Compact, overrides: BTreeMap::new() })
    }

    fn backend(&self) -> Arc<dyn StateBackend> {
        Arc::clone(&self.backend) as Arc<dyn StateBackend>
    }

    fn build(&self, database: Arc<dyn TaskDatabase>) -> Result<Box<dyn StateStore>, StoreError> {
        let keyspace = database.keyspace(&self.name)?;
        Ok(Box::new(MapStore {
            name: self.name.clone(),
            database,
            keyspace,
            open: BTreeMap::new(),
            sealed: None,
            changelog: RecordArena::default(),
            timestamp: Timestamp::UNKNOWN,
        }))
    }
}

/// A store that keeps its data in `backend`.
pub(crate) fn store_in(backend: &Arc<MapBackend>, name: &str) -> Arc<dyn StoreBuilder> {
    Arc::new(MapStoreBuilder { name: name.to_owned(), backend: Arc::clone(backend), logged: true })
}

/// A store with a database of its own.
pub(crate) fn store(name: &str) -> Arc<dyn StoreBuilder> {
    store_in(&Arc::default(), name)
}

/// A source of string records.
pub(crate) fn source(topics: &[&str]) -> SourceSpec {
    source_with(topics, TimestampExtractor::FailOnInvalid)
}

/// A source of string records with this extractor.
pub(crate) fn source_with(topics: &[&str], extractor: TimestampExtractor<String, String>) -> SourceSpec {
    let topics = Topics::Named(topics.iter().map(|topic| Arc::from(*topic)).collect());
    SourceSpec::new(topics, SourceNode::new(Arc::new(Utf8), Arc::new(Utf8), extractor))
}

/// A sink for string records.
pub(crate) fn sink(topic: &str) -> SinkSpec {
    SinkSpec::new::<String, String>(
        SinkTopic::Fixed(topic.into()),
        Arc::new(Utf8),
        Arc::new(Utf8),
        Partitioner::default(),
    )
}

/// A sink that chooses the topic per record: its key.
pub(crate) fn choosing_sink() -> SinkSpec {
    let choose = |record: &Record<String, String>, _: Option<&_>| Arc::from(&*record.key);
    SinkSpec::new::<String, String>(
        SinkTopic::Chosen(Arc::new(choose)),
        Arc::new(Utf8),
        Arc::new(Utf8),
        Partitioner::default(),
    )
}

type Step = Arc<
    dyn Fn(
            Record<String, String>,
            &mut ProcessorContext<'_, '_, String, String>,
        ) -> Result<(), ProcessorError>
        + Send
        + Sync,
>;

struct Closure(Step);

impl Processor<String, String, String, String> for Closure {
    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        (self.0)(record, context)
    }
}

/// A processor of string records that does what the closure says.
pub(crate) fn step(
    step: impl Fn(
        Record<String, String>,
        &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError>
    + Send
    + Sync
    + 'static,
) -> ProcessorSpec {
    let step: Step = Arc::new(step);
    ProcessorSpec::new(move |_| Ok(Closure(Arc::clone(&step))))
}

/// A processor that forwards what it gets.
pub(crate) fn pass() -> ProcessorSpec {
    step(|record, context| context.forward(record))
}

struct Appending(StoreHandle<MapStore>);

impl Processor<String, String, String, String> for Appending {
    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        let store = context.store_mut(self.0);
        let value = store.get(&record.key).unwrap_or_default() + &record.value;
        store.put(&record.key, &value);
        context.forward(record.with_value(value))
    }
}

/// A processor that appends values to those of their key in a store and forwards the result.
pub(crate) fn appending(store: &str) -> ProcessorSpec {
    let name: Arc<str> = store.into();
    let asked = Arc::clone(&name);
    ProcessorSpec::new(move |context| Ok(Appending(context.store(&asked)?))).with_stores([name])
}

/// A record as it is fetched.
pub(crate) fn fetched(offset: i64, time: i64, key: &str, value: &str) -> OwnedRecord {
    OwnedRecord {
        key: Some(key.to_owned().into()),
        value: Some(value.to_owned().into()),
        offset,
        timestamp: Timestamp::from_millis(time),
        headers: Headers::new(),
    }
}
