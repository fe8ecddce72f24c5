use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use crate::config::FsyncPolicy;
use crate::log::producer_state::Marker;
use crate::log::{Isolation, LogOptions, OpenMode, PartitionLog};
use crate::records::{BatchBuilder, BatchHeader, Compression, NewRecord, Records};
use crate::topics::TopicConfig;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn open(directory: &Path, mode: OpenMode) -> Arc<PartitionLog> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "500"),
        ("index.interval.bytes", "100"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    let overrides: BTreeMap<_, _> =
        configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = Arc::new(TopicConfig::new(overrides, Arc::default()).unwrap());
    let options = LogOptions::system(FsyncPolicy::Never, None).unwrap();
    PartitionLog::open("topic".into(), 0, directory.to_owned(), config, options, (mode, 0)).unwrap()
}

fn record(key: u8, value: Option<u8>) -> NewRecord {
    let bytes = |byte| Bytes::from(vec![byte]);
    NewRecord {
        key: Some(bytes(key)),
        value: value.map(bytes),
        headers: vec![(bytes(1), None), (bytes(1), Some(bytes(2)))],
    }
}

fn append(log: &PartitionLog, batch: &Bytes) {
    log.append(BatchHeader::parse_checked(batch).unwrap(), batch).unwrap();
}

fn append_records(log: &PartitionLog, records: &[NewRecord], codec: Compression) {
    let mut builder = BatchBuilder::new(1000).compressed(codec);
    for (at, record) in records.iter().enumerate() {
        builder.push_at(record, 1000 + at as i64);
    }
    append(log, &builder.build().unwrap());
}

/// A record as these tests compare it: offset, time, key, value, number of headers.
type Seen = (i64, i64, u8, Option<u8>, usize);

fn read_all(log: &PartitionLog) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut offset = log.watermarks().log_start;
    loop {
        let fetched = log.read(offset, 1000, Isolation::ReadUncommitted, true).unwrap();
        if fetched.records.is_empty() {
            return seen;
        }
        let mut rest = &fetched.records[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse_checked(rest).unwrap();
            if !header.is_control() {
                for record in Records::read(header, rest).unwrap().iter().map(Result::unwrap) {
                    let value = record.value.map(|value| value[0]);
                    seen.push((
                        record.offset,
                        record.timestamp,
                        record.key.unwrap()[0],
                        value,
                        record.headers().count(),
                    ));
                }
            }
            offset = header.next_offset();
            rest = &rest[header.size_bytes()..];
        }
    }
}

/// What a reader that knows only the latest value of each key would have.
fn latest(seen: &[Seen]) -> BTreeMap<u8, Option<u8>> {
    seen.iter()
        .map(|(_, _, key, value, _)| (*key, *value))
        .filter(|(_, value)| value.is_some())
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .filter(|(key, _)| {
            seen.iter().rev().find(|record| record.2 == *key).is_some_and(|record| record.3.is_some())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The table that the log stands for stays the same, offsets and order stay, and what is left in the
    /// compacted part is a selection of what was there.
    #[test]
    fn the_table_stays_the_same(
        batches in prop::collection::vec(
            (prop::collection::vec((0..12u8, prop::option::of(any::<u8>())), 1..5), 0..5i16), 1..60),
        restart: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path(), OpenMode::Clean);
        let mut clean_until = 0;
        for (at, (records, codec)) in batches.iter().enumerate() {
            let records: Vec<_> = records.iter().map(|(key, value)| record(*key, *value)).collect();
            append_records(&log, &records, Compression::from_id(*codec).unwrap());
            if at % 20 == 19 {
                let before = read_all(&log);
                if let Some(compacted) = log.compact(clean_until, 5000).unwrap() {
                    clean_until = compacted.clean_until;
                }
                let after = read_all(&log);
                prop_assert_eq!(latest(&after), latest(&before));
                prop_assert!(after.iter().all(|record| before.contains(record)));
                prop_assert!(after.is_sorted());
                let dirty = |seen: &[Seen]| seen.iter().filter(|record| record.0 >= clean_until).count();
                prop_assert_eq!(dirty(&after), dirty(&before));
            }
        }
        let before = read_all(&log);
        if restart {
            drop(log);
            log = open(directory.path(), OpenMode::Unclean { recovery_point: 0 });
            prop_assert_eq!(read_all(&log), before);
        }
    }
}

fn fill(log: &PartitionLog, key: u8, count: u8) {
    for value in 0..count {
        append_records(log, &[record(key, Some(value))], Compression::None);
    }
}

#[test]
fn tombstones_go_after_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), OpenMode::Clean);
    append_records(&log, &[record(1, Some(1)), record(1, None)], Compression::None);
    fill(&log, 2, 30);
    let compacted = log.compact(0, 5000).unwrap().unwrap();
    assert!(compacted.bytes_after < compacted.bytes_before / 5);
    assert_eq!(read_all(&log)[0], (1, 1001, 1, None, 2));
    fill(&log, 2, 30);
    log.compact(compacted.clean_until, 5000 + DAY_MS / 2).unwrap().unwrap();
    assert_eq!(read_all(&log)[0].2, 1, "the horizon is a day after the first compaction");
    fill(&log, 2, 30);
    log.compact(0, 5001 + DAY_MS).unwrap().unwrap();
    assert_eq!(read_all(&log)[0].2, 2);
}

