//! Reads of a range of keys, over all layers.

use std::ops::Bound;

use streams_core::state::{Direction, KeyValueIter, StoreError, StoreOperation};

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
        let prefixed = segment.map(|number| within_segment(number, bounds));
        let bounds = match &prefixed {
            Some((lower, upper)) => (lower.as_ref().map(Vec::as_slice), upper.as_ref().map(Vec::as_slice)),
            None => bounds,
        };
        let prefix_len = segment.map_or(0, |_| SEGMENT_LEN);
        let merge = self.merge(prefix_len, bounds, database, direction);
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
        let database = match segments.keyspace(number) {
            Some(keyspace) => self.database.scan(keyspace, between(SEGMENT_LEN), direction)?,
            None => Box::new(std::iter::empty()),
        };
        let visited = self.merge(SEGMENT_LEN, between(0), database, direction)?.visit(visit);
        self.ended(begun, StoreOperation::Fetch);
        visited
    }

    fn merge<'a>(
        &'a self,
        prefix_len: usize,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        database: KeyValueIter<'a>,
        direction: Direction,
    ) -> Result<Merge<'a, T>, StoreError> {
        let merge = Merge {
            store: &self.settings.name,
            format: &*self.format,
            direction,
            prefix_len,
            cache: Layer::new(self.cache.range(bounds), direction),
            pending: Layer::new(self.pending.range(bounds), direction),
            sealed: Layer::new(self.sealed.range(bounds), direction),
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
