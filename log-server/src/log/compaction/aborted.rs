//! Which batches belong to aborted transactions, in a walk through the log.

use std::collections::HashSet;

use crate::log::AbortedTransaction;
use crate::log::segment::Segment;
use crate::records::BatchHeader;

/// Follows the transactions while batches are visited in order.
#[derive(Debug)]
pub(crate) struct AbortedBatches {
    /// Those that have not begun yet, the next one last.
    to_come: Vec<AbortedTransaction>,
    /// Producers whose records here belong to an aborted transaction.
    open: HashSet<i64>,
}

impl AbortedBatches {
    /// For a walk that may begin anywhere in these segments; the index of a transaction is in the segment of its
    /// marker, so these must be all segments up to the end of the log.
    pub(crate) fn new<'a>(segments: impl Iterator<Item = &'a Segment>) -> Self {
        let mut to_come: Vec<AbortedTransaction> =
            segments.flat_map(|segment| segment.indexes().aborted.clone()).collect();
        to_come.sort_unstable_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        AbortedBatches { to_come, open: HashSet::new() }
    }

    /// Visits the next batch: true if its records are aborted.
    pub(crate) fn visit(&mut self, header: &BatchHeader) -> bool {
        while let Some(aborted) = self.to_come.pop_if(|next| next.first_offset <= header.last_offset()) {
            // Its marker may lie before where the walk began.
            if aborted.last_offset >= header.base_offset {
                self.open.insert(aborted.producer_id);
            }
        }
        if header.is_control() {
            self.open.remove(&header.producer_id);
            return false;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}
