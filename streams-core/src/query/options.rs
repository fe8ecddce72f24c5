//! What a query asks for besides the data, and what an answer is.

use std::time::Duration;

use crate::state::Position;

/// Waits for a position to be reached unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which writes a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Those that are committed, as every reader of the output topics sees them with exactly-once: nothing of it is
    /// ever taken back. Costs the task nothing.
    #[default]
    Committed,
    /// All, those of the record processed last included. The task itself answers, so a long read holds it up.
    Latest,
}

/// What a query asks for besides the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOptions {
    /// Which writes it sees.
    pub consistency: Consistency,
    /// Whether a standby's copy may answer, which is behind by about a second (KIP-535's stale reads).
    pub standbys: bool,
    /// What the data must contain at least: read your writes, or never less than an answer before.
    pub at_least: Position,
    /// How long to wait for that position.
    pub patience: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        QueryOptions {
            consistency: Consistency::Committed,
            standbys: false,
            at_least: Position::default(),
            patience: PATIENCE,
        }
    }
}

/// An answer, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<R> {
    /// What was read.
    pub value: R,
    /// The partition of the store; 0 for a global store.
    pub partition: u32,
    /// What the data contain at least.
    pub position: Position,
    /// Whether a standby's copy was read.
    pub standby: bool,
}

impl<R> Answer<R> {
    /// The same answer with another value.
    pub fn map<T>(self, change: impl FnOnce(R) -> T) -> Answer<T> {
        let Answer { value, partition, position, standby } = self;
        Answer { value: change(value), partition, position, standby }
    }
}
