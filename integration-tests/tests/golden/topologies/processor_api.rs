//! Cases of the group `processor api`.

use std::sync::Arc;
use std::time::Duration;

use streams_dsl::prelude::*;
use streams_dsl::processor::{GlobalStore, Partitioner, SinkTopic, SourceNode};
use streams_dsl::state::StoreError;
use streams_dsl::stores::{
    KeyValueStore, SessionStore, Stores, VersionedKeyValueStore, VersionedPut, Window, WindowStore,
};
use streams_dsl::topology::{ProcessorSpec, SinkSpec, SourceSpec, Topics, TopologyBuilder};

use super::{RawBuild, Text, cases, input, text, utf16_len};
use crate::replay::Side;

cases![
    papi_global_store,
    papi_dedup,
    papi_stream_time_punctuator,
    papi_wall_clock_punctuator,
    papi_cancel_punctuator,
    papi_window_store,
    papi_window_store_range,
    papi_kv_range,
    papi_versioned_store,
    papi_session_store,
    papi_shared_store,
    papi_stream_time,
    papi_record_metadata,
];

/// Cases below the DSL.
pub(super) const RAW_CASES: &[(&str, RawBuild)] = &[("papi_named_children", papi_named_children)];

type Context<'a, 'n> = ProcessorContext<'a, 'n, Text, Text>;
type Outcome = Result<(), ProcessorError>;

const NO_STORES: [&str; 0] = [];

/// A processor that is a function of the record and the context.
struct Step<F>(F);

impl<F: FnMut(Record<Text, Text>, &mut Context<'_, '_>) -> Outcome + Send> Processor<Text, Text, Text, Text>
    for Step<F>
{
    fn process(&mut self, record: Record<Text, Text>, context: &mut Context<'_, '_>) -> Outcome {
        (self.0)(record, context)
    }
}

fn step<F>(step: F) -> Step<F>
where
    F: FnMut(Record<Text, Text>, &mut Context<'_, '_>) -> Outcome + Send,
{
    Step(step)
}

fn text_store(b: &StreamsBuilder, name: &'static str) {
    b.add_store(Stores::key_value::<String, String>(name, Arc::new(Utf8), Arc::new(Utf8)).build());
}

fn number_store(b: &StreamsBuilder, name: &'static str) {
    b.add_store(Stores::key_value::<String, i64>(name, Arc::new(Utf8), Arc::new(BigEndian)).build());
}

fn papi_dedup(b: &StreamsBuilder, _: &Side) {
    number_store(b, "seen");
    let make = |context: &mut InitContext<'_>| {
        let seen: StoreHandle<KeyValueStore<String, i64>> = context.store("seen")?;
        Ok(step(move |record, context| {
            let (Some(key), Some(value)) = (&record.key, &record.value) else {
                return context.forward(record);
            };
            let id = format!("{key}/{value}");
            let time = record.timestamp.as_millis();
            let before = context.store_mut(seen).get(&id)?;
            if before.is_none_or(|before| (time - before).abs() > 20_000) {
                context.forward(record)?;
            }
            Ok(context.store_mut(seen).put(&id, Some(time))?)
        }))
    };
    input(b).process(make, ["seen"]).to("out");
}

/// Counts keys, and sends and forgets the counts at each punctuation.
struct CountUntilPunctuated {
    counts: StoreHandle<KeyValueStore<String, i64>>,
}

impl Processor<Text, Text, Text, Text> for CountUntilPunctuated {
    fn process(&mut self, record: Record<Text, Text>, context: &mut Context<'_, '_>) -> Outcome {
        let Some(key) = record.key else { return Ok(()) };
        Ok(context
            .store_mut(self.counts)
            .update(&key, |count| *count = Some(count.unwrap_or_default() + 1))?)
    }

    fn punctuate(&mut self, _: PunctuationId, time: Timestamp, context: &mut Context<'_, '_>) -> Outcome {
        let counts = context.store_mut(self.counts).all()?.collect::<Result<Vec<_>, StoreError>>()?;
        for (key, count) in counts {
            context.forward(Record::new(Some(key.clone()), Some(count.to_string()), time))?;
            context.store_mut(self.counts).delete(&key)?;
        }
        Ok(())
    }
}

