//! Cases of the group `windowed aggregation` with windows of fixed spans.

use std::time::Duration;

use streams_dsl::prelude::*;

use super::{Text, append, cases, input, text, words};
use crate::replay::Side;

cases![
    tumbling_count_no_grace,
    tumbling_count,
    tumbling_aggregate,
    tumbling_reduce,
    tumbling_retention,
    tumbling_in_memory,
    hopping_count,
    hopping_count_cached,
    hopping_aggregate,
    unlimited_window_count,
    windowed_group_by_count,
    windowed_two_level,
    windowed_table_filter,
];

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn tumbling(size: u64, grace: u64) -> TimeWindows {
    TimeWindows::of_size(ms(size)).grace(ms(grace))
}

pub(super) fn windowed(b: &StreamsBuilder, windows: TimeWindows) -> TimeWindowedKStream<Text, Text> {
    input(b).group_by_key().windowed_by(windows)
}

pub(super) fn with_plus(_: &Text, value: Text, so_far: Text) -> Text {
    append(so_far, &format!("+{}", text(&value)))
}

pub(super) fn empty() -> Text {
    Some(String::new())
}

fn tumbling_count_no_grace(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 0)).count_with(Materialized::named("c")).to_stream().to("out");
}

fn tumbling_count(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000)).count_with(Materialized::named("c")).to_stream().to("out");
}

fn tumbling_aggregate(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 60_000))
        .aggregate_with(empty, with_plus, Materialized::named("a"))
        .to_stream()
        .to("out");
}

fn tumbling_reduce(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(7_000, 3_000))
        .reduce_with(|so_far, value| append(so_far, &format!("|{}", text(&value))), Materialized::named("r"))
        .to_stream()
        .to("out");
}

fn tumbling_retention(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000))
        .count_with(Materialized::named("c").retention(ms(120_000)))
        .to_stream()
        .to("out");
}

fn tumbling_in_memory(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000))
        .count_with(Materialized::named("c").in_memory())
        .to_stream()
        .to("out");
}

fn hopping_count(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000).advance_by(ms(4_000)))
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("out");
}

fn hopping_count_cached(b: &StreamsBuilder, side: &Side) {
    hopping_count(b, side);
}

fn hopping_aggregate(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 0).advance_by(ms(5_000)))
        .aggregate_with(empty, with_plus, Materialized::named("a"))
        .to_stream()
        .to("out");
}

fn unlimited_window_count(b: &StreamsBuilder, _: &Side) {
    input(b)
        .group_by_key()
        .windowed_by(UnlimitedWindows::starting_at(5_000))
        .count_with(Materialized::named("c"))
        .to_stream_by(|key, _| Some(format!("{}@{}", text(&key.key), key.window.start)))
        .to("out");
}

fn windowed_group_by_count(b: &StreamsBuilder, _: &Side) {
    input(b)
        .group_by(|_, value| words(value).into_iter().next())
        .named("g")
        .windowed_by(tumbling(10_000, 5_000))
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("out");
}

fn windowed_two_level(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000))
        .count_with(Materialized::named("c1"))
        .to_stream()
        .map(|key, count| (key.window.start.to_string(), count.unwrap_or_default()))
        .group_by_key()
        .named("g2")
        .reduce_with(|so_far, count| so_far + count, Materialized::named("r2"))
        .to_stream()
        .to("out");
}

fn windowed_table_filter(b: &StreamsBuilder, _: &Side) {
    windowed(b, tumbling(10_000, 5_000))
        .count_with(Materialized::named("c"))
        .filter(|_, count| *count >= 2)
        .map_values(|count| count * 10)
        .to_stream()
        .to("out");
}
