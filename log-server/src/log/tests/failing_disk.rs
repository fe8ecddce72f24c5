//! A disk without space, and one that cannot sync.

use std::sync::Arc;

use super::{append, batch, open_simulated, read_all};
use crate::disk::simulated::SimulatedDisk;
use crate::log::{OpenMode, PartitionLog};
use crate::protocol::ErrorCode;

fn open(disk: &SimulatedDisk, mode: OpenMode) -> Arc<PartitionLog> {
    open_simulated(disk, 1_000, mode)
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    // Wherever in a batch, an index or a snapshot the space ends.
    for free in 0..300 {
        let disk = SimulatedDisk::new(free);
        let log = open(&disk, OpenMode::Clean);
        let mut next = 0;
        let mut write = |log: &Arc<PartitionLog>| {
            let outcome = append(log, &batch(&[&format!("value-{next}")], 0));
            if let Ok(offset) = outcome {
                assert_eq!(offset, next);
                next += 1;
                log.sync();
            }
            outcome
        };
        for _ in 0..10 {
            write(&log).unwrap();
        }
        disk.limit(Some(disk.used_bytes() + free * 5));
        let refused = (0..100).find_map(|_| write(&log).err());
        assert_eq!(refused, Some(ErrorCode::KafkaStorageError));
        let stored = read_all(&log, 0, 300);
        assert_eq!(stored.len() as i64, log.watermarks().high, "reads go on");
        disk.limit(None);
        for _ in 0..20 {
            write(&log).unwrap();
        }
        disk.restart();
        let log = open(&disk, OpenMode::Unclean { recovery_point: 0 });
        assert_eq!(read_all(&log, 0, 300), super::numbered(next), "{free} times 5 bytes free");
    }
}

#[tokio::test]
async fn a_failed_sync_stops_the_partition_until_it_has_been_recovered() {
    let disk = SimulatedDisk::new(7);
    let log = open(&disk, OpenMode::Clean);
    append(&log, &batch(&["value-0"], 0)).unwrap();
    log.sync();
    log.wait_durable(1).await.unwrap();
    disk.fail_syncs(true);
    append(&log, &batch(&["value-1"], 0)).unwrap();
    log.sync();
    assert_eq!(log.wait_durable(2).await, Err(ErrorCode::KafkaStorageError));
    disk.fail_syncs(false);
    log.sync();
    assert_eq!(
        log.wait_durable(2).await,
        Err(ErrorCode::KafkaStorageError),
        "nobody knows what the pages hold"
    );
    assert_eq!(append(&log, &batch(&["value-2"], 0)), Err(ErrorCode::KafkaStorageError));
    assert_eq!(read_all(&log, 0, 300), super::numbered(1), "what is durable can be read");
    assert!(log.close().is_err(), "the next start must not trust the files");
    disk.restart();
    let log = open(&disk, OpenMode::Unclean { recovery_point: 0 });
    let end = log.watermarks().high;
    assert!((1..=2).contains(&end));
    assert_eq!(append(&log, &batch(&["new"], 0)), Ok(end));
}