#[test]
fn aborted_records_go_and_replace_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), OpenMode::Clean);
    fill(&log, 1, 1);
    let mut aborted = BatchBuilder::new(1000).producer(7, 0, 0).transactional(false);
    aborted.push(&record(1, Some(99)));
    append(&log, &aborted.build().unwrap());
    fill(&log, 2, 20);
    assert_eq!(log.compact(0, 5000).unwrap(), None, "an open transaction is not touched");
    let mut marker = BatchBuilder::new(1000).producer(7, 0, -1).transactional(true);
    marker.push(&NewRecord {
        key: Some(Bytes::from_static(&[0, 0, 0, 0])),
        value: Some(Bytes::from_static(&[0, 0, 0, 0, 0, 0])),
        headers: Vec::new(),
    });
    let marker = marker.build().unwrap();
    log.append_marker(BatchHeader::parse(&marker).unwrap(), &marker, Marker::Abort, 0).unwrap();
    fill(&log, 2, 20);
    log.compact(0, 5000).unwrap().unwrap();
    let seen = read_all(&log);
    assert_eq!(seen[0], (0, 1000, 1, Some(0), 2));
    assert!(seen.iter().all(|record| record.3 != Some(99)));
}

#[test]
fn a_producers_last_batch_keeps_its_sequence() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), OpenMode::Clean);
    let numbered = |sequence| {
        let mut builder = BatchBuilder::new(1000).producer(7, 0, sequence);
        builder.push(&record(1, Some(sequence as u8)));
        builder.build().unwrap()
    };
    append(&log, &numbered(0));
    append(&log, &numbered(1));
    fill(&log, 1, 20);
    log.compact(0, 5000).unwrap().unwrap();
    for path in std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|suffix| suffix == "snapshot") {
            std::fs::remove_file(path).unwrap();
        }
    }
    drop(log);
    let log = open(directory.path(), OpenMode::Unclean { recovery_point: 0 });
    let repeated = numbered(1);
    let appended = log.append(BatchHeader::parse(&repeated).unwrap(), &repeated).unwrap();
    assert_eq!(appended.base_offset, 1);
}

#[test]
fn an_interrupted_replacement_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), OpenMode::Clean);
    fill(&log, 1, 40);
    let old: Vec<(std::path::PathBuf, Vec<u8>)> = log
        .segment_list()
        .iter()
        .map(|segment| (segment.path("log"), std::fs::read(segment.path("log")).unwrap()))
        .collect();
    log.compact(0, 5000).unwrap().unwrap();
    let expected = read_all(&log);
    let bases: Vec<i64> = log.segment_list().iter().map(|segment| segment.base_offset).collect();
    drop(log);
    // As a crash after the first rename would leave it: the new file beside all old ones.
    for base in &bases[..bases.len() - 1] {
        let path = crate::log::segment::file_path(directory.path(), *base, "log");
        std::fs::rename(&path, path.with_extension("log.swap")).unwrap();
    }
    let active = old.last().unwrap().0.clone();
    for (path, bytes) in old.into_iter().filter(|(path, _)| *path != active) {
        std::fs::write(path, bytes).unwrap();
    }
    let log = open(directory.path(), OpenMode::Unclean { recovery_point: 0 });
    let seen = read_all(&log);
    assert_eq!(latest(&seen), latest(&expected));
    assert!(expected.iter().all(|record| seen.contains(record)));
    assert!(seen.is_sorted());
}
