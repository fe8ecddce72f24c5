//! `.snapshot`: the producers of a partition as they were before an offset, in Kafka's format 1.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::producer_state::{ProducerEntry, ProducerStates, SeenBatch};
use crate::disk::Disk;
use crate::error::Error;
use crate::records::NO_SEQUENCE;

const VERSION: i16 = 1;
/// Version and checksum; the checksum covers what follows.
const HEADER_BYTES: usize = 6;
const ENTRY_BYTES: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// The path of the snapshot before `offset`.
pub(crate) fn path(directory: &Path, offset: i64) -> PathBuf {
    directory.join(format!("{offset:020}.snapshot"))
}

/// Writes the snapshot before `offset`; it is on the disk when this returns.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn write(
    disk: &dyn Disk,
    directory: &Path,
    offset: i64,
    states: &ProducerStates,
) -> Result<(), Error> {
    let path = path(directory, offset);
    disk.replace_durably(&path, &encode(states)).map_err(Error::storage("write", &path))
}

/// Reads the snapshot before `offset`; `None` if it is damaged or not there: the producers are then read from the
/// log itself.
pub(crate) fn read(disk: &dyn Disk, directory: &Path, offset: i64) -> Option<ProducerStates> {
    decode(&disk.read(&path(directory, offset)).ok()?)
}

fn encode(states: &ProducerStates) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + 4 + states.len() * ENTRY_BYTES);
    bytes.put_i16(VERSION);
    bytes.put_u32(0);
    bytes.put_i32(states.len() as i32);
    for (producer_id, entry) in states.iter() {
        let newest = entry.batches.back();
        bytes.put_i64(producer_id);
        bytes.put_i16(entry.epoch);
        bytes.put_i32(newest.map_or(NO_SEQUENCE, |batch| batch.last_sequence));
        bytes.put_i64(newest.map_or(-1, |batch| batch.last_offset));
        bytes.put_i32(newest.map_or(0, |batch| batch.offset_delta));
        bytes.put_i64(entry.last_timestamp);
        bytes.put_i32(entry.coordinator_epoch);
        bytes.put_i64(entry.transaction_start.unwrap_or(-1));
    }
    let crc = crc32c::crc32c(&bytes[HEADER_BYTES..]);
    bytes[2..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<ProducerStates> {
    let version = bytes.try_get_i16().ok()?;
    let crc = bytes.try_get_u32().ok()?;
    if version != VERSION || crc32c::crc32c(bytes) != crc {
        return None;
    }
    let count = bytes.try_get_i32().ok()?;
    if bytes.len() != usize::try_from(count).ok()?.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    let mut states = ProducerStates::default();
    for _ in 0..count {
        let producer_id = bytes.get_i64();
        let epoch = bytes.get_i16();
        let last_sequence = bytes.get_i32();
        let last_offset = bytes.get_i64();
        let offset_delta = bytes.get_i32();
        let last_timestamp = bytes.get_i64();
        let coordinator_epoch = bytes.get_i32();
        let transaction_start = Some(bytes.get_i64()).filter(|offset| *offset >= 0);
        let newest = (last_sequence != NO_SEQUENCE).then(|| SeenBatch {
            first_sequence: sequence_before(last_sequence, offset_delta),
            last_sequence,
            last_offset,
            offset_delta,
            timestamp: last_timestamp,
        });
        let batches = VecDeque::from_iter(newest);
        states.insert(
            producer_id,
            ProducerEntry { epoch, batches, coordinator_epoch, transaction_start, last_timestamp },
        );
    }
    Some(states)
}

/// The sequence number `steps` before `sequence`; before 0 comes the largest one.
fn sequence_before(sequence: i32, steps: i32) -> i32 {
    let difference = i64::from(sequence) - i64::from(steps);
    difference.rem_euclid(i64::from(i32::MAX) + 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn what_is_written_is_read_and_damage_is_noticed() {
        let mut states = ProducerStates::default();
        let newest =
            SeenBatch { first_sequence: 4, last_sequence: 6, last_offset: 99, offset_delta: 2, timestamp: 5 };
        states.insert(
            7,
            ProducerEntry {
                epoch: 3,
                batches: VecDeque::from([newest]),
                coordinator_epoch: 2,
                transaction_start: Some(90),
                last_timestamp: 5,
            },
        );
        let directory = tempfile::tempdir().unwrap();
        write(&OsDisk, directory.path(), 100, &states).unwrap();
        let read_back = read(&OsDisk, directory.path(), 100).unwrap();
        assert_eq!(read_back.iter().collect::<Vec<_>>(), states.iter().collect::<Vec<_>>());
        assert_eq!(read_back.first_unstable_offset(), Some(90));
        let bytes = encode(&states);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_none(), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn sequences_count_back_over_zero() {
        assert_eq!(sequence_before(1, 3), i32::MAX - 1);
        assert_eq!(sequence_before(6, 2), 4);
    }
}
