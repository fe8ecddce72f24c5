//! Cases of the group `ktable` that read one table.

use std::sync::Arc;
use std::time::Duration;

use streams_dsl::prelude::*;
use streams_dsl::stores::KeyValueStore;
use streams_dsl::{TransformContext, ValueTransformer};

use super::{Text, append, cases, upper_text, utf16_len};
use crate::replay::Side;

cases![
    table_source,
    table_source_virtual,
    table_source_optimized,
    table_filter,
    table_filter_materialized,
    table_filter_not_materialized,
    table_map_values,
    table_map_values_materialized,
    table_chain,
    table_to_stream_rekey,
    table_group_by_aggregate,
    table_group_by_cached,
    table_group_by_sum,
    table_group_by_count,
    table_group_by_reduce,
    table_transform_values,
    table_versioned_source,
    table_versioned_group_by,
    table_versioned_filter,
];

pub(super) fn table(b: &StreamsBuilder, topic: &str, store: &str) -> KTable<String, String> {
    b.table_with(topic, Consumed::new(), Materialized::named(store))
}

fn of_length_2() -> impl Fn(&String, &String) -> bool + Send + Sync + 'static {
    |_, value| utf16_len(value) == 2
}

fn table_source(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t").to_stream().to("out");
}

fn table_source_virtual(b: &StreamsBuilder, _: &Side) {
    b.table::<String, String>("in").to_stream().to("out");
}

fn table_source_optimized(b: &StreamsBuilder, side: &Side) {
    table_source(b, side);
}

fn table_filter(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t").filter(of_length_2()).to_stream().to("out");
}

fn table_filter_materialized(b: &StreamsBuilder, _: &Side) {
    b.table("in").filter(of_length_2()).materialized(Materialized::named("f")).to_stream().to("out");
}

fn table_filter_not_materialized(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t")
        .filter_not(of_length_2())
        .materialized(Materialized::named("f"))
        .to_stream()
        .to("out");
}

fn table_map_values(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t").map_values(upper_text).to_stream().to("out");
}

fn table_map_values_materialized(b: &StreamsBuilder, _: &Side) {
    b.table::<String, String>("in")
        .filter_map_values(|key, value| (value != "t").then(|| format!("{key}:{value}")))
        .materialized(Materialized::named("m"))
        .to_stream()
        .to("out");
}

fn table_chain(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t")
        .filter(|_, value| value != "q")
        .map_values(|value| value.repeat(2))
        .filter(|_, value| value != "tt")
        .materialized(Materialized::named("f"))
        .to_stream()
        .to("out");
}

fn table_to_stream_rekey(b: &StreamsBuilder, _: &Side) {
    let value_or_gone = |_: &String, value: &Text| value.clone().unwrap_or_else(|| "gone".to_owned());
    table(b, "in", "t").to_stream_by(value_or_gone).to("out");
}

fn table_group_by_aggregate(b: &StreamsBuilder, _: &Side) {
    changes_by_value(&table(b, "in", "t"));
}

fn changes_by_value(table: &KTable<String, String>) {
    table
        .group_by(|key, value| (value, key.clone()))
        .named("g")
        .aggregate_with(
            || Some(String::new()),
            |_, key, so_far| append(so_far, &format!("+{key}")),
            |_, key, so_far| append(so_far, &format!("-{key}")),
            Materialized::named("agg"),
        )
        .to_stream()
        .to("out");
}

fn table_group_by_cached(b: &StreamsBuilder, side: &Side) {
    table_group_by_aggregate(b, side);
}

fn numbers(b: &StreamsBuilder) -> KTable<String, i64> {
    b.table_with("in", Consumed::new(), Materialized::named("t"))
}

fn table_group_by_sum(b: &StreamsBuilder, _: &Side) {
    numbers(b)
        .group_by(|key, value| (key.chars().next().unwrap_or('_').to_string(), value))
        .named("g")
        .aggregate_with(
            || Some(0),
            |_, value, sum: Option<i64>| sum.map(|sum| sum + value).filter(|sum| *sum != 0),
            |_, value, sum| sum.map(|sum| sum - value),
            Materialized::named("agg"),
        )
        .to_stream()
        .to("out");
}

fn table_group_by_count(b: &StreamsBuilder, _: &Side) {
    table(b, "in", "t")
        .group_by(|key, value| (Some(value).filter(|value| value != "rr"), key.clone()))
        .named("g")
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("out");
}

fn table_group_by_reduce(b: &StreamsBuilder, _: &Side) {
    numbers(b)
        .group_by(|_, value| (if value % 2 == 0 { "even" } else { "odd" }.to_owned(), value))
        .named("g")
        .reduce_with(|sum, value| sum + value, |sum, value| sum - value, Materialized::named("r"))
        .to_stream()
        .to("out");
}

/// A table that keeps its history for so many ms.
pub(super) fn versioned(
    b: &StreamsBuilder,
    topic: &str,
    store: &str,
    history: u64,
) -> KTable<String, String> {
    b.table_with(topic, Consumed::new(), kept(store, history))
}

fn kept(store: &str, history: u64) -> Materialized<String, String> {
    Materialized::named(store).versioned(Duration::from_millis(history))
}

fn table_versioned_source(b: &StreamsBuilder, _: &Side) {
    versioned(b, "in", "t", 20_000).to_stream().to("out");
}

fn table_versioned_group_by(b: &StreamsBuilder, _: &Side) {
    changes_by_value(&versioned(b, "in", "t", 20_000));
}

fn table_versioned_filter(b: &StreamsBuilder, _: &Side) {
    versioned(b, "in", "t", 20_000)
        .filter(|_, value| utf16_len(value) == 1)
        .materialized(kept("f", 20_000))
        .to_stream()
        .to("out");
}

/// Numbers the calls for each key.
struct Numbered {
    calls: StoreHandle<KeyValueStore<String, i64>>,
    side: Side,
}

impl ValueTransformer<String, String, String> for Numbered {
    fn transform(
        &mut self,
        key: &String,
        value: Option<String>,
        context: &mut TransformContext<'_, '_>,
    ) -> Result<Option<String>, ProcessorError> {
        let calls = context.store_mut(self.calls);
        let call = calls.get(key)?.unwrap_or(0) + 1;
        calls.put(key, Some(call))?;
        self.side.note(format!("{key}={}#{call}", super::text(&value)));
        Ok(value.map(|value| format!("{value}#{call}")))
    }
}

fn table_transform_values(b: &StreamsBuilder, side: &Side) {
    b.add_store(Stores::key_value::<String, i64>("n", Arc::new(Utf8), Arc::new(BigEndian)).build());
    let side = side.clone();
    b.table::<String, String>("in")
        .transform_values(
            move |context| Ok(Numbered { calls: context.store("n")?, side: side.clone() }),
            ["n"],
        )
        .materialized(Materialized::named("x"))
        .to_stream()
        .to("out");
}
