//! Spans of time, each a keyspace of its own, so that what is too old goes all at once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::time_index::move_end_to_front;
use streams_core::state::{Direction, KeyspaceId, StoreError, TaskDatabase, WriteBatch};

/// Length of the segment's number in front of a key within the layers above the database.
pub(crate) const SEGMENT_LEN: usize = 8;

/// The number of a segment that never grows old.
pub(crate) const ENDLESS: i64 = i64::MAX;

const ENDLESS_NAME: &str = "endless";
const INDEX_NAME: &str = "index";

/// How much is written at once when segments are poured into others.
const POUR_BATCH_BYTES: usize = 1 << 20;

/// The key under which a store's clock lies in its own keyspace.
const CLOCK_KEY: &[u8] = b"clock";
/// The key under which the length of those segments lies whose indexes are whole, beside the clock.
const INDEX_KEY: &[u8] = b"index";

/// The segments of a store, and its clock: the largest time that it has seen.
#[derive(Debug)]
pub(crate) struct Segments {
    store: Arc<str>,
    interval_ms: i64,
    retention_ms: i64,
    /// What keys of the store say about their time.
    time_of: fn(&[u8]) -> Option<i64>,
    observed_ms: i64,
    /// The oldest segment that may be written, by that clock.
    oldest_live: i64,
    /// What [`Segments::newly_oldest`] told last.
    told_oldest: i64,
    /// Counts the entries of stores that keep duplicates.
    pub(crate) sequence: i32,
    clock: KeyspaceId,
    /// Clock and sequence as of the sealed epoch: the later ones may yet be given up.
    sealed: (i64, i32),
    /// What the last batch said about clock and sequence.
    staged: (i64, i32),
    /// Segments that hold something in some layer; those that the database has, with their keyspace.
    live: BTreeMap<i64, Option<KeyspaceId>>,
    /// Keyspaces of the segments' indexes by time, where the store keeps them; elsewhere their number is `!number`.
    indexes: BTreeMap<i64, KeyspaceId>,
    /// The segment noted last: mostly the next one to be noted as well.
    touched: Option<i64>,
}

impl Segments {
    /// The segments that the database holds of a store.
    pub(crate) fn open(
        store: &Arc<str>,
        interval_ms: i64,
        retention_ms: i64,
        time_of: fn(&[u8]) -> Option<i64>,
        database: &dyn TaskDatabase,
    ) -> Result<Self, StoreError> {
        let mut segments = Segments {
            store: Arc::clone(store),
            interval_ms: interval_ms.max(1),
            retention_ms,
            time_of,
            observed_ms: -1,
            oldest_live: 0,
            told_oldest: 0,
            sequence: 0,
            clock: database.keyspace(store)?,
            sealed: (-1, 0),
            staged: (-1, 0),
            live: BTreeMap::new(),
            indexes: BTreeMap::new(),
            touched: None,
        };
        let mut clock = None;
        database.get(segments.clock, CLOCK_KEY, &mut |bytes| clock = bytes.try_into().ok())?;
        if let Some(clock) = clock {
            let clock: [u8; 12] = clock;
            let (observed, sequence) = clock.split_at(8);
            segments.observed_ms = i64::from_be_bytes(observed.try_into().unwrap_or_default());
            segments.sequence = i32::from_be_bytes(sequence.try_into().unwrap_or_default());
        }
        segments.oldest_live = segments.oldest_live(segments.observed_ms);
        segments.seal();
        segments.staged = segments.sealed;
        segments.find(database)?;
        Ok(segments)
    }

    /// Notes the segments that the database holds; those of another length, as the retention was another one, are
    /// poured into segments of today's.
    fn find(&mut self, database: &dyn TaskDatabase) -> Result<(), StoreError> {
        let mut others = Vec::new();
        for name in database.keyspaces() {
            let Some(segment) = name.strip_prefix(&*self.store).and_then(|rest| rest.strip_prefix(':'))
            else {
                continue;
            };
            if let Some(number) = self.index_number(segment) {
                self.indexes.insert(number, database.keyspace(&name)?);
            } else if segment == ENDLESS_NAME {
                self.live.insert(ENDLESS, Some(database.keyspace(&name)?));
            } else if let Some((interval, start)) = segment.split_once(':')
                && let (Ok(interval), Ok(start)) = (interval.parse::<i64>(), start.parse::<i64>())
            {
                if interval == self.interval_ms {
                    self.live.insert(self.number(start), Some(database.keyspace(&name)?));
                } else {
                    others.push((name, start));
                }
            }
        }
        others.into_iter().try_for_each(|(name, start_ms)| self.pour(&name, start_ms, database))
    }

