//! Cases of the group `windowed aggregation` with sliding windows.

use streams_dsl::prelude::*;

use super::windowed::{empty, ms, with_plus};
use super::{Text, append, cases, input, text};
use crate::replay::Side;

cases![sliding_count, sliding_aggregate, sliding_aggregate_cached, sliding_reduce_dense];

pub(super) fn sliding(difference: u64, grace: u64) -> SlidingWindows {
    SlidingWindows::of_time_difference(ms(difference)).grace(ms(grace))
}

fn windowed(b: &StreamsBuilder, windows: SlidingWindows) -> TimeWindowedKStream<Text, Text> {
    input(b).group_by_key().windowed_by(windows)
}

fn sliding_count(b: &StreamsBuilder, _: &Side) {
    windowed(b, sliding(5_000, 0)).count_with(Materialized::named("c")).to_stream().to("out");
}

fn sliding_aggregate(b: &StreamsBuilder, _: &Side) {
    windowed(b, sliding(5_000, 8_000))
        .aggregate_with(empty, with_plus, Materialized::named("a"))
        .to_stream()
        .to("out");
}

fn sliding_aggregate_cached(b: &StreamsBuilder, side: &Side) {
    sliding_aggregate(b, side);
}

fn sliding_reduce_dense(b: &StreamsBuilder, _: &Side) {
    windowed(b, sliding(2_000, 3_000))
        .reduce_with(|so_far, value| append(so_far, &format!("|{}", text(&value))), Materialized::named("r"))
        .to_stream()
        .to("out");
}
