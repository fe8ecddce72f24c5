//! The stores of a task: their databases, their changelogs, and the one write of a commit.

use std::path::Path;
use std::sync::Arc;

use super::bulk_load::BulkLoad;
use super::offsets::OffsetKeyspace;
use crate::processor::RecordArena;
use crate::record::{FetchedRecord, Headers, TopicPartition};
use crate::state::{
    ChangelogRecord, StateStore, StoreBuilder, StoreError, TaskDatabase, TaskDatabases, WriteBatch,
};
use crate::time::Timestamp;

/// A partition of a changelog topic and the store that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogPartition {
    /// The store.
    pub store: Arc<str>,
    /// The changelog's partition.
    pub partition: TopicPartition,
    /// Whether it is a source topic of the task that serves as the changelog: nothing is produced to it, and it is
    /// restored only up to the committed input offset.
    pub is_source: bool,
    /// The next offset to restore; none where the store is empty and restoring begins at the changelog's start.
    pub offset: Option<i64>,
    /// Records restored since the task was opened.
    pub restored: u64,
}

/// A store to be opened.
pub(super) struct StorePlan<'a> {
    pub(super) builder: &'a dyn StoreBuilder,
    /// Its changelog and whether that is a source topic; none where logging is off.
    pub(super) changelog: Option<(TopicPartition, bool)>,
}

/// Databases and changelog offsets of a task; the stores themselves are with the graph's nodes.
#[derive(Debug, Default)]
pub(super) struct StateManager {
    databases: Vec<Database>,
    stores: Vec<StorePlace>,
    changelogs: Vec<ChangelogPartition>,
    /// By changelog: those of which much is being restored.
    loads: Vec<Option<BulkLoad>>,
    unwanted: RecordArena,
}

#[derive(Debug)]
struct Database {
    database: Arc<dyn TaskDatabase>,
    offsets: OffsetKeyspace,
    batch: WriteBatch,
}

#[derive(Debug, Clone, Copy)]
struct StorePlace {
    database: usize,
    changelog: Option<usize>,
}

