//! Cases of the group `stream-table join`.

use std::time::Duration;

use streams_dsl::prelude::*;

use super::{Text, cases, joined, text, upper_text, utf16_len, words};
use crate::replay::Side;

cases![
    sg_inner,
    sg_inner_key,
    sg_left,
    st_inner,
    st_left,
    st_inner_rekeyed,
    st_left_rekeyed,
    st_filtered_table,
    st_join_own_count,
    st_inner_versioned,
    st_left_versioned,
    st_inner_grace,
];

fn stream(b: &StreamsBuilder) -> KStream<Text, Text> {
    b.stream("s")
}

fn rows(b: &StreamsBuilder) -> KTable<Text, String> {
    b.table_with("t", Consumed::new(), Materialized::named("t"))
}

fn with_key(key: &Text, value: &Text, row: Option<&String>) -> Text {
    Some(format!("{}:{}", text(key), joined(value.as_deref(), row.map(String::as_str))))
}

fn first_word(_: &Text, value: &Text) -> Text {
    words(value).into_iter().next()
}

fn st_inner(b: &StreamsBuilder, _: &Side) {
    stream(b).join(&rows(b), |value, row| Some(joined(value.as_deref(), Some(row)))).to("out");
}

fn st_left(b: &StreamsBuilder, _: &Side) {
    stream(b).left_join_with_key(&rows(b), with_key).to("out");
}

fn st_inner_rekeyed(b: &StreamsBuilder, _: &Side) {
    stream(b)
        .select_key(first_word)
        .join(&rows(b), |value, row| Some(joined(value.as_deref(), Some(row))))
        .named("j")
        .to("out");
}

fn st_left_rekeyed(b: &StreamsBuilder, _: &Side) {
    stream(b).select_key(first_word).left_join_with_key(&rows(b), with_key).named("j").to("out");
}

fn st_filtered_table(b: &StreamsBuilder, _: &Side) {
    let stream = stream(b);
    let rows = rows(b).filter(|_, row| utf16_len(row) == 2).map_values(upper_text);
    stream.left_join_with_key(&rows, with_key).to("out");
}

fn st_join_own_count(b: &StreamsBuilder, _: &Side) {
    let stream = stream(b);
    let counts = stream.group_by_key().count_with(Materialized::named("c"));
    stream
        .left_join_with_key(&counts, |key, value, count| {
            let count = count.map(i64::to_string);
            Some(format!("{}:{}", text(key), joined(value.as_deref(), count.as_deref())))
        })
        .to("out");
}

fn versioned(b: &StreamsBuilder, history: u64) -> KTable<Text, String> {
    let history = Duration::from_millis(history);
    b.table_with("t", Consumed::new(), Materialized::named("t").versioned(history))
}

fn st_inner_versioned(b: &StreamsBuilder, _: &Side) {
    stream(b).join(&versioned(b, 30_000), |value, row| Some(joined(value.as_deref(), Some(row)))).to("out");
}

fn st_left_versioned(b: &StreamsBuilder, _: &Side) {
    stream(b).left_join_with_key(&versioned(b, 15_000), with_key).to("out");
}

fn st_inner_grace(b: &StreamsBuilder, _: &Side) {
    let stream = stream(b);
    let rows = versioned(b, 60_000);
    let joined_late = Joined::new().grace(Duration::from_secs(5));
    stream
        .join(rows.with(joined_late), |value, row| Some(joined(value.as_deref(), Some(row))))
        .named("j")
        .to("out");
}

fn global(b: &StreamsBuilder) -> GlobalKTable<String, String> {
    b.global_table_with("g", Consumed::new(), Materialized::named("g"))
}

fn sg_inner(b: &StreamsBuilder, _: &Side) {
    let stream = stream(b);
    stream.join(global(b).by(first_word), |value, row| Some(joined(value.as_deref(), Some(row)))).to("out");
}

fn sg_inner_key(b: &StreamsBuilder, _: &Side) {
    let (stream, key) = (stream(b), |key: &Text, _: &Text| key.clone());
    stream.join(global(b).by(key), |value, row| Some(joined(value.as_deref(), Some(row)))).to("out");
}

fn sg_left(b: &StreamsBuilder, _: &Side) {
    let stream = stream(b);
    stream.left_join_with_key(global(b).by(first_word), with_key).to("out");
}
