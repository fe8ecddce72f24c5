//! Cases of the group `aggregation` that fold two streams into one table.

use streams_dsl::prelude::*;

use super::session::{sessions, with_and};
use super::sliding::sliding;
use super::windowed::{empty, ms, with_plus};
use super::{Text, append, cases};
use crate::replay::Side;

cases![cogroup, cogroup_windowed, cogroup_sliding, cogroup_session];

fn cogrouped(b: &StreamsBuilder) -> CogroupedKStream<Text, Text> {
    let texts = b.stream::<Text, Text>("in1").group_by_key();
    let numbers = b.stream::<Text, Option<i64>>("in2").group_by_key();
    let with_star = |_: &Text, number: Option<i64>, so_far: Text| {
        let number = number.map_or("null".to_owned(), |number| number.to_string());
        append(so_far, &format!("*{number}"))
    };
    texts.cogroup(with_plus).cogroup(&numbers, with_star)
}

fn cogroup(b: &StreamsBuilder, _: &Side) {
    cogrouped(b).aggregate_with(empty, Materialized::named("cg")).to_stream().to("out");
}

fn cogroup_windowed(b: &StreamsBuilder, _: &Side) {
    cogrouped(b)
        .windowed_by(TimeWindows::of_size(ms(10_000)).grace(ms(5_000)))
        .aggregate_with(empty, Materialized::named("cg"))
        .to_stream()
        .to("out");
}

fn cogroup_sliding(b: &StreamsBuilder, _: &Side) {
    cogrouped(b)
        .windowed_by(sliding(4_000, 5_000))
        .aggregate_with(empty, Materialized::named("cg"))
        .to_stream()
        .to("out");
}

fn cogroup_session(b: &StreamsBuilder, _: &Side) {
    cogrouped(b)
        .windowed_by(sessions(4_000, 5_000))
        .aggregate_with(empty, with_and, Materialized::named("cg"))
        .to_stream()
        .to("out");
}
