//! A log on a simulated disk, killed and cut off from power at random: what was acknowledged is always there.
//!
//! `LOG_SERVER_SEEDS` sets how many seeds are played, `LOG_SERVER_SEED` which is the first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use uuid::Uuid;

use crate::clock::SteppedClock;
use crate::config::FsyncPolicy;
use crate::disk::simulated::SimulatedDisk;
use crate::log::{Isolation, LogOptions, Marker, OpenMode, PartitionLog, Syncer};
use crate::protocol::ErrorCode;
use crate::records::{BatchBuilder, BatchHeader, NO_SEQUENCE, NewRecord, Records};
use crate::topics::TopicConfig;

const SEEDS: u64 = 50;
/// How often the log is opened again per seed.
const LIVES: u32 = 6;
/// Producers 0 and 1 are idempotent, the others transactional.
const PRODUCERS: i64 = 4;
const FIRST_TRANSACTIONAL: i64 = 2;
const KEYS: u32 = 5;

#[test]
fn nothing_acknowledged_is_lost_at_a_power_cut() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = setting("LOG_SERVER_SEED").unwrap_or(0);
    let mut recoveries = Recoveries::default();
    for seed in first..first + setting("LOG_SERVER_SEEDS").unwrap_or(SEEDS) {
        Simulation::new(seed).run(&mut recoveries);
    }
    println!("{recoveries:?}");
    assert!(recoveries.lost_unacknowledged > 0, "the disk loses nothing: {recoveries:?}");
}

/// What has been played through.
#[derive(Debug, Default)]
struct Recoveries {
    lives: u64,
    interrupted: u64,
    acknowledged_records: i64,
    lost_unacknowledged: u64,
}

/// A batch as it was given to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    producer: i64,
    sequence: i32,
    values: Vec<String>,
    /// A marker that commits or aborts.
    marker: Option<bool>,
}

impl Written {
    fn record_count(&self) -> i64 {
        if self.marker.is_some() { 1 } else { self.values.len() as i64 }
    }
}

