//! What tables send from node to node.

use crate::ktable::RowPut;

/// A change of one row of a table: what it held, and what it holds now.
///
/// `old` is known only where something behind the table asked for it (a grouping, a table join); elsewhere it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<V> {
    /// The row before; none where there was no row, or nobody asked.
    pub old: Option<V>,
    /// The row now; none where it was deleted.
    pub new: Option<V>,
    /// Whether this is the row's latest value; false only for a late change of a versioned table.
    pub is_latest: bool,
}

impl<V> Change<V> {
    /// A change to the latest value.
    pub fn new(old: Option<V>, new: Option<V>) -> Self {
        Change { old, new, is_latest: true }
    }

    /// The change as it is to be sent after its row was put; none where nobody is to hear of it.
    pub(crate) fn after(self, put: RowPut) -> Option<Self> {
        (put != RowPut::TooOld).then(|| Change { is_latest: put == RowPut::Latest, ..self })
    }
}
