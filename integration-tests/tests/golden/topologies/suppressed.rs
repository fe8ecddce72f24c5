//! Cases with suppressed tables, of the groups `ktable`, `emit final` and `cache on`.

use std::time::Duration;

use streams_dsl::prelude::*;

use super::ktable::table;
use super::session::sessions;
use super::windowed::{empty, tumbling, windowed, with_plus};
use super::{Text, cases, input};
use crate::replay::Side;

cases![
    table_suppress_time_limit,
    table_suppress_max_records,
    table_suppress_zero,
    suppress_window_close,
    suppress_window_close_cached,
    suppress_hopping_no_grace,
    suppress_window_then_count,
    suppress_window_time_limit,
    suppress_session,
];

fn until_time_limit<K>(millis: u64) -> Suppressed<K> {
    Suppressed::until_time_limit(Duration::from_millis(millis), BufferConfig::unbounded()).name("sup")
}

fn until_window_closes<K>() -> Suppressed<Windowed<K>> {
    Suppressed::until_window_closes(BufferConfig::unbounded()).name("sup")
}

fn counts(b: &StreamsBuilder, grace: u64) -> KTable<Windowed<Text>, i64> {
    windowed(b, tumbling(10_000, grace)).count_with(Materialized::named("c"))
}

fn table_suppress_time_limit(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t").suppress(until_time_limit(5_000)).to_stream().to("out");
}

fn table_suppress_max_records(b: &StreamsBuilder, _: &Side) {
    let hour = Duration::from_secs(3_600);
    let suppressed = Suppressed::until_time_limit(hour, BufferConfig::max_records(2).emit_early_when_full());
    table(b, "in", "t").suppress(suppressed.name("sup")).to_stream().to("out");
}

fn table_suppress_zero(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t").suppress(until_time_limit(0)).to_stream().to("out");
}

fn suppress_window_close(b: &StreamsBuilder, _: &Side) {
    counts(b, 5_000).suppress(until_window_closes()).to_stream().to("out");
}

fn suppress_window_close_cached(b: &StreamsBuilder, side: &Side) {
    suppress_window_close(b, side);
}

fn suppress_hopping_no_grace(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 0).advance_by(Duration::from_millis(5_000)))
        .aggregate_with(empty, with_plus, Materialized::named("a"))
        .suppress(until_window_closes())
        .to_stream()
        .to("out");
}

fn suppress_window_then_count(b: &StreamsBuilder, _: &Side) {
    counts(b, 2_000)
        .suppress(until_window_closes())
        .to_stream()
        .map(|key, count| (key.window.start.to_string(), count.unwrap_or_default()))
        .group_by_key()
        .named("g2")
        .reduce_with(|so_far, count| so_far + count, Materialized::named("r2"))
        .to_stream()
        .to("out");
}

fn suppress_window_time_limit(b: &StreamsBuilder, _: &Side) {
    counts(b, 5_000).suppress(until_time_limit(3_000)).to_stream().to("out");
}

fn suppress_session(b: &StreamsBuilder, _: &Side) {
    input(b)
        .group_by_key()
        .windowed_by(sessions(4_000, 5_000))
        .count_with(Materialized::named("c"))
        .suppress(until_window_closes())
        .to_stream()
        .to("out");
}
