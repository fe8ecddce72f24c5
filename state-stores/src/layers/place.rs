//! Where a store keeps its entries.

use streams_core::state::KeyspaceId;

use super::epoch_writes::NO_SEGMENT;
use super::segments::{SEGMENT_LEN, Segments, segment_of};

/// One keyspace, or many.
#[derive(Debug)]
pub(crate) enum Place {
    /// All in one keyspace.
    Whole(KeyspaceId),
    /// In one keyspace for each span of time.
    Segments(Segments),
}

impl Place {
    /// How many bytes in front of a key the database does not see.
    pub(super) fn prefix_len(&self) -> usize {
        match self {
            Place::Whole(_) => 0,
            Place::Segments(_) => SEGMENT_LEN,
        }
    }

    /// The segment of a key of the layers, and the key as the database has it.
    pub(super) fn split<'k>(&self, key: &'k [u8]) -> (i64, &'k [u8]) {
        match self {
            Place::Whole(_) => (NO_SEGMENT, key),
            Place::Segments(_) => (segment_of(key), &key[SEGMENT_LEN..]),
        }
    }

    /// The oldest segment that may be written, once after it has become another one.
    pub(super) fn newly_oldest(&mut self) -> Option<i64> {
        match self {
            Place::Whole(_) => None,
            Place::Segments(segments) => segments.newly_oldest(),
        }
    }

    pub(super) fn is_live(&self, key: &[u8]) -> bool {
        match self {
            Place::Whole(_) => true,
            Place::Segments(segments) => segments.is_live(segment_of(key)),
        }
    }
}