impl StateManager {
    /// Opens the databases below `dir`, makes the stores, whose caches share so many bytes, and reads how far each is.
    pub(super) fn open(
        dir: &Path,
        plans: &[StorePlan<'_>],
        cache_bytes: usize,
    ) -> Result<(Self, Vec<Box<dyn StateStore>>), StoreError> {
        let mut opened = TaskDatabases::default();
        let mut manager = StateManager::default();
        let mut stores = Vec::with_capacity(plans.len());
        for plan in plans {
            let database = opened.get_or_open(plan.builder.backend().as_ref(), dir)?;
            let mut store = plan.builder.build(Arc::clone(&database))?;
            // Before the nodes are made: they ask whether their store holds changes back.
            store.set_cache_limit(cache_bytes / plans.len());
            stores.push(store);
            let database = manager.place_of(database)?;
            let changelog = match &plan.changelog {
                Some((partition, is_source)) => {
                    let Database { database, offsets, .. } = &manager.databases[database];
                    let offset = offsets.changelog_offset(database.as_ref(), plan.builder.name())?;
                    manager.changelogs.push(ChangelogPartition {
                        store: plan.builder.name().into(),
                        partition: partition.clone(),
                        is_source: *is_source,
                        offset,
                        restored: 0,
                    });
                    manager.loads.push(None);
                    Some(manager.changelogs.len() - 1)
                }
                None => None,
            };
            manager.stores.push(StorePlace { database, changelog });
        }
        Ok((manager, stores))
    }

    pub(super) fn changelogs(&self) -> &[ChangelogPartition] {
        &self.changelogs
    }

    /// The changelog of the store at this place.
    pub(super) fn changelog_of(&self, store: usize) -> Option<usize> {
        self.stores[store].changelog
    }

    /// What is restored next lies between two offsets: where that is much, it is gathered into runs of at most
    /// `run_bytes`.
    pub(super) fn begin_restore(
        &mut self,
        stores: &[Box<dyn StateStore>],
        changelog: usize,
        (next, end): (i64, i64),
        run_bytes: usize,
    ) {
        let store = self.stores.iter().position(|store| store.changelog == Some(changelog));
        let blindly = store.is_some_and(|store| stores[store].restores_blindly());
        self.loads[changelog] = BulkLoad::of(next, end, run_bytes).filter(|_| blindly);
    }

    /// Puts changelog records into their store, in one write with the offset behind them; or, where much is being
    /// restored, into a run, and the offset is written behind that.
    pub(super) fn restore<R: FetchedRecord>(
        &mut self,
        stores: &mut [Box<dyn StateStore>],
        changelog: usize,
        records: &[R],
        next_offset: i64,
    ) -> Result<(), StoreError> {
        let Some(store) = self.stores.iter().position(|store| store.changelog == Some(changelog)) else {
            return Ok(());
        };
        let headers: Vec<Headers> = records.iter().map(FetchedRecord::headers).collect();
        let mut changes = records.iter().zip(&headers).filter_map(|(record, headers)| {
            Some(ChangelogRecord {
                key: record.key()?,
                value: record.value(),
                timestamp: record.timestamp(),
                headers,
            })
        });
        let Database { database, offsets, batch } = &mut self.databases[self.stores[store].database];
        batch.clear();
        let load = &mut self.loads[changelog];
        let changelog = &mut self.changelogs[changelog];
        changelog.restored += records.len() as u64;
        match load {
            None => stores[store].restore(&mut changes, batch)?,
            Some(gathered) => {
                stores[store].restore(&mut changes, &mut gathered.run)?;
                if !gathered.is_due(next_offset) {
                    return Ok(());
                }
                database.load(&gathered.run)?;
                match gathered.ends(next_offset) {
                    true => *load = None,
                    false => gathered.run.clear(),
                }
            }
        }
        offsets.put_changelog_offset(batch, stores[store].name(), next_offset);
        database.write(batch)?;
        batch.clear();
        changelog.offset = Some(next_offset);
        Ok(())
    }

    /// Writes the stores' sealed writes, the changelog offsets behind them and the input positions: all of it or
    /// nothing, one batch per database.
    pub(super) fn commit(
        &mut self,
        stores: &mut [Box<dyn StateStore>],
        changelog_offsets: &[Option<i64>],
        positions: &[(TopicPartition, i64)],
    ) -> Result<(), StoreError> {
        for (store, place) in stores.iter_mut().zip(&self.stores) {
            store.stage(&mut self.databases[place.database].batch)?;
            if place.changelog.is_none() {
                // A store that logs where nobody takes its records, for instance a global one.
                store.take_changelog(&mut self.unwanted);
                self.unwanted.clear();
            }
        }
        for place in &self.stores {
            let Some(changelog) = place.changelog else { continue };
            let Some(&Some(offset)) = changelog_offsets.get(changelog) else { continue };
            let changelog = &mut self.changelogs[changelog];
            debug_assert!(changelog.offset.is_none_or(|known| known <= offset), "changelog offsets ascend");
            changelog.offset = Some(offset);
            let Database { offsets, batch, .. } = &mut self.databases[place.database];
            offsets.put_changelog_offset(batch, &changelog.store, offset);
        }
        for Database { database, offsets, batch } in &mut self.databases {
            if !batch.is_empty() {
                positions
                    .iter()
                    .for_each(|(partition, offset)| offsets.put_position(batch, partition, *offset));
                database.write(batch)?;
                batch.clear();
            }
        }
        stores.iter_mut().try_for_each(|store| store.retire())
    }

    /// The input position that the data of a store stands for, where one was written.
    pub(super) fn position(
        &self,
        store: usize,
        partition: &TopicPartition,
    ) -> Result<Option<i64>, StoreError> {
        let Database { database, offsets, .. } = &self.databases[self.stores[store].database];
        offsets.position(database.as_ref(), partition)
    }

    fn place_of(&mut self, database: Arc<dyn TaskDatabase>) -> Result<usize, StoreError> {
        if let Some(place) = self.databases.iter().position(|known| Arc::ptr_eq(&known.database, &database)) {
            return Ok(place);
        }
        let offsets = OffsetKeyspace::open(database.as_ref())?;
        self.databases.push(Database { database, offsets, batch: WriteBatch::default() });
        Ok(self.databases.len() - 1)
    }
}

/// Bytes of uncommitted writes and of caches in all stores.
pub(super) fn store_bytes(stores: &[Box<dyn StateStore>]) -> (usize, usize) {
    stores.iter().fold((0, 0), |(uncommitted, cached), store| {
        (uncommitted + store.uncommitted_bytes(), cached + store.cache_bytes())
    })
}

/// Puts that the stores have left out as too old.
pub(super) fn expired_records(stores: &[Box<dyn StateStore>]) -> u64 {
    stores.iter().map(|store| store.expired_records()).sum()
}

/// Tells every store that what follows is on behalf of no record.
pub(super) fn enter_all(stores: &mut [Box<dyn StateStore>], time: Timestamp) {
    let headers = Headers::new();
    stores.iter_mut().for_each(|store| store.enter(time, &headers));
}
