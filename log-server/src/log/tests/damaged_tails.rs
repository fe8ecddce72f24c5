//! Segments whose end was torn off or whose bits were flipped: the log opens and never serves what is not sound.
//!
//! `LOG_SERVER_TRIALS` sets how many damages are tried, `LOG_SERVER_SEED` the seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{append, batch, open_simulated};
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::log::{Isolation, OpenMode, PartitionLog};
use crate::protocol::ErrorCode;
use crate::records::{BatchHeader, Records};

const TRIALS: u32 = 150;
/// How much of the end is damaged.
const TAIL_BYTES: usize = 64 * 1024;
const RECORDS: i64 = 700;
const SEGMENT_BYTES: usize = 128 * 1024;

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn open(disk: &SimulatedDisk, mode: OpenMode) -> Arc<PartitionLog> {
    open_simulated(disk, SEGMENT_BYTES, mode)
}

fn value(number: i64) -> String {
    format!("{number}:{}", "x".repeat((number % 97) as usize * 10))
}

/// Two segments, the second well above 64 KiB, closed cleanly.
fn written() -> SimulatedDisk {
    let disk = SimulatedDisk::new(0);
    let log = open(&disk, OpenMode::Clean);
    for number in 0..RECORDS {
        append(&log, &batch(&[&value(number)], 1000 + number)).unwrap();
    }
    log.sync();
    log.close().unwrap();
    assert_eq!(log.segment_list().len(), 3);
    disk
}

fn segments(disk: &SimulatedDisk, suffix: &str) -> Vec<PathBuf> {
    let paths = disk.list(Path::new("/topic-0")).unwrap();
    paths.into_iter().filter(|path| path.extension().is_some_and(|found| found == suffix)).collect()
}

/// Reads from `offset` on until the end or an error; every batch must be sound and every record as it was written.
fn read_from(log: &PartitionLog, mut offset: i64, trial: u32) -> (i64, Option<ErrorCode>) {
    loop {
        let fetched = match log.read(offset, 10_000, Isolation::ReadUncommitted, true) {
            Ok(fetched) => fetched,
            Err(code) => return (offset, Some(code)),
        };
        if fetched.records.is_empty() {
            return (offset, None);
        }
        let mut rest = &fetched.records[..];
        while !rest.is_empty() {
            let header =
                BatchHeader::parse_checked(rest).unwrap_or_else(|fault| panic!("trial {trial}: {fault}"));
            for record in Records::read(header, rest).unwrap().iter().map(Result::unwrap) {
                let expected = if record.offset < RECORDS { value(record.offset) } else { "new".to_owned() };
                assert_eq!(record.offset, offset, "trial {trial}");
                assert_eq!(record.value, Some(expected.as_bytes()), "trial {trial}");
                offset += 1;
            }
            rest = &rest[header.size_bytes()..];
        }
    }
}

/// Changes something of the last 64 KiB; returns the first byte that is not as it was.
fn damage(bytes: &mut Vec<u8>, covered: &[bool], random: &mut StdRng) -> usize {
    let from = bytes.len().saturating_sub(TAIL_BYTES);
    let at = loop {
        let at = random.random_range(from..bytes.len());
        if covered[at] {
            break at;
        }
    };
    match random.random_range(0..4) {
        0 => bytes.truncate(at),
        1 => {
            let end = bytes.len().min(at + random.random_range(1..5000));
            bytes[at..end].fill(0);
        }
        2 => {
            let garbage = (0..random.random_range(1..2000)).map(|_| random.random::<u8>());
            bytes.truncate(at);
            bytes.extend(garbage);
        }
        _ => {
            let flips = random.random_range(1..5);
            let places = (0..flips).map(|_| random.random_range(at..bytes.len()));
            let places: Vec<usize> = places.filter(|place| covered[*place]).collect();
            places.iter().for_each(|place| bytes[*place] ^= 1 << random.random_range(0..8));
            return places.into_iter().min().unwrap_or(at);
        }
    }
    at
}

/// Which bytes a checksum covers, or a length or magic that is noticed otherwise. Base offset and leader epoch are
/// filled in by the server and covered by nothing: a flip there passes for another offset.
fn covered_by_checksums(segment: &[u8]) -> Vec<bool> {
    let mut covered = Vec::with_capacity(segment.len());
    while let Ok(header) = BatchHeader::parse(&segment[covered.len()..]) {
        let filled_in = |at: &usize| (0..8).contains(at) || (12..16).contains(at);
        covered.extend((0..header.size_bytes()).map(|at| !filled_in(&at)));
    }
    covered
}

