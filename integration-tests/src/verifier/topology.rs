//! The two applications, and what their topics are called.

use std::time::Duration;

use streams_dsl::prelude::*;

use super::plan::Program;

/// Groups of the aggregates beyond a repartition topic.
pub(super) const GROUPS: i64 = 200;
/// Length of the windows.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Event times are out of order by less than this, so that no record is late.
const GRACE: Duration = Duration::from_secs(24 * 3_600);

/// The input.
pub(super) const DATA: &str = "data";

/// The output topics of a program.
pub(super) fn outputs(program: Program) -> &'static [&'static str] {
    match program {
        Program::Eos => &["echo", "sum", "min", "cnt", "group-max", "group-cnt"],
        Program::Smoke => &["window-cnt", "window-sum", "group-window-cnt"],
    }
}

/// The group of a value.
pub(super) fn group_of(value: i64) -> String {
    format!("g{}", value.rem_euclid(GROUPS))
}

/// The program on topics whose names begin with `prefix`.
pub(super) fn topology(program: Program, prefix: &str) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let data = builder.stream::<String, i64>(name(prefix, DATA));
    match program {
        Program::Eos => eos(&data, prefix),
        Program::Smoke => smoke(&data, prefix),
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
    data.group_by(|_, value| group_of(*value))
        .windowed_by(windows())
        .count_with(Materialized::named("group-window-cnt"))
        .to_stream()
        .to(name(prefix, "group-window-cnt"));
}
