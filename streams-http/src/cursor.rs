//! Where a page ends and the next one begins.

use serde::{Deserialize, Serialize};

use crate::encoded::{from_token, to_token};
use crate::error::Refusal;
use crate::partition_read::Place;

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// In stores with windows, whose pages go partition by partition, the partition; none where the keys of all
    /// partitions are merged.
    pub(crate) partition: Option<u32>,
    /// The entry; none at a partition's beginning.
    pub(crate) after: Option<Place>,
}

impl Cursor {
    pub(crate) fn token(&self) -> String {
        to_token(self)
    }

    pub(crate) fn parse(token: &str) -> Result<Self, Refusal> {
        from_token(token).ok_or_else(|| Refusal::bad_request("the cursor is none of this service"))
    }
}
