//! How a branch of a split stream is named.

/// How a branch is named; without this by its place, `1`, `2`, …, the last one `0`.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// let branches = rides
///     .split()
///     .named("fares-")
///     .branch_with(|_, fare| *fare > 100, Branched::named("large"))
///     .no_default();
/// branches["fares-large"].to("large-fares");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Branched {
    pub(crate) name: Option<String>,
}

impl Branched {
    /// A branch named by its place.
    pub fn new() -> Self {
        Branched::default()
    }

    /// A branch with a name, which is put behind that of the split.
    pub fn named(name: impl Into<String>) -> Self {
        Branched { name: Some(name.into()) }
    }
}