fn punctuated(b: &StreamsBuilder, kind: PunctuationType) {
    number_store(b, "n");
    let make = move |context: &mut InitContext<'_>| {
        context.schedule(Duration::from_secs(10), kind);
        Ok(CountUntilPunctuated { counts: context.store("n")? })
    };
    input(b).process(make, ["n"]).to("out");
}

fn papi_stream_time_punctuator(b: &StreamsBuilder, _: &Side) {
    punctuated(b, PunctuationType::StreamTime);
}

fn papi_wall_clock_punctuator(b: &StreamsBuilder, _: &Side) {
    punctuated(b, PunctuationType::WallClock);
}

/// Ends its first punctuation at the third call and begins a slower one.
struct SlowingDown {
    first: PunctuationId,
    calls: u32,
}

impl Processor<Text, Text, Text, Text> for SlowingDown {
    fn process(&mut self, record: Record<Text, Text>, context: &mut Context<'_, '_>) -> Outcome {
        context.forward(record)
    }

    fn punctuate(&mut self, id: PunctuationId, time: Timestamp, context: &mut Context<'_, '_>) -> Outcome {
        if id != self.first {
            return context.forward(Record::new(Some("p20".to_owned()), Some(time.to_string()), time));
        }
        self.calls += 1;
        context.forward(Record::new(Some("p5".to_owned()), Some(self.calls.to_string()), time))?;
        if self.calls == 3 {
            context.cancel(id);
            context.schedule(Duration::from_secs(20), PunctuationType::StreamTime);
        }
        Ok(())
    }
}

fn papi_cancel_punctuator(b: &StreamsBuilder, _: &Side) {
    let make = |context: &mut InitContext<'_>| {
        let first = context.schedule(Duration::from_secs(5), PunctuationType::StreamTime);
        Ok(SlowingDown { first, calls: 0 })
    };
    input(b).process(make, NO_STORES).to("out");
}

fn window_store(retention: u64, size: u64) -> streams_dsl::stores::Builder<WindowStore<String, String>> {
    let (size, retention) = (Duration::from_millis(size), Duration::from_millis(retention));
    Stores::window("w", size, retention, Arc::new(Utf8), Arc::new(Utf8))
}

fn papi_window_store(b: &StreamsBuilder, _: &Side) {
    b.add_store(window_store(30_000, 10_000).retain_duplicates().build());
    let make = |context: &mut InitContext<'_>| {
        let windows: StoreHandle<WindowStore<String, String>> = context.store("w")?;
        Ok(step(move |record, context| {
            let (Some(key), Some(value)) = (&record.key, &record.value) else { return Ok(()) };
            let time = record.timestamp;
            let store = context.store_mut(windows);
            store.put(key, Some(value.clone()), time)?;
            let from = time - Duration::from_secs(10);
            let found = store.fetch_between(key, from, time)?.map(|entry| Ok(entry?.1));
            let found = found.collect::<Result<Vec<String>, StoreError>>()?;
            context.forward(record.with_value(Some(found.join(","))))
        }))
    };
    input(b).process(make, ["w"]).to("out");
}

fn papi_window_store_range(b: &StreamsBuilder, _: &Side) {
    b.add_store(window_store(20_000, 5_000).build());
    let make = |context: &mut InitContext<'_>| {
        let windows: StoreHandle<WindowStore<String, String>> = context.store("w")?;
        Ok(step(move |record, context| {
            let Some(key) = &record.key else { return Ok(()) };
            let time = record.timestamp;
            let store = context.store_mut(windows);
            store.put(key, record.value.clone(), time)?;
            let from = Timestamp::from_millis((time.as_millis() - 8_000).max(0));
            let found = store.fetch_range("a".to_owned()..="bb".to_owned(), from, time)?;
            let shown = found.map(|entry| {
                let (windowed, value) = entry?;
                Ok(format!("{}@{}={value}", windowed.key, windowed.window.start))
            });
            let shown = shown.collect::<Result<Vec<String>, StoreError>>()?;
            context.forward(record.with_value(Some(shown.join(","))))
        }))
    };
    input(b).process(make, ["w"]).to("out");
}

fn listed(entries: impl Iterator<Item = Result<(String, String), StoreError>>) -> Result<String, StoreError> {
    let entries = entries.map(|entry| entry.map(|(key, value)| format!("{key}={value}")));
    Ok(entries.collect::<Result<Vec<_>, _>>()?.join(","))
}

