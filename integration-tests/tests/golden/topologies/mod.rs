//! The topologies of the recorded runs, one file per group: each case is a few lines of DSL.

mod aggregation;
mod application;
mod cogroup;
mod emit_final;
mod foreign_key;
mod ktable;
mod processor_api;
mod session;
mod sliding;
mod stateless;
mod stream_stream;
mod stream_table;
mod suppressed;
mod table_table;
mod windowed;

use streams_dsl::topology::Topology;
use streams_dsl::{KStream, StreamsBuilder};

use crate::replay::Side;

/// Adds a case's topology to the builder.
pub(crate) type Build = fn(&StreamsBuilder, &Side);

/// Makes a case's topology below the DSL.
pub(crate) type RawBuild = fn() -> Topology;

/// The topology of a case that is not written in the DSL.
pub(crate) fn find_raw(case: &str) -> Option<RawBuild> {
    processor_api::RAW_CASES.iter().find(|(name, _)| *name == case).map(|(_, build)| *build)
}

/// The topology of a case.
pub(crate) fn find(case: &str) -> Option<Build> {
    let groups = [
        stateless::CASES,
        aggregation::CASES,
        cogroup::CASES,
        windowed::CASES,
        session::CASES,
        sliding::CASES,
        emit_final::CASES,
        ktable::CASES,
        stream_stream::CASES,
        stream_table::CASES,
        suppressed::CASES,
        table_table::CASES,
        foreign_key::CASES,
        application::CASES,
        processor_api::CASES,
    ];
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

fn input(b: &StreamsBuilder) -> KStream<Text, Text> {
    b.stream("in")
}

fn upper_text(value: String) -> String {
    value.to_uppercase()
}

/// The last 40 UTF-16 units of a text and what is put behind it.
fn append(text: Text, more: &str) -> Text {
    let whole: Vec<u16> =
        text.as_deref().unwrap_or("null").encode_utf16().chain(more.encode_utf16()).collect();
    Some(String::from_utf16_lossy(&whole[whole.len().saturating_sub(40)..]))
}

/// Both sides of a join as a text.
fn joined(left: Option<&str>, right: Option<&str>) -> String {
    format!("({},{})", left.unwrap_or("null"), right.unwrap_or("null"))
}
