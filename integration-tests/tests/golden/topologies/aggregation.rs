//! Cases of the group `aggregation` over whole streams.

use serde::{Deserialize, Serialize};
use streams_dsl::prelude::*;

use super::{Text, append, cases, input, text, words};
use crate::replay::Side;

cases![count, count_cached, count_group_by, reduce, aggregate, aggregate_f64];

fn count(b: &StreamsBuilder, _: &Side) {
    input(b).group_by_key().count_with(Materialized::named("c")).to_stream().to("out");
}

fn count_cached(b: &StreamsBuilder, side: &Side) {
    count(b, side);
}

fn count_group_by(b: &StreamsBuilder, _: &Side) {
    input(b)
        .group_by(|_, value| words(value).into_iter().next())
        .named("g")
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("out");
}

fn reduce(b: &StreamsBuilder, _: &Side) {
    let sum = |so_far: Option<i64>, value: Option<i64>| {
        let sum = so_far.unwrap_or_default() + value.unwrap_or_default();
        (sum % 7 != 0).then_some(sum)
    };
    b.stream::<Text, Option<i64>>("in")
        .group_by_key()
        .reduce_with(sum, Materialized::named("r"))
        .to_stream()
        .to("out");
}

fn aggregate(b: &StreamsBuilder, _: &Side) {
    let add = |_: &Text, value: Text, so_far: Text| match text(&value) {
        "t" => None,
        value => append(so_far, &format!("+{value}")),
    };
    input(b)
        .group_by_key()
        .aggregate_with(|| Some("0".to_owned()), add, Materialized::named("a"))
        .to_stream()
        .to("out");
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Average {
    n: i64,
    sum: f64,
}

fn aggregate_f64(b: &StreamsBuilder, _: &Side) {
    let add = |_: &Text, value: Option<f64>, so_far: Average| Average {
        n: so_far.n + 1,
        sum: so_far.sum + value.unwrap_or_default(),
    };
    b.stream::<Text, Option<f64>>("in")
        .group_by_key()
        .aggregate_with(|| Average { n: 0, sum: 0.0 }, add, Materialized::named("a"))
        .map_values(|average| average.sum / average.n as f64)
        .to_stream()
        .to("out");
}
