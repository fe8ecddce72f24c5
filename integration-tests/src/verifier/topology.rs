//! The two applications, and what their topics are called.

use std::time::Duration;

use streams_dsl::prelude::*;

use super::application::Application;
use super::plan::Program;

/// Groups of the aggregates beyond a repartition topic.
pub(super) const GROUPS: i64 = 200;
/// Length of the windows.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Beyond the repartition topic an instance that stood still is far behind the others; none of its records is late.
const GRACE: Duration = Duration::from_secs(24 * 3_600);
/// Length of the windows whose final results are awaited.
const FINAL_WINDOW: Duration = Duration::from_secs(1);
/// Within a partition of the input, event times are out of order by less than this, so that no record is late.
const FINAL_GRACE: Duration = Duration::from_secs(4);

/// The input.
pub(super) const DATA: &str = "data";

/// The output topics of a program.
pub(super) fn outputs(program: Program) -> &'static [&'static str] {
    match program {
        Program::Eos => &["echo", "sum", "min", "cnt", "group-max", "group-cnt"],
        Program::Smoke => &["window-cnt", "window-sum", "window-final", "group-window-cnt"],
    }
}

/// The group of a value.
pub(super) fn group_of(value: i64) -> String {
    format!("g{}", value.rem_euclid(GROUPS))
}

/// The start of the window with a final result to which an event belongs.
pub(super) fn final_window_of(at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(FINAL_WINDOW.as_millis() as i64)
}

/// Whether such a window is closed at a stream time.
pub(super) fn is_closed(start_ms: i64, stream_time_ms: i64) -> bool {
    start_ms + (FINAL_WINDOW + FINAL_GRACE).as_millis() as i64 <= stream_time_ms
}

/// The application on topics whose names begin with `prefix`.
pub(super) fn topology(application: Application, prefix: &str) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let data = builder.stream::<String, i64>(name(prefix, DATA));
    match application {
        Application::Eos => eos(&data, prefix),
        Application::Smoke => smoke(&data, prefix),
        Application::Relay => relay(&data, prefix),
        Application::Tally => tally(&data, prefix),
        Application::Poison => poison(&data, prefix),
    }
    builder.build()
}

/// A topic of a run.
pub(super) fn name(prefix: &str, topic: &str) -> String {
    format!("{prefix}-{topic}")
}

fn eos(data: &KStream<String, i64>, prefix: &str) {
    let to = |table: KTable<String, i64>, topic: &str| {
        table.to_stream().to(name(prefix, topic));
    };
    data.to(name(prefix, "echo"));
    let by_key = data.group_by_key();
    to(by_key.aggregate_with(|| 0, |_, value, sum| sum + value, Materialized::named("sum")), "sum");
    to(by_key.aggregate_with(|| i64::MAX, |_, value, min| value.min(min), Materialized::named("min")), "min");
    to(by_key.count_with(Materialized::named("cnt")), "cnt");
    let by_group = data.group_by(|_, value| group_of(*value));
    let max = Materialized::named("group-max");
    to(by_group.aggregate_with(|| i64::MIN, |_, value, max| value.max(max), max), "group-max");
    to(by_group.count_with(Materialized::named("group-cnt")), "group-cnt");
}

fn smoke(data: &KStream<String, i64>, prefix: &str) {
    let windows = || TimeWindows::of_size(WINDOW).grace(GRACE);
    let by_key = data.group_by_key().windowed_by(windows());
    by_key.count_with(Materialized::named("window-cnt")).to_stream().to(name(prefix, "window-cnt"));
    by_key
        .aggregate_with(|| 0, |_, value, sum| sum + value, Materialized::named("window-sum"))
        .to_stream()
        .to(name(prefix, "window-sum"));
    data.group_by_key()
        .windowed_by(TimeWindows::of_size(FINAL_WINDOW).grace(FINAL_GRACE))
        .count_with(Materialized::named("window-final"))
        .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()).name("final"))
        .to_stream()
        .to(name(prefix, "window-final"));
    data.group_by(|_, value| group_of(*value))
        .windowed_by(windows())
        .count_with(Materialized::named("group-window-cnt"))
        .to_stream()
        .to(name(prefix, "group-window-cnt"));
}

/// The output of a relay or a tally.
pub(super) const SIGNED: &str = "signed";

/// A number of 32 bits, and before it the process that wrote it.
fn signed(number: i64) -> i64 {
    (i64::from(std::process::id()) << 32) | (number & i64::from(u32::MAX))
}

/// The process that wrote a signed number, and the number.
pub(super) fn signature(signed: i64) -> (u32, u32) {
    ((signed >> 32) as u32, signed as u32)
}

fn relay(data: &KStream<String, i64>, prefix: &str) {
    data.map_values(signed).to(name(prefix, SIGNED));
}

fn tally(data: &KStream<String, i64>, prefix: &str) {
    let counts = data.group_by_key().count_with(Materialized::named("tally"));
    counts.to_stream().map_values(|count| signed(count.unwrap_or_default())).to(name(prefix, SIGNED));
}

/// Remainder, by a thousand, of the numbers that cannot be doubled.
pub(super) const POISONED: i64 = 7;

/// Where the doubles go, and how many there are of each key.
pub(super) const DOUBLED: &str = "doubled";
/// The dead letters.
pub(super) const DEAD: &str = "dead";
/// Counts of the doubles by key.
pub(super) const DOUBLES: &str = "doubles";

fn poison(data: &KStream<String, i64>, prefix: &str) {
    let doubled = data.map_values(|number| {
        assert!(number % 1_000 != POISONED, "{number} cannot be doubled");
        number * 2
    });
    doubled.to(name(prefix, DOUBLED));
    let counts = doubled.group_by_key().count_with(Materialized::named("doubles"));
    counts.to_stream().to(name(prefix, DOUBLES));
}