    /// Moves the entries of a keyspace to the segments that they belong to. The keyspace goes last, so that a crash
    /// loses nothing.
    fn pour(&mut self, name: &str, start_ms: i64, database: &dyn TaskDatabase) -> Result<(), StoreError> {
        let from = database.keyspace(name)?;
        let mut batch = WriteBatch::default();
        for entry in database.scan(from, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
            let (key, value) = entry?;
            let number = self.number(self.time_of(&key).unwrap_or(start_ms));
            if self.is_live(number) {
                let to = self.make_keyspace(number, database)?;
                batch.put(to, &key, &value);
            }
            if batch.byte_len() > POUR_BATCH_BYTES {
                database.write(&batch)?;
                batch.clear();
            }
        }
        database.write(&batch)?;
        database.drop_keyspace(name)
    }

    /// The largest time seen, in ms; -1 before the first.
    pub(crate) fn observed_ms(&self) -> i64 {
        self.observed_ms
    }

    pub(crate) fn observe(&mut self, time_ms: i64) {
        if time_ms > self.observed_ms {
            self.observed_ms = time_ms;
            self.oldest_live = self.oldest_live(time_ms);
        }
    }

    /// The next number for a put that keeps duplicates apart.
    pub(crate) fn next_sequence(&mut self) -> i32 {
        self.sequence = self.sequence.wrapping_add(1) & i32::MAX;
        self.sequence
    }

    /// What is older than this is hidden from reads.
    pub(crate) fn oldest_readable_ms(&self) -> i64 {
        self.observed_ms.saturating_sub(self.retention_ms).saturating_add(1)
    }

    /// The earliest time that is sure to be kept once the clock stands at `time_ms`.
    pub(crate) fn kept_from(&self, time_ms: i64) -> i64 {
        self.oldest_live(time_ms.max(self.observed_ms)).saturating_mul(self.interval_ms)
    }

    /// The number of the segment for a time.
    pub(crate) fn number(&self, time_ms: i64) -> i64 {
        time_ms.max(0) / self.interval_ms
    }

    /// The time in a key, as the store lays it out.
    pub(crate) fn time_of(&self, key: &[u8]) -> Option<i64> {
        (self.time_of)(key)
    }

    /// Whether a segment is not dropped yet and may be written.
    pub(crate) fn is_live(&self, number: i64) -> bool {
        number >= self.oldest_live
    }

    /// Whether a segment was live when the epoch was sealed.
    pub(crate) fn was_live(&self, number: i64) -> bool {
        number.max(!number) >= self.oldest_live(self.sealed.0)
    }

    /// The oldest segment that may be written, once after the clock has moved it.
    pub(crate) fn newly_oldest(&mut self) -> Option<i64> {
        let told = std::mem::replace(&mut self.told_oldest, self.oldest_live);
        (told != self.oldest_live).then_some(self.oldest_live)
    }

    fn oldest_live(&self, clock_ms: i64) -> i64 {
        self.number(clock_ms.saturating_sub(self.retention_ms))
    }

    /// Notes the clock of the epoch that is sealed.
    pub(crate) fn seal(&mut self) {
        self.sealed = (self.observed_ms, self.sequence);
    }

    /// Notes that a segment holds something.
    pub(crate) fn touch(&mut self, number: i64) {
        if self.touched != Some(number) {
            self.live.entry(number).or_insert(None);
            self.touched = Some(number);
        }
    }

    /// The first segment from `number` on that may hold times up to `to_ms`.
    pub(crate) fn next_from(&self, number: i64, to_ms: i64) -> Option<i64> {
        let to = self.number(to_ms);
        if number > to {
            return None;
        }
        self.live.range(number..=to).next().map(|(&number, _)| number)
    }

    /// Numbers of the segments that may hold times between two, both included, ascending.
    pub(crate) fn between(&self, from_ms: i64, to_ms: i64) -> Vec<i64> {
        if from_ms > to_ms {
            return Vec::new();
        }
        self.live.range(self.number(from_ms)..=self.number(to_ms)).map(|(&number, _)| number).collect()
    }

    /// The keyspace of the segment in front of a key, where the database has one.
    pub(crate) fn keyspace(&self, number: i64) -> Option<KeyspaceId> {
        match number < 0 {
            true => self.indexes.get(&!number).copied(),
            false => self.live.get(&number).copied().flatten(),
        }
    }

    /// The keyspace of a segment, made where there is none yet.
    pub(crate) fn make_keyspace(
        &mut self,
        number: i64,
        database: &dyn TaskDatabase,
    ) -> Result<KeyspaceId, StoreError> {
        if let Some(keyspace) = self.keyspace(number) {
            return Ok(keyspace);
        }
        let keyspace = database.keyspace(&self.name(number))?;
        match number < 0 {
            true => drop(self.indexes.insert(!number, keyspace)),
            false => drop(self.live.insert(number, Some(keyspace))),
        }
        Ok(keyspace)
    }

