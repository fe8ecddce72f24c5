//! The workloads by name.

use std::fmt;
use std::str::FromStr;

/// A workload: a topology, its inputs and the rule for its right output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Upper-cases a text and keeps half of the records; no state.
    Passthrough,
    /// Splits lines, repartitions by word, counts.
    Wordcount,
    /// Hopping windows: count and mean fare by area.
    Surge,
    /// Payments joined with the card's profile, summed per minute, kept above the limit.
    Fraud,
    /// Orders joined with their shipments within a minute.
    Join,
    /// Counts as many keys as there are records: a big store, for restores.
    Keys,
    /// Upper-cases records that carry the present time, for latency.
    Live,
    /// Counts records that carry the present time, for latency in rebalances.
    LiveCount,
    /// Keeps the latest value of each key, a kilobyte each: much state, for crashes and for memory.
    Latest,
    /// `Keys`, and beside it `Passthrough`: tasks that run while others are restored.
    KeysAndPages,
}

impl Workload {
    /// Every workload with its name on the command line.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Passthrough, "passthrough"),
        (Self::Wordcount, "wordcount"),
        (Self::Surge, "surge"),
        (Self::Fraud, "fraud"),
        (Self::Join, "join"),
        (Self::Keys, "keys"),
        (Self::Live, "live"),
        (Self::LiveCount, "live-count"),
        (Self::Latest, "latest"),
        (Self::KeysAndPages, "keys-and-pages"),
    ];

    /// The topics that it reads; the first one decides how many partitions the output has.
    pub fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::Passthrough => &["in-pages"],
            Self::Wordcount => &["in-lines"],
            Self::Surge => &["in-rides"],
            Self::Fraud => &["in-profiles", "in-cards"],
            Self::Join => &["in-orders", "in-shipments"],
            Self::Keys => &["in-keys"],
            Self::Live | Self::LiveCount => &["in-live"],
            Self::Latest => &["in-blobs"],
            Self::KeysAndPages => &["in-keys", "in-pages"],
        }
    }

    /// Whether it runs for a time instead of to the end of its input.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::LiveCount)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(workload, _)| workload == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        named.map(|(workload, _)| *workload).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("no workload `{text}`; there are {}", names.join(", "))
        })
    }
}
