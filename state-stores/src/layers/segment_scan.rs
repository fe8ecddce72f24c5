//! One scan over several segments.

use std::ops::Bound;
use std::vec;

use streams_core::state::{Direction, StoreError};

use super::{Entry, Layers, Merge};

/// The entries between two keys in each of some segments, segment after segment.
pub(crate) struct SegmentScan<'a, T> {
    layers: &'a Layers<T>,
    numbers: vec::IntoIter<i64>,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    direction: Direction,
    current: Option<Merge<'a, T>>,
}

impl<'a, T: Clone> SegmentScan<'a, T> {
    /// Scans segments, whose numbers ascend; [`Layers::sort`] comes first. The bounds leave room for a key.
    pub(crate) fn new(
        layers: &'a Layers<T>,
        mut numbers: Vec<i64>,
        lower: Bound<Vec<u8>>,
        upper: Bound<Vec<u8>>,
        direction: Direction,
    ) -> Self {
        if direction == Direction::Backward {
            numbers.reverse();
        }
        SegmentScan { layers, numbers: numbers.into_iter(), lower, upper, direction, current: None }
    }
}

impl<T: Clone> Iterator for SegmentScan<'_, T> {
    type Item = Result<Entry<T>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(entry) => return Some(entry),
                    None => self.current = None,
                }
            }
            let number = self.numbers.next()?;
            let bounds = (self.lower.as_ref().map(Vec::as_slice), self.upper.as_ref().map(Vec::as_slice));
            match self.layers.scan(Some(number), bounds, self.direction) {
                Ok(merge) => self.current = Some(merge),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
