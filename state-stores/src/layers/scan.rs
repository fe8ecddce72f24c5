//! Reads of a range of keys, over all layers.

use std::ops::Bound;

use streams_core::state::{Direction, KeyValueIter, StoreError, StoreOperation};

use super::epoch_writes::NO_SEGMENT;
use super::merge::{Layer, Merge};
use super::{Layers, Place, SEGMENT_LEN, segments};

impl<T: Clone> Layers<T> {
    /// Sorts the layers, and keeps them sorted: comes before a scan.
    pub(crate) fn sort(&mut self) {
        self.cache.sort();
        self.pending.sort();
        self.sealed.sort();
    }

    /// The entries between two keys; in a segmented store within one segment, whose number the keys do not have.
    /// [`Layers::sort`] comes first.
    pub(crate) fn scan(
        &self,
        segment: Option<i64>,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<Merge<'_, T>, StoreError> {
        let begun = self.begun();
        let keyspace = match (&self.place, segment) {
            (Place::Whole(keyspace), _) => Some(*keyspace),
            (Place::Segments(segments), Some(number)) => segments.keyspace(number),
            (Place::Segments(_), None) => None,
        };
        let database = match keyspace {
            Some(keyspace) => self.database.scan(keyspace, bounds, direction)?,
            None => Box::new(std::iter::empty()),
        };
        // The cache has the segment's number in front of a key.
        let prefixed =
            segment.filter(|_| self.cache.is_sorted()).map(|number| within_segment(number, bounds));
        let in_cache = match &prefixed {
            Some((lower, upper)) => (lower.as_ref().map(Vec::as_slice), upper.as_ref().map(Vec::as_slice)),
            None => bounds,
        };
        let merge = self.merge(segment, in_cache, bounds, database, direction);
        self.ended(begun, if segment.is_some() { StoreOperation::Fetch } else { StoreOperation::Range });
        merge
    }

    /// Hands the entries of one segment between two keys, both included, to `visit`, in order. The keys have the
    /// segment's number in front, so that unlike [`Layers::scan`] this copies none of them. [`Layers::sort`] comes first.
    pub(crate) fn visit(
        &self,
        lower: &[u8],
        upper: &[u8],
        visit: impl FnMut(&[u8], T),
    ) -> Result<(), StoreError> {
        let Place::Segments(segments) = &self.place else { return Ok(()) };
        let begun = self.begun();
        let (direction, number) = (Direction::Forward, segments::segment_of(lower));
        let between = |skip: usize| (Bound::Included(&lower[skip..]), Bound::Included(&upper[skip..]));
        let bounds = between(SEGMENT_LEN);
        let database = match segments.keyspace(number) {
            Some(keyspace) => self.database.scan(keyspace, bounds, direction)?,
            None => Box::new(std::iter::empty()),
        };
        let visited = self.merge(Some(number), between(0), bounds, database, direction)?.visit(visit);
        self.ended(begun, StoreOperation::Fetch);
        visited
    }

    /// All layers between two keys, which are `in_cache` where they have the segment's number in front.
    fn merge<'a>(
        &'a self,
        segment: Option<i64>,
        in_cache: (Bound<&[u8]>, Bound<&[u8]>),
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        database: KeyValueIter<'a>,
        direction: Direction,
    ) -> Result<Merge<'a, T>, StoreError> {
        let number = segment.unwrap_or(NO_SEGMENT);
        let merge = Merge {
            store: &self.settings.name,
            format: &*self.format,
            direction,
            prefix_len: segment.map_or(0, |_| SEGMENT_LEN),
            cache: Layer::new(self.cache.range(in_cache), direction),
            pending: Layer::new(self.pending.range(number, bounds), direction),
            sealed: Layer::new(self.sealed.range(number, bounds), direction),
            database,
            database_head: None,
        };
        merge.begin()
    }
}

/// The same bounds behind a segment's number.
fn within_segment(
    number: i64,
    (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let behind = |key: &[u8]| [&number.to_be_bytes(), key].concat();
    let lower = match lower {
        Bound::Unbounded => Bound::Included(number.to_be_bytes().to_vec()),
        bound => bound.map(behind),
    };
    let upper = match upper {
        Bound::Unbounded => match number.checked_add(1) {
            Some(next) => Bound::Excluded(next.to_be_bytes().to_vec()),
            None => Bound::Unbounded,
        },
        bound => bound.map(behind),
    };
    (lower, upper)
}
