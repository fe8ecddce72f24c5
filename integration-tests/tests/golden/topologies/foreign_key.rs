//! Cases of the group `foreign-key join`.

use streams_dsl::prelude::*;

use super::ktable::table;
use super::{cases, joined};
use crate::replay::Side;

cases![fk_inner, fk_left, fk_inner_virtual, fk_inner_then_count, fk_self];

type Rows = KTable<String, String>;

/// What stands before the first colon.
fn reference<S: AsRef<str>>(_: &String, value: &S) -> Option<String> {
    value.as_ref().split_once(':').map(|(before, _)| before.to_owned())
}

fn sides(b: &StreamsBuilder) -> (Rows, Rows) {
    (table(b, "left", "l"), table(b, "right", "r"))
}

fn inner(b: &StreamsBuilder) -> Rows {
    let (left, right) = sides(b);
    left.join_on(&right, reference, |left, right| joined(Some(left), Some(right))).named("fk")
}

fn fk_inner(b: &StreamsBuilder, _: &Side) {
    inner(b).materialized(Materialized::named("j")).to_stream().to("out");
}

fn fk_left(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    left.left_join_on(&right, reference, |left, right| joined(Some(left), right.map(String::as_str)))
        .named("fk")
        .materialized(Materialized::named("j"))
        .to_stream()
        .to("out");
}

fn fk_inner_virtual(b: &StreamsBuilder, _: &Side) {
    inner(b).to_stream().to("out");
}

fn fk_inner_then_count(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    let pair = |left: &String, right: &String| joined(left.split_once(':').map(|(key, _)| key), Some(right));
    left.join_on(&right, reference, pair)
        .named("fk")
        .materialized(Materialized::named("j"))
        .group_by(|key, value| (value, key.clone()))
        .named("g")
        .count_with(Materialized::named("c"))
        .to_stream()
        .map_values(|count| count.map(|count| count.to_string()))
        .to("out");
}

fn fk_self(b: &StreamsBuilder, _: &Side) {
    let rows = table(b, "left", "l");
    let other_row = |key: &String, value: &String| {
        let before = reference(key, value)?;
        Some(match before.as_str() {
            "r1" => "a".to_owned(),
            "r2" => "b".to_owned(),
            _ => before,
        })
    };
    rows.left_join_on(&rows, other_row, |left, right| joined(Some(left), right.map(String::as_str)))
        .named("fk")
        .materialized(Materialized::named("j"))
        .to_stream()
        .to("out");
    let _unused = table(b, "right", "r");
}
