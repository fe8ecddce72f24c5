use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

mod damaged_tails;
mod failing_disk;
mod group_commit;
mod marker_search;
mod power_cuts;
mod sync_journal;

use super::*;
use crate::clock::SteppedClock;
use crate::config::FsyncPolicy;
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::protocol::ErrorCode;
use crate::records::{BatchBuilder, BatchHeader, NewRecord, Records};
use crate::topics::TopicConfig;

fn open(directory: &Path, configs: &[(&str, &str)], mode: OpenMode) -> Arc<PartitionLog> {
    let overrides: BTreeMap<_, _> =
        configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = Arc::new(TopicConfig::new(overrides, Arc::default()).unwrap());
    let options = LogOptions::system(FsyncPolicy::Never, None).unwrap();
    PartitionLog::open("topic".into(), 0, directory.to_owned(), config, options, (mode, 0)).unwrap()
}

/// On a simulated disk; nothing is synced but by hand.
fn open_simulated(disk: &SimulatedDisk, segment_bytes: usize, mode: OpenMode) -> Arc<PartitionLog> {
    let settings = [("segment.bytes".to_owned(), segment_bytes.to_string())];
    let config = TopicConfig::new(settings.into(), Arc::default()).unwrap();
    let (syncer, _) = Syncer::by_hand();
    let options = LogOptions {
        fsync: FsyncPolicy::Always,
        syncer,
        disk: Arc::new(disk.clone()),
        clock: Arc::new(SteppedClock::default()),
        topic_id: Uuid::nil(),
    };
    let directory = PathBuf::from("/topic-0");
    (disk as &dyn Disk).create_dir_durably(&directory).unwrap();
    PartitionLog::open("topic".into(), 0, directory, Arc::new(config), options, (mode, 0)).unwrap()
}

fn batch(values: &[&str], timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(timestamp);
    for value in values {
        builder.push(&NewRecord {
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        });
    }
    builder.build().unwrap()
}

fn append(log: &PartitionLog, batch: &Bytes) -> Result<i64, ErrorCode> {
    let header = BatchHeader::parse_checked(batch).unwrap();
    log.append(header, batch).map(|appended| appended.base_offset)
}

/// The offsets and values of all records from `offset` on, read in steps of `max_bytes`.
fn read_all(log: &PartitionLog, mut offset: i64, max_bytes: usize) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    loop {
        let fetched = log.read(offset, max_bytes, Isolation::ReadUncommitted, true).unwrap();
        if fetched.records.is_empty() {
            return all;
        }
        let mut rest = &fetched.records[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_checked(rest).unwrap();
            let records = Records::read(header, rest).unwrap();
            for record in records.iter().map(Result::unwrap).filter(|record| record.offset >= offset) {
                all.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
            offset = header.next_offset();
            rest = &rest[header.size_bytes()..];
        }
    }
}

fn numbered(count: i64) -> Vec<(i64, String)> {
    (0..count).map(|offset| (offset, format!("value-{offset}"))).collect()
}

/// Small segments and a dense index, so that few records use everything.
const SMALL: [(&str, &str); 2] = [("segment.bytes", "1000"), ("index.interval.bytes", "100")];

fn fill(log: &PartitionLog, count: i64) {
    for offset in 0..count {
        let value = format!("value-{offset}");
        assert_eq!(append(log, &batch(&[&value], 1000 + offset)), Ok(offset));
    }
}

#[test]
fn records_are_read_from_any_offset_in_any_step() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    fill(&log, 100);
    assert!(log.segment_list().len() > 5);
    for offset in 0..=100 {
        for max_bytes in [1, 100, 300, 100_000] {
            assert_eq!(read_all(&log, offset, max_bytes), numbered(100)[offset as usize..]);
        }
    }
    let out = log.read(101, 1, Isolation::ReadUncommitted, true);
    assert!(matches!(out, Err(ErrorCode::OffsetOutOfRange)));
    let one_too_small = log.read(0, 1, Isolation::ReadUncommitted, false).unwrap();
    assert!(one_too_small.records.is_empty());
}

#[test]
fn a_batch_is_answered_whole_for_an_offset_within() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &[], OpenMode::Clean);
    append(&log, &batch(&["a", "b", "c"], 0)).unwrap();
    let fetched = log.read(1, 1000, Isolation::ReadUncommitted, false).unwrap();
    let header = BatchHeader::parse_checked(&fetched.records).unwrap();
    assert_eq!((header.base_offset, header.last_offset()), (0, 2));
}

