//! Much is restored at once: changes are gathered into runs, which the database takes in sorted.
//!
//! A run need not be atomic, for the offset behind it is written when all of it is in the database. If the process dies in
//! between, the store holds more than its offset says, and the changelog is read again from that offset: the same
//! changes come to the same end, and before that end no task runs.

use crate::state::WriteBatch;

/// So many records are worth sorting.
const RECORDS_MIN: i64 = 50_000;
/// A run holds at most this, be there ever so much room.
const RUN_BYTES_MAX: usize = 32 << 20;
/// What a change costs in a run beside its bytes, with its place while it is sorted.
const CHANGE_OVERHEAD_BYTES: usize = 128;

/// The run of one changelog that is being gathered.
#[derive(Debug)]
pub(super) struct BulkLoad {
    pub(super) run: WriteBatch,
    end: i64,
    run_bytes: usize,
}

impl BulkLoad {
    /// For a restore up to `end`, in runs of at most `run_bytes`; none where there is too little to restore.
    pub(super) fn of(next: i64, end: i64, run_bytes: usize) -> Option<Self> {
        let run_bytes = run_bytes.min(RUN_BYTES_MAX);
        (end - next >= RECORDS_MIN).then(|| BulkLoad { run: WriteBatch::default(), end, run_bytes })
    }

    /// Whether the run is to be loaded, now that everything before `next` is in it.
    pub(super) fn is_due(&self, next: i64) -> bool {
        self.ends(next) || self.run.byte_len() + self.run.len() * CHANGE_OVERHEAD_BYTES >= self.run_bytes
    }

    /// Whether that was the last run.
    pub(super) fn ends(&self, next: i64) -> bool {
        next >= self.end
    }
}
