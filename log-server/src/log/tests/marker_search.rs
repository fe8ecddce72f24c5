//! The marker that ended a transaction is found by its time.

use super::*;

fn marker(producer_id: i64, epoch: i16, is_commit: bool, decided_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new(decided_ms).producer(producer_id, epoch, -1).transactional(true);
    let key = Bytes::copy_from_slice(&[0, 0, 0, u8::from(is_commit)]);
    let value = Bytes::from_static(&[0, 0, 0, 0, 0, 0]);
    builder.push(&NewRecord { key: Some(key), value: Some(value), headers: Vec::new() });
    builder.build().unwrap()
}

fn end(log: &PartitionLog, producer_id: i64, epoch: i16, is_commit: bool, decided_ms: i64) {
    let batch = marker(producer_id, epoch, is_commit, decided_ms);
    let kind = if is_commit { Marker::Commit } else { Marker::Abort };
    log.append_marker(BatchHeader::parse(&batch).unwrap(), &batch, kind, 0).unwrap();
}

#[test]
fn the_marker_of_a_transaction_is_found_by_its_time_over_segments_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &SMALL, OpenMode::Clean);
    // Records have any times, also far in the future.
    let times = [5_000, 20, 90_000, 7, 1];
    let mut ends = Vec::new();
    for round in 0..60_i64 {
        for time in times {
            append(&log, &batch(&["value"], time + round)).unwrap();
        }
        end(&log, 7, 3, round % 3 == 0, 1_000 + round);
        end(&log, 8, 0, true, 1_000 + round);
        ends.push((1_000 + round, round % 3 == 0));
    }
    assert!(log.segment_list().len() > 10);
    let check = |log: &PartitionLog| {
        for (decided_ms, is_commit) in &ends {
            let (epoch, is_commit, decided_ms) = (3, *is_commit, *decided_ms);
            let found = log.find_marker(7, decided_ms).unwrap();
            assert_eq!(found, Some(FoundMarker { epoch, is_commit, decided_ms }));
        }
        assert_eq!(log.find_marker(7, 1_060).unwrap(), None, "none is later");
        assert_eq!(log.find_marker(9, 0).unwrap(), None, "another producer's does not count");
    };
    check(&log);
    log.close().unwrap();
    for mode in [OpenMode::Clean, OpenMode::Unclean { recovery_point: 0 }] {
        check(&open(directory.path(), &SMALL, mode));
    }
}