#[test]
fn clean_and_unclean_reopening_keep_everything() {
    for mode in [OpenMode::Clean, OpenMode::Unclean { recovery_point: 0 }] {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path(), &SMALL, OpenMode::Clean);
        fill(&log, 50);
        if mode == OpenMode::Clean {
            log.close().unwrap();
        }
        drop(log);
        let log = open(directory.path(), &SMALL, mode);
        assert_eq!(log.watermarks().high, 50);
        assert_eq!(read_all(&log, 0, 250), numbered(50));
        assert_eq!(append(&log, &batch(&["value-50"], 0)), Ok(50));
        assert_eq!(read_all(&log, 0, 250), numbered(51));
        let expected_epoch = i32::from(mode != OpenMode::Clean);
        assert_eq!(log.leader_epoch(), expected_epoch);
        assert_eq!((log.epoch_of(49), log.epoch_of(50)), (0, expected_epoch));
    }
}

#[test]
fn lost_indexes_are_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    fill(&log, 50);
    log.close().unwrap();
    drop(log);
    let original = file_bytes(directory.path(), "index");
    for path in files(directory.path(), "index").chain(files(directory.path(), "timeindex")) {
        std::fs::remove_file(path).unwrap();
    }
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    assert_eq!(read_all(&log, 20, 250), numbered(50)[20..]);
    log.close().unwrap();
    let rebuilt = file_bytes(directory.path(), "index");
    let last = original.keys().max().unwrap();
    for (name, bytes) in original.iter().filter(|(name, _)| *name != last) {
        assert_eq!(rebuilt.get(name), Some(bytes), "{name}");
    }
}

fn files(directory: &Path, suffix: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let suffix = suffix.to_owned();
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(move |path| path.extension().is_some_and(|found| found == suffix.as_str()))
}

fn file_bytes(directory: &Path, suffix: &str) -> BTreeMap<String, Vec<u8>> {
    files(directory, suffix)
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn offsets_are_found_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    fill(&log, 100);
    let find = |query| log.find_by_time(query, Isolation::ReadUncommitted).unwrap();
    assert_eq!(find(TimestampQuery::At(0)), Some((1000, 0)));
    for offset in 0..100 {
        assert_eq!(find(TimestampQuery::At(1000 + offset)), Some((1000 + offset, offset)));
    }
    assert_eq!(find(TimestampQuery::At(1100)), None);
    assert_eq!(find(TimestampQuery::Max), Some((1099, 99)));
    append(&log, &batch(&["late"], 5)).unwrap();
    assert_eq!(find(TimestampQuery::Max), Some((1099, 99)));
    drop(log);
    let log = open(directory.path(), &SMALL, OpenMode::Unclean { recovery_point: 0 });
    let found = log.find_by_time(TimestampQuery::At(1042), Isolation::ReadUncommitted);
    assert_eq!(found.unwrap(), Some((1042, 42)));
}

fn producer_batch(sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(0).producer(7, 0, sequence);
    builder.push(&NewRecord::default());
    builder.build().unwrap()
}

#[test]
fn idempotence_survives_every_kind_of_restart() {
    for mode in [OpenMode::Clean, OpenMode::Unclean { recovery_point: 0 }] {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path(), &SMALL, OpenMode::Clean);
        for sequence in 0..30 {
            append(&log, &producer_batch(sequence)).unwrap();
        }
        assert_eq!(append(&log, &producer_batch(29)), Ok(29));
        if mode == OpenMode::Clean {
            log.close().unwrap();
        }
        drop(log);
        let log = open(directory.path(), &SMALL, mode);
        assert_eq!(append(&log, &producer_batch(29)), Ok(29));
        assert_eq!(append(&log, &producer_batch(31)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(append(&log, &producer_batch(30)), Ok(30));
    }
}

#[test]
fn deleted_records_are_gone_and_their_segments_too() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    fill(&log, 100);
    let before = log.segment_list().len();
    assert_eq!(log.advance_log_start(60), Ok(60));
    assert_eq!(log.advance_log_start(101), Err(ErrorCode::OffsetOutOfRange));
    assert!(log.delete_before_start().unwrap() > 0);
    assert!(log.segment_list().len() < before);
    assert_eq!(read_all(&log, 60, 250), numbered(100)[60..]);
    let gone = log.read(59, 250, Isolation::ReadUncommitted, true);
    assert!(matches!(gone, Err(ErrorCode::OffsetOutOfRange)));
}

