//! Cases of the group `stateless`.

use std::time::Duration;

use streams_dsl::prelude::*;
use streams_dsl::processor::TimestampExtractor;
use streams_dsl::{Consumed, FixedKeyContext, FixedKeyRecord, Repartitioned, StreamsBuilder};

use super::{Text, cases, input, text, utf16_len, words};
use crate::replay::Side;

cases![
    filter,
    filter_not,
    map,
    map_values,
    map_values_with_key,
    flat_map,
    flat_map_values,
    select_key,
    branch_default,
    branch_no_default,
    merge,
    multi_topic_source,
    peek_foreach,
    two_sinks,
    process,
    process_values,
    repartition,
    through_topic,
    topic_routing,
    timestamp_skip_invalid,
    partition_time_extractor,
    deserialization_skip,
    to_table,
    to_table_rekeyed,
    headers_propagation,
    timestamp_extractor,
];

fn upper(value: Text) -> Text {
    value.map(|text| text.to_uppercase())
}

fn even(_: &Text, value: &Text) -> bool {
    value.as_ref().is_some_and(|text| utf16_len(text).is_multiple_of(2))
}

fn contains(part: &'static str) -> impl Fn(&Text, &Text) -> bool + Send + Sync + 'static {
    move |_, value| value.as_ref().is_some_and(|text| text.contains(part))
}

fn filter(b: &StreamsBuilder, _: &Side) {
    input(b).filter(even).to("out");
}

fn filter_not(b: &StreamsBuilder, _: &Side) {
    input(b).filter_not(even).to("out");
}

fn map(b: &StreamsBuilder, _: &Side) {
    input(b).map(|key, value| (value, key)).to("out");
}

fn map_values(b: &StreamsBuilder, _: &Side) {
    input(b).map_values(upper).to("out");
}

fn map_values_with_key(b: &StreamsBuilder, _: &Side) {
    input(b)
        .map_values_with_key(|key, value| (utf16_len(text(key)) * 100 + utf16_len(text(&value))) as i64)
        .to("out");
}

fn flat_map(b: &StreamsBuilder, _: &Side) {
    input(b)
        .flat_map(|_, value| {
            (0i64..).zip(words(&value)).map(|(place, word)| (word, place)).collect::<Vec<_>>()
        })
        .to("out");
}

fn flat_map_values(b: &StreamsBuilder, _: &Side) {
    input(b).flat_map_values(|value| words(&value)).to("out");
}

fn first_word(_: &Text, value: &Text) -> Text {
    words(value).into_iter().next()
}

fn select_key(b: &StreamsBuilder, _: &Side) {
    input(b).select_key(first_word).to("out");
}

fn branch_default(b: &StreamsBuilder, _: &Side) {
    input(b)
        .split()
        .named("br-")
        .branch(contains("red"), |red| drop(red.to("red")))
        .branch(contains("blue"), |blue| drop(blue.to("blue")))
        .otherwise(|rest| drop(rest.to("rest")));
}

fn branch_no_default(b: &StreamsBuilder, _: &Side) {
    let branches = input(b)
        .split()
        .named("br-")
        .branch_with(contains("red"), Branched::named("r"))
        .branch_with(contains("blue"), Branched::named("b"))
        .no_default();
    let red = branches["br-r"].map_values(|value| Some(format!("R:{}", text(&value))));
    let blue = branches["br-b"].map_values(|value| Some(format!("B:{}", text(&value))));
    red.merge(&blue).to("out");
}

fn merge(b: &StreamsBuilder, _: &Side) {
    let first = b.stream::<Text, Text>("in1");
    first.merge(&b.stream("in2")).to("out");
}

fn multi_topic_source(b: &StreamsBuilder, _: &Side) {
    b.streams::<Text, Text>(["in1", "in2"]).map_values(upper).to("out");
}

fn peek_foreach(b: &StreamsBuilder, side: &Side) {
    let stream = input(b);
    let (peeked, each) = (side.clone(), side.clone());
    stream
        .peek(move |key, value| peeked.note(format!("peek:{}={}", text(key), text(value))))
        .filter(|_, value| value.is_some())
        .to("out");
    stream.for_each(move |key, value| each.note(format!("each:{}={}", text(key), text(value))));
}

fn two_sinks(b: &StreamsBuilder, _: &Side) {
    let stream = input(b);
    stream.map_values(upper).to("out1");
    stream.to("out2");
    stream.filter(|_, value| value.is_none()).to("out1");
}

struct Twice;

impl Processor<Text, Text, Text, Text> for Twice {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        context: &mut ProcessorContext<'_, '_, Text, Text>,
    ) -> Result<(), ProcessorError> {
        let mut headers = record.headers.clone();
        headers.add("p", Some(text(&record.key).to_owned().into()));
        context.forward(record.clone().with_headers(headers))?;
        match upper(record.value) {
            Some(value) => context.forward(Record::new(
                record.key,
                Some(value),
                record.timestamp + Duration::from_millis(1),
            )),
            None => Ok(()),
        }
    }
}