struct Simulation {
    seed: u64,
    random: StdRng,
    disk: SimulatedDisk,
    clock: Arc<SteppedClock>,
    config: Arc<TopicConfig>,
    fsync: FsyncPolicy,
    directory: PathBuf,
    /// Batches by offset.
    written: BTreeMap<i64, Written>,
    acknowledged: i64,
    log_start: i64,
    clean_until: i64,
    recovery_point: i64,
    next_value: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = SimulatedDisk::new(seed);
        let directory = PathBuf::from("/data/topic-0");
        crate::disk::Disk::create_dir_all(&disk, &directory).expect("there is power");
        for upper in ["/", "/data"] {
            crate::disk::Disk::sync_directory(&disk, upper.as_ref()).expect("there is power");
        }
        let mut settings = BTreeMap::from([
            ("segment.bytes".to_owned(), random.random_range(300..3000).to_string()),
            ("index.interval.bytes".to_owned(), random.random_range(50..500).to_string()),
        ]);
        if random.random_bool(0.3) {
            settings.insert("cleanup.policy".to_owned(), "compact".to_owned());
            settings.insert("min.cleanable.dirty.ratio".to_owned(), "0.1".to_owned());
        }
        let fsync = if random.random_bool(0.8) { FsyncPolicy::Always } else { FsyncPolicy::Never };
        Simulation {
            seed,
            random,
            disk,
            clock: Arc::default(),
            config: Arc::new(TopicConfig::new(settings, Arc::default()).expect("the settings are valid")),
            fsync,
            directory,
            written: BTreeMap::new(),
            acknowledged: 0,
            log_start: 0,
            clean_until: 0,
            recovery_point: 0,
            next_value: 0,
        }
    }

    fn run(mut self, recoveries: &mut Recoveries) {
        let mut mode = OpenMode::Unclean { recovery_point: 0 };
        for _ in 0..LIVES {
            let mut changes = self.random.random_range(1..200);
            let log = loop {
                self.disk.fail_after(changes);
                match self.open(mode) {
                    Ok(log) => break log,
                    Err(error) => assert!(!self.disk.has_power(), "seed {}: {error}", self.seed),
                }
                recoveries.interrupted += 1;
                self.end_life();
                // What was closed cleanly is not so any more when it has been opened once.
                mode = OpenMode::Unclean { recovery_point: self.recovery_point };
                changes += 50;
            };
            recoveries.lives += 1;
            recoveries.lost_unacknowledged += self.check_recovered(&log);
            let closed = self.live(&log);
            recoveries.acknowledged_records += self.acknowledged;
            drop(log);
            if closed && self.disk.has_power() {
                mode = OpenMode::Clean;
                self.disk.crash();
            } else {
                mode = OpenMode::Unclean { recovery_point: self.recovery_point };
                self.end_life();
            }
        }
    }

    fn open(&self, mode: OpenMode) -> Result<Arc<PartitionLog>, crate::Error> {
        let (syncer, _) = Syncer::by_hand();
        let (disk, clock) = (Arc::new(self.disk.clone()), Arc::clone(&self.clock));
        let options = LogOptions { fsync: self.fsync, syncer, disk, clock, topic_id: Uuid::nil() };
        let config = Arc::clone(&self.config);
        PartitionLog::open("topic".into(), 0, self.directory.clone(), config, options, (mode, self.log_start))
    }

    /// Only `always` promises anything about power cuts.
    fn end_life(&mut self) {
        if self.fsync == FsyncPolicy::Always && self.random.random_bool(0.8) {
            self.disk.restart();
        } else {
            self.disk.crash();
        }
    }

    /// Does this and that until the power fails or the log is closed; true if it was closed.
    fn live(&mut self, log: &Arc<PartitionLog>) -> bool {
        while self.disk.has_power() {
            match self.random.random_range(0..100) {
                0..50 => self.append(log),
                50..60 => self.end_transaction(log),
                60..85 => {
                    log.sync();
                    self.acknowledge(log);
                }
                85..90 => self.recovery_point = log.recovery_point(),
                90..93 => self.delete_records(log),
                93..98 => self.compact(log),
                98 => return log.close().is_ok(),
                _ => return false,
            }
            if self.random.random_bool(0.1) {
                self.check_visible(log);
            }
        }
        false
    }

    fn acknowledge(&mut self, log: &PartitionLog) {
        self.acknowledged = self.acknowledged.max(log.watermarks().high);
    }

    fn append(&mut self, log: &PartitionLog) {
        let producer = self.random.random_range(0..PRODUCERS);
        let last = self.last_of(producer);
        if let Some((offset, last)) = last.clone().filter(|_| self.random.random_bool(0.1)) {
            let (header, batch) = encode(&last);
            match log.append(header, &batch) {
                Ok(appended) => assert_eq!(appended.base_offset, offset, "seed {}: repetition", self.seed),
                Err(error) => self.expect_power_cut(error),
            }
            return;
        }
        let sequence = last.map_or(0, |(_, last)| last.sequence + last.record_count() as i32);
        let values = (0..self.random.random_range(1..6))
            .map(|_| {
                self.next_value += 1;
                format!("{}={}", self.random.random_range(0..KEYS), self.next_value)
            })
            .collect();
        let written = Written { producer, sequence, values, marker: None };
        let (header, batch) = encode(&written);
        let (expected, appended) = self.write(written, || log.append(header, &batch));
        match appended {
            Ok(appended) => assert_eq!(appended.base_offset, expected, "seed {}", self.seed),
            Err(error) => self.expect_power_cut(error),
        }
        if self.fsync == FsyncPolicy::Never {
            self.acknowledge(log);
        }
    }

    fn end_transaction(&mut self, log: &PartitionLog) {
        let open = self.transactions().open;
        let Some(producer) = open.keys().next().copied() else { return };
        let is_commit = self.random.random_bool(0.5);
        let written =
            Written { producer, sequence: NO_SEQUENCE, values: Vec::new(), marker: Some(is_commit) };
        let (header, batch) = encode(&written);
        let marker = if is_commit { Marker::Commit } else { Marker::Abort };
        if let (_, Err(error)) = self.write(written, || log.append_marker(header, &batch, marker, 0)) {
            self.expect_power_cut(error);
        }
        if self.fsync == FsyncPolicy::Never {
            self.acknowledge(log);
        }
    }

    /// Notes the batch before it is written: it may be there even if the power fails meanwhile.
    fn write<T>(&mut self, written: Written, write: impl FnOnce() -> T) -> (i64, T) {
        let offset = self.end_offset();
        self.written.insert(offset, written);
        (offset, write())
    }

    fn expect_power_cut(&self, error: ErrorCode) {
        assert_eq!(error, ErrorCode::KafkaStorageError, "seed {}", self.seed);
        assert!(!self.disk.has_power(), "seed {}: an error without a cause", self.seed);
    }

    fn end_offset(&self) -> i64 {
        self.written.last_key_value().map_or(0, |(offset, written)| offset + written.record_count())
    }

    fn last_of(&self, producer: i64) -> Option<(i64, Written)> {
        let of_producer =
            |(_, written): &(&i64, &Written)| written.producer == producer && written.marker.is_none();
        self.written.iter().rfind(of_producer).map(|(offset, written)| (*offset, written.clone()))
    }

    fn delete_records(&mut self, log: &PartitionLog) {
        let start = self.random.random_range(self.log_start..=log.watermarks().high);
        log.advance_log_start(start).expect("it is within the log");
        // The registry has the start on the disk before it deletes.
        self.log_start = start;
        if let Err(error) = log.delete_before_start() {
            assert!(!self.disk.has_power(), "seed {}: {error}", self.seed);
        }
    }

    fn compact(&mut self, log: &PartitionLog) {
        match log.compact(self.clean_until, 0) {
            Ok(compacted) => self.clean_until = compacted.map_or(self.clean_until, |done| done.clean_until),
            Err(error) => assert!(!self.disk.has_power(), "seed {}: {error}", self.seed),
        }
    }

    /// Compares the log with what was written; batches behind its end are forgotten, their number returned.
    fn check_recovered(&mut self, log: &PartitionLog) -> u64 {
        let seed = self.seed;
        let marks = log.watermarks();
        assert!(marks.high >= self.acknowledged, "seed {seed}: {} of {}", marks.high, self.acknowledged);
        let lost = self.written.split_off(&marks.high).len() as u64;
        if !self.config.compact {
            assert_eq!(marks.high, self.end_offset(), "seed {seed}: a batch is there in part");
        }
        // The end is known by what is there: compaction may have left nothing of the last batches.
        assert_eq!(marks.log_start, self.log_start, "seed {seed}");
        self.acknowledged = marks.high;
        self.check_visible(log);
        let transactions = self.transactions();
        let first_open = transactions.open.values().min().copied();
        assert_eq!(marks.last_stable, first_open.unwrap_or(marks.high).max(self.log_start), "seed {seed}");
        self.check_producers(log);
        lost
    }

    /// What readers see is what was written.
    fn check_visible(&self, log: &PartitionLog) {
        if !self.disk.has_power() {
            return;
        }
        let seed = self.seed;
        let marks = log.watermarks();
        let transactions = self.transactions();
        let mut seen = BTreeMap::new();
        let mut next = self.log_start;
        while next < marks.last_stable {
            let fetched = log.read(next, 200, Isolation::ReadCommitted, true);
            let fetched = fetched.unwrap_or_else(|error| panic!("seed {seed}: {error} at {next}"));
            if fetched.records.is_empty() {
                break;
            }
            let mut rest = &fetched.records[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse_checked(rest).expect("batches that are read are sound");
                see(&header, rest, &mut seen);
                if let Some(aborted) = transactions.aborted_with(&header).filter(|_| header.record_count > 0)
                {
                    // After a compaction it may begin later than it did.
                    let answered = fetched.aborted.iter().any(|txn| {
                        txn.producer_id == aborted.0
                            && (aborted.1..=header.base_offset).contains(&txn.first_offset)
                    });
                    assert!(answered, "seed {seed}: {aborted:?} is aborted, {:?} answered", fetched.aborted);
                }
                next = header.next_offset();
                rest = &rest[header.size_bytes()..];
            }
        }
        // A batch is answered whole, also for an offset within.
        seen.retain(|offset, _| *offset >= self.log_start);
        self.compare(&seen, marks.last_stable);
    }

    fn compare(&self, seen: &BTreeMap<i64, String>, end: i64) {
        let seed = self.seed;
        let expected = self.records(self.log_start, end);
        if !self.config.compact {
            assert_eq!(*seen, expected, "seed {seed}");
            return;
        }
        for (offset, value) in seen {
            assert_eq!(Some(value), expected.get(offset), "seed {seed} at {offset}");
        }
        // Of each key the latest committed value has stayed.
        let aborted = self.transactions().aborted;
        let is_aborted = |offset: i64, producer: i64| {
            aborted.iter().any(|(first, (id, last))| *id == producer && (*first..=*last).contains(&offset))
        };
        let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
        for (base, written) in &self.written {
            for (at, value) in written.values.iter().enumerate() {
                let offset = base + at as i64;
                let key = value.split_once('=').map_or("", |(key, _)| key);
                if (self.log_start..end).contains(&offset) && !is_aborted(offset, written.producer) {
                    latest.insert(key, offset);
                }
            }
        }
        for (key, offset) in latest {
            assert!(seen.contains_key(&offset), "seed {seed}: key {key} at {offset} is gone");
        }
    }

    /// Values by offset, without markers.
    fn records(&self, from: i64, to: i64) -> BTreeMap<i64, String> {
        let all = self.written.iter().flat_map(|(base, written)| {
            written.values.iter().enumerate().map(move |(at, value)| (base + at as i64, value.clone()))
        });
        all.filter(|(offset, _)| (from..to).contains(offset)).collect()
    }

    fn check_producers(&self, log: &PartitionLog) {
        let known: BTreeMap<i64, _> = log.producers().into_iter().collect();
        for producer in 0..PRODUCERS {
            let Some((offset, last)) = self.last_of(producer) else { continue };
            let last_offset = offset + last.record_count() - 1;
            let newest = known.get(&producer).and_then(|entry| entry.batches.back());
            if newest.is_none() && last_offset < self.log_start {
                continue;
            }
            let expected = Some((last.sequence + last.record_count() as i32 - 1, last_offset));
            let found = newest.map(|newest| (newest.last_sequence, newest.last_offset));
            assert_eq!(found, expected, "seed {}: producer {producer}", self.seed);
        }
    }

    fn transactions(&self) -> Transactions {
        let mut all = Transactions::default();
        for (offset, written) in &self.written {
            match written.marker {
                None if written.producer >= FIRST_TRANSACTIONAL => {
                    all.open.entry(written.producer).or_insert(*offset);
                }
                None => {}
                Some(is_commit) => {
                    if let Some(first) = all.open.remove(&written.producer).filter(|_| !is_commit) {
                        all.aborted.insert(first, (written.producer, *offset));
                    }
                }
            }
        }
        all
    }
}

