//! Cases of the group `windowed aggregation` with sessions.

use streams_dsl::prelude::*;

use super::windowed::{empty, ms, with_plus};
use super::{Text, append, cases, input, text};
use crate::replay::Side;

cases![
    session_count,
    session_count_cached,
    session_count_no_grace,
    session_aggregate,
    session_reduce,
    session_on_window_close,
];

pub(super) fn sessions(gap: u64, grace: u64) -> SessionWindows {
    SessionWindows::of_inactivity_gap(ms(gap)).grace(ms(grace))
}

fn windowed(b: &StreamsBuilder, windows: SessionWindows) -> SessionWindowedKStream<Text, Text> {
    input(b).group_by_key().windowed_by(windows)
}

/// Shows in the aggregate that two were merged, and in which order.
pub(super) fn with_and(_: &Text, one: Text, other: Text) -> Text {
    append(one, &format!("&{}", text(&other)))
}

fn session_count(b: &StreamsBuilder, _: &Side) {
    windowed(b, sessions(4_000, 5_000)).count_with(Materialized::named("c")).to_stream().to("out");
}

fn session_count_cached(b: &StreamsBuilder, side: &Side) {
    session_count(b, side);
}

fn session_count_no_grace(b: &StreamsBuilder, _: &Side) {
    windowed(b, sessions(4_000, 0)).count_with(Materialized::named("c")).to_stream().to("out");
}

fn session_aggregate(b: &StreamsBuilder, _: &Side) {
    windowed(b, sessions(4_000, 60_000))
        .aggregate_with(empty, with_plus, with_and, Materialized::named("a"))
        .to_stream()
        .to("out");
}

fn session_reduce(b: &StreamsBuilder, _: &Side) {
    windowed(b, sessions(2_000, 10_000))
        .reduce_with(|so_far, value| append(so_far, &format!("|{}", text(&value))), Materialized::named("r"))
        .to_stream()
        .to("out");
}

fn session_on_window_close(b: &StreamsBuilder, _: &Side) {
    windowed(b, sessions(4_000, 5_000))
        .emit_strategy(EmitStrategy::OnWindowClose)
        .aggregate_with(empty, with_plus, with_and, Materialized::named("a").retention(ms(3_600_000)))
        .to_stream()
        .to("out");
}
