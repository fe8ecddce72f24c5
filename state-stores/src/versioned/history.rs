//! Where versions lie, as bytes.
//!
//! A key's latest value is under the key itself in the endless segment: the moment it began to hold, the value.
//! A former version is under the key and the moment it ceased to hold, in that moment's segment: the moment it began
//! to hold, 1, the value. A deletion is a version with a 0 and no value; while it is the latest it lies in the segment
//! of its beginning and ceases to hold at the end of time, so that it is dropped as well in the end.

use std::ops::Bound;

use streams_core::Data;
use streams_core::Timestamp;
use streams_core::serdes::SerdeError;
use streams_core::state::{Direction, StoreError};

use super::{VersionedKeyValueStore, VersionedPut};
use crate::layers::{ENDLESS, unreadable};

const TIME_LEN: usize = 8;
/// When the latest version ceases to hold.
const END_OF_TIME: i64 = i64::MAX;

/// A version as the layers know it; no value is a deletion.
#[derive(Debug)]
pub(super) struct RawVersion {
    pub(super) valid_from: i64,
    pub(super) valid_to: i64,
    pub(super) value: Option<Box<[u8]>>,
}

/// A span of which a history of this length has a handful, so that little more than it is kept (the steps are
/// Kafka's).
pub(super) fn segment_interval_ms(history_ms: i64) -> i64 {
    match history_ms {
        ..=60_000 => (history_ms / 3).max(2_000),
        60_001..=3_600_000 => (history_ms / 5).max(20_000),
        _ => (history_ms / 12).max(720_000),
    }
}

