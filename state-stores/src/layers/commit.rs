//! The way of uncommitted writes to the database, and of changelog records back.

use streams_core::processor::RecordArena;
use streams_core::serdes::SerdeError;
use streams_core::state::{
    ChangelogRecord, KeyspaceId, StoreError, StoreOperation, TaskDatabase, WriteBatch,
};
use streams_core::{Headers, Timestamp};

use super::epoch_writes::EpochWrites;
use super::{Layers, Place, unreadable};

impl<T: Clone> Layers<T> {
    pub(crate) fn take_changelog(&mut self, into: &mut RecordArena) {
        if into.is_empty() {
            std::mem::swap(into, &mut self.changelog);
            return;
        }
        for (key, value, record) in self.changelog.iter() {
            into.push(key, value, record.timestamp, record.headers.clone());
        }
        self.changelog.clear();
    }

    /// Appends a changelog record that the layers do not make by themselves.
    pub(crate) fn log(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: Timestamp) {
        let headers = if self.settings.changelog_headers { self.headers.clone() } else { Headers::new() };
        self.log_as(key, value, Some(timestamp), headers);
    }

    /// Appends a changelog record with headers of its own; without a time the broker gives it one.
    pub(crate) fn log_as(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Option<Timestamp>,
        headers: Headers,
    ) {
        self.changelog.push(Some(key), value, timestamp, headers);
    }

    /// Appends a changelog record that says that there is nothing under a key of the layers, and leaves the store as
    /// it is.
    pub(crate) fn log_absence(&mut self, key: &[u8]) {
        if self.settings.logging {
            self.log(&key[self.place.prefix_len()..], None, self.timestamp);
        }
    }

    /// Copies the writes of the open epoch into the batch, and keeps them.
    pub(crate) fn stage_pending(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        if let Place::Segments(segments) = &mut self.place {
            segments.seal();
        }
        stage_layer(&self.pending, &mut self.place, &*self.database, batch)
    }

    /// Forgets the writes of the open epoch, for they are in the database.
    pub(crate) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.pending.bytes() + self.sealed.bytes() + self.cache.dirty_bytes()
    }

    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    pub(crate) fn seal(&mut self) -> Result<(), StoreError> {
        if self.epoch_sealed {
            let message =
                "an epoch was sealed while the one before was neither committed nor given up".to_owned();
            return Err(StoreError::Misuse { store: self.settings.name.to_string(), message });
        }
        std::mem::swap(&mut self.pending, &mut self.sealed);
        self.epoch_sealed = true;
        if let Place::Segments(segments) = &mut self.place {
            segments.seal();
        }
        Ok(())
    }

    pub(crate) fn stage(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        stage_layer(&self.sealed, &mut self.place, &*self.database, batch)
    }

    pub(crate) fn retire(&mut self) -> Result<(), StoreError> {
        self.sealed.clear();
        self.epoch_sealed = false;
        match &mut self.place {
            Place::Whole(_) => Ok(()),
            Place::Segments(segments) => segments.drop_expired(&*self.database),
        }
    }

    pub(crate) fn approximate_len(&self) -> u64 {
        match &self.place {
            Place::Whole(keyspace) => self.database.approximate_len(*keyspace),
            Place::Segments(segments) => segments.approximate_len(&*self.database),
        }
    }

    /// Puts changelog records into the batch in the store's own form.
    pub(crate) fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let begun = self.begun();
        let timestamped = self.format.timestamp_len() > 0;
        let mut local = std::mem::take(&mut self.value_bytes);
        let mut restored = match &mut self.place {
            Place::Whole(_) => None,
            Place::Segments(segments) => {
                segments.drop_expired(&*self.database)?;
                Some((EpochWrites::default(), Vec::new()))
            }
        };
        for record in records {
            local.clear();
            if timestamped {
                local.extend_from_slice(&record.timestamp.as_millis().to_be_bytes());
            }
            local.extend_from_slice(record.value.unwrap_or_default());
            let value = record.value.map(|_| &*local);
            match (&mut self.place, &mut restored) {
                (Place::Segments(segments), Some((layer, key))) => {
                    let Some(time) = segments.time_of(record.key) else {
                        return Err(unreadable(&self.settings.name, short_key(record.key)));
                    };
                    segments.observe(time);
                    let number = segments.number(time);
                    layer.put(number, record.key, value);
                    if let Some(index) = &mut self.index {
                        layer.put(!number, index.key_for(record.key), value.map(|_| &[][..]));
                    }
                    key.clear();
                    key.extend_from_slice(&number.to_be_bytes());
                    key.extend_from_slice(record.key);
                    forget(&mut self.cache, key);
                }
                (place, _) => {
                    if let Place::Whole(keyspace) = place {
                        put(batch, *keyspace, record.key, value);
                    }
                    forget(&mut self.cache, record.key);
                }
            }
        }
        self.value_bytes = local;
        if let Place::Segments(segments) = &mut self.place {
            segments.seal();
        }
        let staged = match restored {
            Some((layer, _)) => stage_layer(&layer, &mut self.place, &*self.database, batch),
            None => Ok(()),
        };
        self.ended(begun, StoreOperation::Restore);
        staged
    }
}

/// What is restored from outside is no longer what the cache remembers.
fn forget<T: Clone>(cache: &mut super::cache::Cache<T>, key: &[u8]) {
    if cache.bytes() > 0
        && let Some(place) = cache.find(key)
    {
        cache.remove(place);
    }
}

fn short_key(key: &[u8]) -> SerdeError {
    SerdeError::WrongLength { type_name: "a key with its window", expected: 12, actual: key.len() }
}

fn put(batch: &mut WriteBatch, keyspace: KeyspaceId, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => batch.put(keyspace, key, value),
        None => batch.delete(keyspace, key),
    }
}

/// Copies writes into the batch, those of dropped segments left out.
fn stage_layer(
    layer: &EpochWrites,
    place: &mut Place,
    database: &dyn TaskDatabase,
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let segments = match place {
        Place::Whole(keyspace) => {
            layer.iter().for_each(|(_, key, value)| put(batch, *keyspace, key, value));
            return Ok(());
        }
        Place::Segments(segments) => segments,
    };
    for (number, key, value) in layer.iter() {
        if segments.was_live(number) {
            let keyspace = segments.make_keyspace(number, database)?;
            put(batch, keyspace, key, value);
        }
    }
    segments.stage_clock(batch);
    Ok(())
}