fn process(b: &StreamsBuilder, _: &Side) {
    input(b).process(|_: &mut _| Ok(Twice), [] as [&str; 0]).to("out");
}

struct AndReversed;

impl FixedKeyProcessor<Text, Text, Text> for AndReversed {
    fn process(
        &mut self,
        record: FixedKeyRecord<Text, Text>,
        context: &mut FixedKeyContext<'_, '_, '_, Text, Text>,
    ) -> Result<(), ProcessorError> {
        let Some(value) = record.value().clone() else { return Ok(()) };
        context.forward(record.clone())?;
        context.forward(record.with_value(Some(value.chars().rev().collect())))
    }
}

fn process_values(b: &StreamsBuilder, _: &Side) {
    input(b).process_values(|_| Ok(AndReversed), [] as [&str; 0]).to("out");
}

fn repartition(b: &StreamsBuilder, _: &Side) {
    input(b)
        .select_key(first_word)
        .repartition_with(Repartitioned::named("rp").partitions(1))
        .map_values(upper)
        .to("out");
}

fn through_topic(b: &StreamsBuilder, _: &Side) {
    input(b).map_values(upper).to("mid");
    b.stream::<Text, Text>("mid").filter(even).to("out");
}

fn topic_routing(b: &StreamsBuilder, _: &Side) {
    input(b).to_chosen(|record, _| match record {
        record if record.timestamp.as_millis() % 10 == 0 => "tens",
        record if utf16_len(text(&record.value)).is_multiple_of(2) => "even",
        _ => "odd",
    });
}

/// The field `t` of a JSON value.
fn field_t(value: &Option<serde_json::Value>) -> Option<Timestamp> {
    Some(Timestamp::from_millis(value.as_ref()?.get("t")?.as_i64()?))
}

fn timestamp_skip_invalid(b: &StreamsBuilder, _: &Side) {
    let from_field = Consumed::new().timestamps(|record: &Record<Text, Option<serde_json::Value>>, _| {
        field_t(&record.value).unwrap_or(Timestamp::UNKNOWN)
    });
    b.stream_with("in", from_field).to("out");
}

fn partition_time_extractor(b: &StreamsBuilder, _: &Side) {
    let consumed = Consumed::new().timestamp_extractor(TimestampExtractor::Custom(std::sync::Arc::new(
        |record: &Record<Text, Text>, partition_time| {
            if record.timestamp.as_millis() % 3 == 0 { partition_time } else { record.timestamp }
        },
    )));
    b.stream_with("in", consumed).to("out");
}

fn deserialization_skip(b: &StreamsBuilder, _: &Side) {
    b.stream::<Text, Option<i64>>("in").map_values(|value| value.map(|number| number * 2)).to("out");
}

fn to_table(b: &StreamsBuilder, _: &Side) {
    input(b).to_table_with(Materialized::named("t")).to_stream().to("out");
}

fn to_table_rekeyed(b: &StreamsBuilder, _: &Side) {
    input(b).select_key(first_word).to_table_with(Materialized::named("t")).named("tt").to_stream().to("out");
}

fn headers_propagation(b: &StreamsBuilder, _: &Side) {
    let stream = input(b);
    stream
        .map(|_, value| (words(&value).into_iter().next().unwrap_or_else(|| "none".to_owned()), value))
        .group_by_key()
        .named("g")
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("counts");
    stream.map_values(upper).to("out");
}

fn timestamp_extractor(b: &StreamsBuilder, _: &Side) {
    let from_field = Consumed::new().timestamps(|record: &Record<Text, Option<serde_json::Value>>, _| {
        field_t(&record.value).unwrap_or(record.timestamp)
    });
    let stream = b.stream_with("in", from_field);
    stream.to("echo");
    stream
        .group_by_key()
        .windowed_by(TimeWindows::of_size(Duration::from_secs(10)).grace(Duration::from_secs(5)))
        .count_with(Materialized::named("c"))
        .to_stream()
        .to("out");
}