#[test]
fn a_torn_tail_leaves_the_sound_batches_before_it() {
    let seed = setting("LOG_SERVER_SEED").unwrap_or(20_130_103);
    println!("seed {seed} (LOG_SERVER_SEED)");
    let mut random = StdRng::seed_from_u64(seed);
    let whole = written();
    let active = segments(&whole, "log").pop().unwrap();
    let base: i64 = active.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let covered = covered_by_checksums(&whole.read(&active).unwrap());
    let mut refused_reads = 0;
    for trial in 0..setting("LOG_SERVER_TRIALS").unwrap_or(TRIALS) {
        let disk = whole.copy();
        let mut first_damaged = 0;
        disk.damage(&active, |bytes| first_damaged = damage(bytes, &covered, &mut random)).unwrap();
        let (mut sound, mut rest) = (base, &whole.read(&active).unwrap()[..first_damaged]);
        while let Ok(header) = BatchHeader::parse_checked(rest) {
            sound = header.next_offset();
            rest = &rest[header.size_bytes()..];
        }
        // A power cut asks for a scan; after a clean stop nobody expects damage.
        let clean = trial % 2 == 0;
        let log =
            open(&disk, if clean { OpenMode::Clean } else { OpenMode::Unclean { recovery_point: base } });
        let (read, error) = read_from(&log, 0, trial);
        assert!(read >= sound, "trial {trial}: {sound} sound records, read to {read} ({error:?})");
        if let Some(code) = error {
            assert!(clean, "trial {trial}: {code} at {read} although the log was scanned");
            assert_eq!(code, ErrorCode::CorruptMessage, "trial {trial} at {read}");
            refused_reads += 1;
            continue;
        }
        assert_eq!(read, log.watermarks().high, "trial {trial}: the end can be reached");
        if read < RECORDS {
            continue;
        }
        append(&log, &batch(&["new"], 0)).unwrap();
        log.sync();
        assert_eq!(read_from(&log, 0, trial), (log.watermarks().high, None), "trial {trial}: writes go on");
    }
    println!("{refused_reads} reads were refused");
}

#[test]
fn a_flip_in_the_middle_is_reported_and_never_served() {
    let mut random = StdRng::seed_from_u64(20_130_104);
    let whole = written();
    let closed = segments(&whole, "log").remove(1);
    let base: i64 = closed.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let recovery_point = log_end_of(&whole);
    for trial in 0..100 {
        let disk = whole.copy();
        // The first bytes of a batch are not covered by its checksum, but each of them would be noticed as well.
        disk.damage(&closed, |bytes| {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        })
        .unwrap();
        let mode = if trial % 2 == 0 { OpenMode::Clean } else { OpenMode::Unclean { recovery_point } };
        let log = open(&disk, mode);
        assert_eq!(log.watermarks().high, RECORDS, "trial {trial}: nothing is cut off");
        let (read, error) = read_from_leniently(&log, trial);
        assert!(read >= base);
        assert!(error.is_none_or(|code| code == ErrorCode::CorruptMessage), "trial {trial}: {error:?}");
        // What comes after the segment is served.
        let next = segments(&disk, "log").pop().unwrap();
        let next: i64 = next.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(read_from(&log, next, trial), (RECORDS, None));
    }
}

/// The leader epoch and the offsets of a batch are not covered by its checksum, as the server fills them in: a flip
/// there is noticed by the order of offsets at most.
fn read_from_leniently(log: &PartitionLog, trial: u32) -> (i64, Option<ErrorCode>) {
    let mut offset = 0;
    loop {
        match log.read(offset, 10_000, Isolation::ReadUncommitted, true) {
            Err(code) => return (offset, Some(code)),
            Ok(fetched) if fetched.records.is_empty() => return (offset, None),
            Ok(fetched) => {
                let mut rest = &fetched.records[..];
                while !rest.is_empty() {
                    let header = BatchHeader::parse_checked(rest)
                        .unwrap_or_else(|fault| panic!("trial {trial}: served {fault}"));
                    offset = offset.max(header.next_offset());
                    rest = &rest[header.size_bytes()..];
                }
            }
        }
    }
}

fn log_end_of(disk: &SimulatedDisk) -> i64 {
    let newest = segments(disk, "snapshot").pop().unwrap();
    newest.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn damaged_indexes_hide_nothing() {
    let mut random = StdRng::seed_from_u64(20_130_105);
    let whole = written();
    for trial in 0..200 {
        let disk = whole.copy();
        for suffix in ["index", "timeindex", "snapshot"] {
            let path = &segments(&disk, suffix)[random.random_range(0..2)];
            disk.damage(path, |bytes| {
                if !bytes.is_empty() {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] ^= 1 << random.random_range(0..8);
                }
            })
            .unwrap();
        }
        let log = open(&disk, OpenMode::Clean);
        for offset in [0, random.random_range(0..RECORDS), RECORDS - 1] {
            assert_eq!(read_from(&log, offset, trial), (RECORDS, None), "trial {trial} from {offset}");
        }
    }
}