fn papi_kv_range(b: &StreamsBuilder, _: &Side) {
    text_store(b, "s");
    let make = |context: &mut InitContext<'_>| {
        let store: StoreHandle<KeyValueStore<String, String>> = context.store("s")?;
        Ok(step(move |record, context| {
            let Some(key) = &record.key else { return Ok(()) };
            let store = context.store_mut(store);
            store.put(key, record.value.clone())?;
            let range = listed(store.range("a".to_owned()..="b".to_owned())?)?;
            let all = listed(store.reverse_all()?)?;
            let prefix = listed(store.prefix_scan(b"a")?)?;
            context.forward(record.with_value(Some(format!("{range}|{all}|{prefix}"))))
        }))
    };
    input(b).process(make, ["s"]).to("out");
}

fn papi_versioned_store(b: &StreamsBuilder, _: &Side) {
    let history = Duration::from_secs(20);
    b.add_store(
        Stores::versioned_key_value::<String, String>("v", history, Arc::new(Utf8), Arc::new(Utf8)).build(),
    );
    let make = |context: &mut InitContext<'_>| {
        let versions: StoreHandle<VersionedKeyValueStore<String, String>> = context.store("v")?;
        Ok(step(move |record, context| {
            let Some(key) = &record.key else { return Ok(()) };
            let store = context.store_mut(versions);
            let valid_to = match store.put(key, record.value.as_ref(), record.timestamp)? {
                VersionedPut::Latest => -1,
                VersionedPut::Until(time) => time.as_millis(),
                VersionedPut::TooOld => i64::MIN,
            };
            let shown = |version: Option<streams_dsl::stores::VersionedRecord<String>>| match version {
                Some(version) => format!("{}@{}", version.value, version.timestamp),
                None => "null".to_owned(),
            };
            let latest = shown(store.get(key)?);
            let before = shown(store.get_as_of(key, record.timestamp - Duration::from_secs(5))?);
            context.forward(record.with_value(Some(format!("{valid_to}|{latest}|{before}"))))
        }))
    };
    input(b).process(make, ["v"]).to("out");
}

fn papi_session_store(b: &StreamsBuilder, _: &Side) {
    let retention = Duration::from_secs(60);
    b.add_store(Stores::session::<String, String>("s", retention, Arc::new(Utf8), Arc::new(Utf8)).build());
    let make = |context: &mut InitContext<'_>| {
        let sessions: StoreHandle<SessionStore<String, String>> = context.store("s")?;
        Ok(step(move |record, context| {
            let Some(key) = &record.key else { return Ok(()) };
            let gap = Duration::from_secs(3);
            let store = context.store_mut(sessions);
            let (from, to) = (record.timestamp - gap, record.timestamp + gap);
            let found = store.find_sessions(key, from, to)?.collect::<Result<Vec<_>, StoreError>>()?;
            let mut merged = Window::new(record.timestamp, record.timestamp);
            let mut joined = String::new();
            for (session, value) in &found {
                merged.start = merged.start.min(session.window.start);
                merged.end = merged.end.max(session.window.end);
                joined.push_str(value);
                store.remove(key, session.window)?;
            }
            let Some(value) = &record.value else {
                let removed = format!("removed {}", found.len());
                return context.forward(record.with_value(Some(removed)));
            };
            let joined = super::append(Some(joined), &format!("+{value}")).unwrap_or_default();
            store.put(key, merged, Some(joined.clone()))?;
            let shown = format!("{}-{}={joined}", merged.start, merged.end);
            context.forward(record.with_value(Some(shown)))
        }))
    };
    input(b).process(make, ["s"]).to("out");
}

fn papi_shared_store(b: &StreamsBuilder, _: &Side) {
    text_store(b, "s");
    let write = |context: &mut InitContext<'_>| {
        let store: StoreHandle<KeyValueStore<String, String>> = context.store("s")?;
        Ok(step(move |record, context| match &record.key {
            Some(key) => Ok(context.store_mut(store).put(key, record.value.clone())?),
            None => Ok(()),
        }))
    };
    let read = |context: &mut InitContext<'_>| {
        let store: StoreHandle<KeyValueStore<String, String>> = context.store("s")?;
        Ok(step(move |record, context| {
            let found =
                record.key.as_ref().map(|key| context.store_mut(store).get(key)).transpose()?.flatten();
            let shown = format!("{}/{}", text(&record.value), text(&found));
            context.forward(record.with_value(Some(shown)))
        }))
    };
    let _writer = b.stream::<Text, Text>("w").process(write, ["s"]);
    b.stream::<Text, Text>("q").process(read, ["s"]).to("out");
}

