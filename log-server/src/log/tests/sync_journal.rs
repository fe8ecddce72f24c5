//! The sync journal by itself: what it plays back, and what it leaves alone.

use std::path::PathBuf;

use uuid::Uuid;

use super::*;
use crate::clock::SteppedClock;
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::log::sync_journal::{SyncJournal, play_back, remove};

const DATA_DIR: &str = "/data";
const LOGS: i32 = 3;

/// Some logs on a simulated disk, which are synced in rounds.
struct Bench {
    disk: SimulatedDisk,
    syncer: Arc<Syncer>,
    logs: Vec<Arc<PartitionLog>>,
    topic_id: Uuid,
}

impl Bench {
    fn new(disk: SimulatedDisk, topic_id: Uuid, journal_bytes: u64, mode: OpenMode) -> Self {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let journal = SyncJournal::with_limit(Arc::clone(&shared), Path::new(DATA_DIR), journal_bytes);
        let (syncer, _) = Syncer::by_hand_with(Some(journal));
        let config = [("segment.bytes".to_owned(), "2000".to_owned())];
        let config = Arc::new(TopicConfig::new(config.into(), Arc::default()).unwrap());
        let open = |number: i32| {
            let directory = PathBuf::from(format!("{DATA_DIR}/topic-{number}"));
            shared.create_dir_durably(&directory).unwrap();
            let options = LogOptions {
                fsync: FsyncPolicy::Always,
                syncer: Arc::clone(&syncer),
                disk: Arc::clone(&shared),
                clock: Arc::new(SteppedClock::default()),
                topic_id,
            };
            let opening = (mode, 0);
            PartitionLog::open("topic".into(), number, directory, Arc::clone(&config), options, opening)
                .unwrap()
        };
        let logs = (0..LOGS).map(open).collect();
        Bench { disk, syncer, logs, topic_id }
    }

    fn append_to_all(&self, number: i64) {
        for log in &self.logs {
            append(log, &batch(&[&format!("value-{number}")], 0)).unwrap();
        }
        self.syncer.round(self.logs.clone());
        assert!(self.logs.iter().all(|log| log.watermarks().high == number + 1));
    }

    fn journal_files(&self) -> usize {
        let is_journal = |path: &PathBuf| path.display().to_string().contains("sync-journal");
        self.disk.list(Path::new(DATA_DIR)).unwrap().iter().filter(|path| is_journal(path)).count()
    }

    /// The power fails, and the journal is played back to topics of this id.
    fn restart(self, topic_id: Uuid) -> Self {
        self.disk.restart();
        play_back(&self.disk, Path::new(DATA_DIR), &BTreeMap::from([(topic_id, "topic")])).unwrap();
        let mode = OpenMode::Unclean { recovery_point: 0 };
        let bench = Bench::new(self.disk, self.topic_id, 10_000, mode);
        remove(&bench.disk, Path::new(DATA_DIR)).unwrap();
        assert_eq!(bench.journal_files(), 0);
        bench
    }

    fn lengths(&self) -> Vec<usize> {
        self.logs.iter().map(|log| read_all(log, 0, 300).len()).collect()
    }
}

#[test]
fn rounds_survive_power_cuts_with_one_sync_and_small_journals_are_settled() {
    for seed in 0..100 {
        let topic_id = Uuid::from_u128(7);
        let journal_bytes = if seed % 2 == 0 { 100_000 } else { 1_500 };
        let mut bench = Bench::new(SimulatedDisk::new(seed), topic_id, journal_bytes, OpenMode::Clean);
        let mut next = 0;
        for _ in 0..3 {
            for _ in 0..=seed % 17 {
                bench.append_to_all(next);
                assert!(bench.journal_files() <= 2);
                next += 1;
            }
            bench = bench.restart(topic_id);
            for log in &bench.logs {
                assert_eq!(read_all(log, 0, 300), numbered(next), "seed {seed}");
            }
        }
    }
}

#[test]
fn without_the_journal_the_power_cut_would_have_taken_something() {
    let lost = (0..20).any(|seed| {
        let bench = Bench::new(SimulatedDisk::new(seed), Uuid::from_u128(7), 100_000, OpenMode::Clean);
        (0..10).for_each(|number| bench.append_to_all(number));
        // Entries of another topic are not this one's.
        bench.restart(Uuid::from_u128(8)).lengths().iter().any(|length| *length < 10)
    });
    assert!(lost);
}

#[test]
fn broken_journal_is_done_without() {
    let bench = Bench::new(SimulatedDisk::new(1), Uuid::from_u128(7), 100_000, OpenMode::Clean);
    bench.append_to_all(0);
    bench.disk.limit(Some(bench.disk.used_bytes() + 700));
    bench.append_to_all(1);
    bench.disk.limit(None);
    bench.append_to_all(2);
    let bench = bench.restart(Uuid::from_u128(7));
    assert_eq!(bench.lengths(), [3, 3, 3]);
}
