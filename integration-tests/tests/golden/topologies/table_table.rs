//! Cases of the group `table-table join`.

use streams_dsl::prelude::*;

use super::ktable::{table, versioned};
use super::{cases, joined, upper_text};
use crate::replay::Side;

cases![
    tt_inner,
    tt_left,
    tt_outer,
    tt_inner_materialized,
    tt_left_materialized,
    tt_outer_materialized,
    tt_inner_then_group,
    tt_filtered,
    tt_self_join,
    tt_versioned_inner,
];

type Rows = KTable<String, String>;

fn sides(b: &StreamsBuilder) -> (Rows, Rows) {
    (table(b, "left", "l"), table(b, "right", "r"))
}

fn inner(b: &StreamsBuilder) -> Rows {
    let (left, right) = sides(b);
    left.join(&right, |left, right| joined(Some(left), Some(right)))
}

fn left(b: &StreamsBuilder) -> Rows {
    let (left, right) = sides(b);
    left.left_join(&right, |left, right| joined(Some(left), right.map(String::as_str)))
}

fn outer(b: &StreamsBuilder) -> Rows {
    let (left, right) = sides(b);
    left.outer_join(&right, |left, right| joined(left.map(String::as_str), right.map(String::as_str)))
}

fn tt_inner(b: &StreamsBuilder, _: &Side) {
    inner(b).to_stream().to("out");
}

fn tt_left(b: &StreamsBuilder, _: &Side) {
    left(b).to_stream().to("out");
}

fn tt_outer(b: &StreamsBuilder, _: &Side) {
    outer(b).to_stream().to("out");
}

fn tt_inner_materialized(b: &StreamsBuilder, _: &Side) {
    inner(b).materialized(Materialized::named("j")).to_stream().to("out");
}

fn tt_left_materialized(b: &StreamsBuilder, _: &Side) {
    left(b).materialized(Materialized::named("j")).to_stream().to("out");
}

fn tt_outer_materialized(b: &StreamsBuilder, _: &Side) {
    outer(b).materialized(Materialized::named("j")).to_stream().to("out");
}

fn last_char(text: &str) -> String {
    text.chars().last().map(String::from).unwrap_or_default()
}

fn tt_inner_then_group(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    left.join(&right, |left, right| last_char(left) + &last_char(right))
        .group_by(|key, value| (value, key.clone()))
        .named("g")
        .count_with(Materialized::named("c"))
        .map_values(|count| count.to_string())
        .to_stream()
        .to("out");
}

fn tt_filtered(b: &StreamsBuilder, _: &Side) {
    let even = |_: &String, value: &String| "02468".contains(&last_char(value)) && !value.is_empty();
    let left = table(b, "left", "l").filter(even);
    let right = table(b, "right", "r").map_values(upper_text);
    left.left_join(&right, |left, right| joined(Some(left), right.map(String::as_str))).to_stream().to("out");
}

fn tt_self_join(b: &StreamsBuilder, _: &Side) {
    let rows = table(b, "left", "l");
    rows.join(&rows, |left, right| joined(Some(left), Some(right))).to_stream().to("out");
    table(b, "right", "r").to_stream().to("out");
}

fn tt_versioned_inner(b: &StreamsBuilder, _: &Side) {
    let (left, right) = (versioned(b, "left", "l", 20_000), versioned(b, "right", "r", 20_000));
    left.join(&right, |left, right| joined(Some(left), Some(right))).to_stream().to("out");
}