#[test]
fn retention_by_size_and_age_deletes_whole_segments() {
    let directory = tempfile::tempdir().unwrap();
    let by_size = [SMALL[0], SMALL[1], ("retention.bytes", "3000")];
    let log = open(directory.path(), &by_size, OpenMode::Clean);
    fill(&log, 100);
    let start = log.retention_start(0).unwrap().unwrap();
    log.advance_log_start(start).unwrap();
    log.delete_before_start().unwrap();
    assert!((3000..4000).contains(&log.size_bytes()), "{}", log.size_bytes());

    let directory = tempfile::tempdir().unwrap();
    let by_age = [SMALL[0], SMALL[1], ("retention.ms", "10")];
    let log = open(directory.path(), &by_age, OpenMode::Clean);
    fill(&log, 100);
    assert_eq!(log.retention_start(1000).unwrap(), None);
    assert_eq!(log.retention_start(5000).unwrap(), Some(100));
    assert!(
        open(tempfile::tempdir().unwrap().path(), &SMALL, OpenMode::Clean)
            .retention_start(i64::MAX)
            .unwrap()
            .is_none()
    );
}

#[test]
fn log_append_time_replaces_the_producers() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &[("message.timestamp.type", "LogAppendTime")], OpenMode::Clean);
    let batch = batch(&["a"], 5);
    let appended = log.append(BatchHeader::parse_checked(&batch).unwrap(), &batch).unwrap();
    assert!(appended.log_append_time > 5);
    let fetched = log.read(0, 1000, Isolation::ReadUncommitted, true).unwrap();
    let header = BatchHeader::parse_checked(&fetched.records).unwrap();
    let records = Records::read(header, &fetched.records).unwrap();
    assert_eq!(records.iter().next().unwrap().unwrap().timestamp, appended.log_append_time);
}

#[test]
fn a_flipped_bit_in_an_old_segment_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    fill(&log, 50);
    log.close().unwrap();
    drop(log);
    let first = directory.path().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&first).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    std::fs::write(&first, bytes).unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    let before = log.read(0, 100_000, Isolation::ReadUncommitted, true).unwrap();
    let (mut end, mut rest) = (0, &before.records[..]);
    while !rest.is_empty() {
        let header = BatchHeader::parse_checked(rest).unwrap();
        end = header.next_offset();
        rest = &rest[header.size_bytes()..];
    }
    let read = log.read(end, 100_000, Isolation::ReadUncommitted, true);
    assert!(matches!(read, Err(ErrorCode::CorruptMessage)), "after the sound ones before");
    let offset = log.segment_list()[1].base_offset;
    assert_eq!(read_all(&log, offset, 100_000), numbered(50)[offset as usize..]);
}

/// How many torn tails are tried: `LOG_SERVER_TORN_TAILS`, for example 10000.
fn torn_tails() -> u32 {
    std::env::var("LOG_SERVER_TORN_TAILS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(torn_tails()))]

    /// Whatever a crash leaves of the tail: the log opens, serves a prefix and takes appends after it.
    #[test]
    fn a_torn_tail_leaves_a_valid_prefix(cut in 0..2000usize, flips in prop::collection::vec((0..2000usize, 0..8), 0..4), garbage in 0..100usize) {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path(), &SMALL, OpenMode::Clean);
        fill(&log, 40);
        let active = log.segment_list().last().unwrap().path("log");
        drop(log);
        let mut bytes = std::fs::read(&active).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut));
        for (at, bit) in flips {
            if let Some(byte) = bytes.len().checked_sub(1 + at).and_then(|at| bytes.get_mut(at)) {
                *byte ^= 1u8 << bit;
            }
        }
        bytes.extend(std::iter::repeat_n(0xa5, garbage));
        std::fs::write(&active, bytes).unwrap();
        let log = open(directory.path(), &SMALL, OpenMode::Unclean { recovery_point: 0 });
        let end = log.watermarks().high;
        prop_assert_eq!(read_all(&log, 0, 300), numbered(end));
        let next = format!("value-{end}");
        prop_assert_eq!(append(&log, &batch(&[&next], 0)), Ok(end));
        prop_assert_eq!(read_all(&log, 0, 300), numbered(end + 1));
    }
}
