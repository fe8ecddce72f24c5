//! The topologies of the recorded runs, one file per group: each case is a few lines of DSL.

mod stateless;

use streams_dsl::StreamsBuilder;

use crate::replay::Side;

/// Adds a case's topology to the builder.
pub(crate) type Build = fn(&StreamsBuilder, &Side);

/// The topology of a case.
pub(crate) fn find(case: &str) -> Option<Build> {
    let groups = [stateless::CASES];
    groups.into_iter().flatten().find(|(name, _)| *name == case).map(|(_, build)| *build)
}

/// Makes a table of cases from functions: each is named after its case.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub(super) const CASES: &[(&str, super::Build)] = &[$((stringify!($case), $case)),*];
    };
}
use cases;

/// What most topics hold: texts, or null.
type Text = Option<String>;

/// The words of a text; none for an empty text and for null.
fn words(value: &Text) -> Vec<String> {
    let text = value.as_deref().unwrap_or_default();
    if text.is_empty() { Vec::new() } else { text.split(' ').map(str::to_owned).collect() }
}

fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text of a value, `null` where there is none.
fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("null")
}