impl<K: 'static, V: Data> VersionedKeyValueStore<K, V> {
    pub(super) fn observed_ms(&mut self) -> i64 {
        self.layers.segments().map_or(-1, |segments| segments.observed_ms())
    }

    /// Puts a version among those of its key.
    pub(super) fn put_version(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        time: i64,
    ) -> Result<VersionedPut, StoreError> {
        if time < self.observed_ms().saturating_sub(self.history_ms) {
            return Ok(VersionedPut::TooOld);
        }
        if let Some(segments) = self.layers.segments() {
            segments.observe(time);
        }
        let latest = match self.latest(key)? {
            Some(latest) => Some(latest),
            None => self.open_deletion(key)?,
        };
        match latest {
            Some(latest) if time < latest.valid_from => {
                return self.put_former(key, value, time, latest.valid_from);
            }
            Some(latest) => {
                if latest.value.is_none() {
                    let number = self.number(latest.valid_from);
                    self.layers.put(&former_key(key, number, END_OF_TIME), None)?;
                }
                if time > latest.valid_from {
                    self.write_former(key, latest.valid_from, time, latest.value.as_deref())?;
                }
            }
            None => {}
        }
        self.write_latest(key, value, time)?;
        Ok(VersionedPut::Latest)
    }

    /// Puts a version before the one that begins at `next`.
    fn put_former(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        time: i64,
        next: i64,
    ) -> Result<VersionedPut, StoreError> {
        let valid_to = match self.first_ceasing_after(key, time, next)? {
            // It ends the one that held so far, and holds for the rest of its time.
            Some(holding) if holding.valid_from <= time => {
                if holding.valid_from < time {
                    self.write_former(key, holding.valid_from, time, holding.value.as_deref())?;
                }
                holding.valid_to
            }
            Some(later) => later.valid_from,
            None => next,
        };
        self.write_former(key, time, valid_to, value)?;
        Ok(VersionedPut::Until(Timestamp::from_millis(valid_to)))
    }

    /// The latest value.
    pub(super) fn latest(&mut self, key: &[u8]) -> Result<Option<RawVersion>, StoreError> {
        let layers_key = [&ENDLESS.to_be_bytes(), key].concat();
        let bytes = self.layers.read(&layers_key, |bytes| bytes.cloned())?;
        bytes.map(|bytes| self.latest_version(&bytes)).transpose()
    }

    /// What lies under a key in the endless segment.
    pub(super) fn latest_version(&self, bytes: &[u8]) -> Result<RawVersion, StoreError> {
        let (valid_from, value) = split_time(bytes).ok_or_else(|| self.damaged(bytes))?;
        Ok(RawVersion { valid_from, valid_to: END_OF_TIME, value: Some(value.into()) })
    }

    /// The deletion that is a key's latest version.
    fn open_deletion(&mut self, key: &[u8]) -> Result<Option<RawVersion>, StoreError> {
        let numbers = self.numbers(0, END_OF_TIME);
        for number in numbers.into_iter().rev() {
            let layers_key = former_key(key, number, END_OF_TIME);
            if let Some(bytes) = self.layers.read(&layers_key, |bytes| bytes.cloned())? {
                let (valid_from, _) = split_time(&bytes).ok_or_else(|| self.damaged(&bytes))?;
                return Ok(Some(RawVersion { valid_from, valid_to: END_OF_TIME, value: None }));
            }
        }
        Ok(None)
    }

    /// Of the former versions that cease to hold after `time`, at the latest at `until`, the first.
    pub(super) fn first_ceasing_after(
        &mut self,
        key: &[u8],
        time: i64,
        until: i64,
    ) -> Result<Option<RawVersion>, StoreError> {
        let numbers = self.numbers(time.saturating_add(1), until);
        self.layers.sort();
        let lower = [key, &time.saturating_add(1).to_be_bytes()].concat();
        let upper = [key, &until.to_be_bytes()].concat();
        let bounds = (Bound::Included(&*lower), Bound::Included(&*upper));
        for number in numbers {
            for entry in self.layers.scan(Some(number), bounds, Direction::Forward)? {
                let (found, bytes) = entry?;
                // Longer keys may lie between.
                let Some((prefix, valid_to)) = found.split_last_chunk::<TIME_LEN>() else { continue };
                if prefix != key {
                    continue;
                }
                let valid_to = i64::from_be_bytes(*valid_to);
                return match split_time(&bytes).and_then(|(time, rest)| Some((time, rest.split_first()?))) {
                    Some((valid_from, (present, value))) => {
                        let value = (*present == 1).then(|| value.into());
                        Ok(Some(RawVersion { valid_from, valid_to, value }))
                    }
                    None => Err(self.damaged(&bytes)),
                };
            }
        }
        Ok(None)
    }

    /// The versions with a value that held between two moments, the latest first. Of moments before the history
    /// retention only the latest version is known.
    pub(super) fn raw_versions(
        &mut self,
        key: &[u8],
        from: i64,
        to: i64,
    ) -> Result<Vec<RawVersion>, StoreError> {
        let mut versions = Vec::new();
        let from = from.max(self.observed_ms().saturating_sub(self.history_ms));
        let mut time = from;
        while time <= to
            && let Some(version) = self.first_ceasing_after(key, time, END_OF_TIME)?
        {
            if version.valid_from > to {
                break;
            }
            time = version.valid_to;
            if version.value.is_some() {
                versions.push(version);
            }
            if time == END_OF_TIME {
                // A deletion is the latest.
                break;
            }
        }
        versions.extend(self.latest(key)?.filter(|latest| latest.valid_from <= to));
        versions.reverse();
        Ok(versions)
    }

    fn write_latest(&mut self, key: &[u8], value: Option<&[u8]>, time: i64) -> Result<(), StoreError> {
        let layers_key = [&ENDLESS.to_be_bytes(), key].concat();
        let bytes = value.map(|value| [&time.to_be_bytes(), value].concat().into());
        let deleted = bytes.is_none();
        self.layers.put(&layers_key, bytes)?;
        if deleted {
            let number = self.number(time);
            self.layers.put(&former_key(key, number, END_OF_TIME), Some(version_bytes(time, None)))?;
        }
        Ok(())
    }

    fn write_former(
        &mut self,
        key: &[u8],
        valid_from: i64,
        valid_to: i64,
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let layers_key = former_key(key, self.number(valid_to), valid_to);
        self.layers.put(&layers_key, Some(version_bytes(valid_from, value))).map(drop)
    }

    fn number(&mut self, time: i64) -> i64 {
        self.layers.segments().map_or(0, |segments| segments.number(time))
    }

    fn numbers(&mut self, from: i64, to: i64) -> Vec<i64> {
        self.layers.segments().map_or_else(Vec::new, |segments| segments.between(from, to))
    }

    fn damaged(&self, bytes: &[u8]) -> StoreError {
        let type_name = "a version of a value";
        let source = SerdeError::WrongLength { type_name, expected: TIME_LEN + 1, actual: bytes.len() };
        unreadable(self.layers.name(), source)
    }
}

fn former_key(key: &[u8], number: i64, valid_to: i64) -> Vec<u8> {
    [&number.to_be_bytes(), key, &valid_to.to_be_bytes()].concat()
}

/// When a former version ceased to hold, by its key; none for a deletion that is the latest.
pub(super) fn former_time(key: &[u8]) -> Option<i64> {
    let (_, valid_to) = key.split_last_chunk::<TIME_LEN>()?;
    Some(i64::from_be_bytes(*valid_to)).filter(|valid_to| *valid_to < END_OF_TIME)
}

fn version_bytes(valid_from: i64, value: Option<&[u8]>) -> Box<[u8]> {
    let present = [u8::from(value.is_some())];
    [&valid_from.to_be_bytes(), &present[..], value.unwrap_or_default()].concat().into()
}

fn split_time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (time, rest) = bytes.split_first_chunk::<TIME_LEN>()?;
    Some((i64::from_be_bytes(*time), rest))
}