#[derive(Debug, Default)]
struct Transactions {
    /// First offsets by producer.
    open: BTreeMap<i64, i64>,
    /// By first offset: whose, and where the marker is.
    aborted: BTreeMap<i64, (i64, i64)>,
}

impl Transactions {
    /// The aborted transaction that the batch belongs to: producer and first offset.
    fn aborted_with(&self, header: &BatchHeader) -> Option<(i64, i64)> {
        let mut begun = self.aborted.range(..=header.base_offset).rev();
        let of_batch =
            begun.find(|(_, (producer, last))| *producer == header.producer_id && *last > header.base_offset);
        of_batch.map(|(first, (producer, _))| (*producer, *first))
    }
}

fn encode(written: &Written) -> (BatchHeader, Bytes) {
    let mut builder = BatchBuilder::new(1).producer(written.producer, 0, written.sequence);
    if written.producer >= FIRST_TRANSACTIONAL {
        builder = builder.transactional(written.marker.is_some());
    }
    for value in &written.values {
        let key = value.split_once('=').map(|(key, _)| Bytes::copy_from_slice(key.as_bytes()));
        let value = Some(Bytes::copy_from_slice(value.as_bytes()));
        builder.push(&NewRecord { key, value, headers: Vec::new() });
    }
    if let Some(is_commit) = written.marker {
        let key = Bytes::from(vec![0, 0, 0, u8::from(is_commit)]);
        let value = Bytes::from(vec![0; 6]);
        builder.push(&NewRecord { key: Some(key), value: Some(value), headers: Vec::new() });
    }
    let batch = builder.build().expect("it can be encoded");
    (BatchHeader::parse(&batch).expect("it is a batch"), batch)
}

fn see(header: &BatchHeader, batch: &[u8], seen: &mut BTreeMap<i64, String>) {
    if header.is_control() {
        return;
    }
    for record in Records::read(*header, batch).expect("it can be read").iter() {
        let record = record.expect("it can be read");
        let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
        seen.insert(record.offset, value);
    }
}