fn papi_stream_time(b: &StreamsBuilder, _: &Side) {
    let make = |_: &mut InitContext<'_>| {
        Ok(step(|record, context| {
            let shown = format!("{}|{}", context.stream_time(), record.timestamp);
            context.forward(record.with_value(Some(shown)))
        }))
    };
    b.stream::<Text, Text>("a").merge(&b.stream("b")).process(make, NO_STORES).to("out");
}

fn papi_record_metadata(b: &StreamsBuilder, _: &Side) {
    let make = |_: &mut InitContext<'_>| {
        Ok(step(|record, context| {
            let from = context.record_context().expect("a record comes from somewhere");
            let shown = format!("{}/{}/{}", from.topic, from.partition, from.offset);
            context.forward(record.with_value(Some(shown)))
        }))
    };
    b.streams::<Text, Text>(["a", "b"]).process(make, NO_STORES).to("out");
}

fn prefixed(prefix: &'static str) -> ProcessorSpec {
    ProcessorSpec::new(move |_| {
        Ok(step(move |record: Record<Text, Text>, context: &mut Context<'_, '_>| {
            let shown = format!("{prefix}{}", text(&record.value));
            context.forward(record.with_value(Some(shown)))
        }))
    })
}

fn papi_named_children() -> Topology {
    let serde = || Arc::new(Nullable(Utf8));
    let sink = |topic: &str| {
        SinkSpec::new::<Text, Text>(SinkTopic::Fixed(topic.into()), serde(), serde(), Partitioner::default())
    };
    let source = SourceNode::<Text, Text>::new(serde(), serde(), TimestampExtractor::FailOnInvalid);
    let route = ProcessorSpec::new(|_| {
        Ok(step(|record: Record<Text, Text>, context: &mut Context<'_, '_>| match &record.value {
            None => context.forward(record),
            Some(value) if utf16_len(value).is_multiple_of(2) => context.forward_to("evens", record),
            Some(_) => context.forward_to("odds", record),
        }))
    });
    let mut topology = TopologyBuilder::new();
    topology.add_source("src", SourceSpec::new(Topics::Named(vec!["in".into()]), source));
    topology.add_processor("route", &["src"], route);
    topology.add_processor("evens", &["route"], prefixed("E"));
    topology.add_processor("odds", &["route"], prefixed("O"));
    topology.add_sink("s1", &["evens"], sink("out1"));
    topology.add_sink("s2", &["odds"], sink("out2"));
    topology.build().expect("the topology has no fault")
}

/// Keeps values in capitals.
struct Capitals(StoreHandle<KeyValueStore<String, String>>);

impl Processor<Text, Text, (), ()> for Capitals {
    fn process(
        &mut self,
        record: Record<Text, Text>,
        context: &mut ProcessorContext<'_, '_, (), ()>,
    ) -> Result<(), ProcessorError> {
        let Some(key) = &record.key else { return Ok(()) };
        Ok(context.store_mut(self.0).put(key, record.value.map(super::upper_text))?)
    }
}

fn papi_global_store(b: &StreamsBuilder, _: &Side) {
    let store = Stores::key_value::<String, String>("g", Arc::new(Utf8), Arc::new(Utf8)).build();
    b.add_global_store(store, "g", Consumed::new(), |context| Ok(Capitals(context.store("g")?)));
    let look_up = |context: &mut InitContext<'_>| {
        let capitals: GlobalStore<KeyValueStore<String, String>> = context.global_store("g")?;
        Ok(step(move |record, context| {
            let find = |key: &String| capitals.with(|capitals| capitals.get(key));
            let found = record.key.as_ref().map(find).transpose()?.flatten();
            let shown = format!("{}/{}", text(&record.value), text(&found));
            context.forward(record.with_value(Some(shown)))
        }))
    };
    input(b).process(look_up, NO_STORES).to("out");
}
