//! Cases of the group `emit final`: results that leave once, when their window is closed.

use streams_dsl::prelude::*;

use super::windowed::{empty, ms, with_plus};
use super::{Text, cases, input};
use crate::replay::Side;

cases![
    tumbling_on_window_close,
    tumbling_on_window_close_default_retention,
    tumbling_on_window_close_no_grace,
    hopping_on_window_close,
];

fn on_close(b: &StreamsBuilder, windows: TimeWindows) -> TimeWindowedKStream<Text, Text> {
    input(b).group_by_key().windowed_by(windows).emit_strategy(EmitStrategy::OnWindowClose)
}

fn kept_for_an_hour<V: Clone + DefaultSerde + 'static>(name: &str) -> Materialized<Text, V> {
    Materialized::named(name).retention(ms(3_600_000))
}

fn tumbling_on_window_close(b: &StreamsBuilder, _: &Side) {
    let windows = TimeWindows::of_size(ms(10_000)).grace(ms(5_000));
    on_close(b, windows).count_with(kept_for_an_hour("c")).to_stream().to("out");
}

fn tumbling_on_window_close_default_retention(b: &StreamsBuilder, _: &Side) {
    let windows = TimeWindows::of_size(ms(10_000)).grace(ms(5_000));
    on_close(b, windows).count_with(Materialized::named("c")).to_stream().to("out");
}

fn tumbling_on_window_close_no_grace(b: &StreamsBuilder, _: &Side) {
    let windows = TimeWindows::of_size(ms(10_000)).no_grace();
    on_close(b, windows).aggregate_with(empty, with_plus, kept_for_an_hour("a")).to_stream().to("out");
}

fn hopping_on_window_close(b: &StreamsBuilder, _: &Side) {
    let windows = TimeWindows::of_size(ms(10_000)).advance_by(ms(5_000)).grace(ms(3_000));
    on_close(b, windows).count_with(kept_for_an_hour("c")).to_stream().to("out");
}