    /// Writes the sealed epoch's clock, if it has moved.
    pub(crate) fn stage_clock(&mut self, batch: &mut WriteBatch) {
        if self.staged == self.sealed {
            return;
        }
        self.staged = self.sealed;
        let mut clock = [0; 12];
        clock[..8].copy_from_slice(&self.sealed.0.to_be_bytes());
        clock[8..].copy_from_slice(&self.sealed.1.to_be_bytes());
        batch.put(self.clock, CLOCK_KEY, &clock);
    }

    /// Drops the segments that are too old by the sealed epoch's clock.
    pub(crate) fn drop_expired(&mut self, database: &dyn TaskDatabase) -> Result<(), StoreError> {
        let oldest = self.oldest_live(self.sealed.0);
        self.touched = None;
        while let Some((&number, keyspace)) = self.live.first_key_value() {
            if number >= oldest {
                break;
            }
            if keyspace.is_some() {
                database.drop_keyspace(&self.name(number))?;
            }
            self.live.remove(&number);
        }
        while let Some((&number, _)) = self.indexes.first_key_value().filter(|(number, _)| **number < oldest)
        {
            database.drop_keyspace(&self.name(!number))?;
            self.indexes.remove(&number);
        }
        Ok(())
    }

    /// Makes the index of all segments, unless the database has it: it is kept from there on with each write.
    pub(crate) fn make_index(
        &mut self,
        suffix_len: usize,
        database: &dyn TaskDatabase,
    ) -> Result<(), StoreError> {
        let mut whole_for = None;
        database.get(self.clock, INDEX_KEY, &mut |bytes| whole_for = bytes.try_into().ok())?;
        if whole_for.map(i64::from_be_bytes) == Some(self.interval_ms) {
            return Ok(());
        }
        self.drop_index(database)?;
        let mut batch = WriteBatch::default();
        let segments: Vec<_> =
            self.live.iter().filter_map(|(&number, keyspace)| Some((number, (*keyspace)?))).collect();
        let mut key = Vec::new();
        for (number, keyspace) in segments {
            let index = self.make_keyspace(!number, database)?;
            for entry in database.scan(keyspace, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
                key.clear();
                move_end_to_front(&entry?.0, suffix_len, &mut key);
                batch.put(index, &key, &[]);
                if batch.byte_len() > POUR_BATCH_BYTES {
                    database.write(&batch)?;
                    batch.clear();
                }
            }
        }
        // Comes last: what a crash leaves before it is made anew.
        batch.put(self.clock, INDEX_KEY, &self.interval_ms.to_be_bytes());
        database.write(&batch)
    }

    /// Drops the indexes, if there are any.
    pub(crate) fn drop_index(&mut self, database: &dyn TaskDatabase) -> Result<(), StoreError> {
        if database.get(self.clock, INDEX_KEY, &mut |_| {})? {
            let mut batch = WriteBatch::default();
            batch.delete(self.clock, INDEX_KEY);
            database.write(&batch)?;
        }
        self.indexes.clear();
        let prefix = format!("{}:{INDEX_NAME}:", self.store);
        let mut names = database.keyspaces().into_iter().filter(|name| name.starts_with(&prefix));
        names.try_for_each(|name| database.drop_keyspace(&name))
    }

    /// The number of the segment whose index a keyspace is, if it is one of today's.
    fn index_number(&self, segment: &str) -> Option<i64> {
        let (interval, start) = segment.strip_prefix(INDEX_NAME)?.strip_prefix(':')?.split_once(':')?;
        let is_todays = interval.parse() == Ok(self.interval_ms);
        start.parse().ok().filter(|_| is_todays).map(|start| self.number(start))
    }

    /// The keyspaces of all segments and their indexes, as far as the database has them, and the one of the clock.
    pub(crate) fn keyspaces(&self) -> Vec<KeyspaceId> {
        let segments = self.live.values().flatten().chain(self.indexes.values());
        segments.copied().chain([self.clock]).collect()
    }

    /// About how many entries the database holds.
    pub(crate) fn approximate_len(&self, database: &dyn TaskDatabase) -> u64 {
        self.live.values().flatten().map(|&keyspace| database.approximate_len(keyspace)).sum()
    }

    /// The keyspace's name: store names cannot hold a colon, so it is no other store's.
    fn name(&self, number: i64) -> String {
        match number {
            ENDLESS => format!("{}:{ENDLESS_NAME}", self.store),
            index if index < 0 => {
                let (store, interval) = (&self.store, self.interval_ms);
                format!("{store}:{INDEX_NAME}:{interval}:{}", (!index).saturating_mul(interval))
            }
            number => {
                let (store, interval) = (&self.store, self.interval_ms);
                format!("{store}:{interval}:{}", number.saturating_mul(interval))
            }
        }
    }
}

/// The segment's number in front of a key of the layers.
pub(crate) fn segment_of(key: &[u8]) -> i64 {
    key.first_chunk::<SEGMENT_LEN>().map_or(0, |number| i64::from_be_bytes(*number))
}
