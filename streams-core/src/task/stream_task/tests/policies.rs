//! Records that fail, panics, further tries, dead letters.

use std::time::Duration;

use super::*;
use crate::processor::{
    FailedDelivery, FailedStep, Partitioner, ProductionPolicy, RETRIES_MAX, RecordPart, SinkTopic,
};
use crate::serdes::{Serde, SerdeError, Utf8};
use crate::task::{RetryPolicy, Tried, TriedStep};
use crate::topology::SinkSpec;

/// `in` → `judge` → `out`; `judge` panics at the value `panic` and fails at `fail` until it has been called `calls` times.
fn judging(calls: &Arc<AtomicU32>, until: u32) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    let calls = Arc::clone(calls);
    let judge = step(move |record, context| match record.value.as_str() {
        "panic" => panic!("no driver for {}", record.key),
        "fail" if calls.fetch_add(1, Ordering::Relaxed) < until => {
            Err(ProcessorError::user("the rates are not there"))
        }
        _ => context.forward(record),
    });
    builder.add_source("source", source(&["in"])).add_processor("judge", &["source"], judge).add_sink(
        "sink",
        &["judge"],
        sink("out"),
    );
    builder
}

fn header(gathered: &Gathered, topic: &str, name: &str) -> Option<String> {
    let letter = gathered.records.iter().find(|record| &**record.topic == topic)?;
    letter.record.headers.last(name).map(|header| text(header.value.as_deref()))
}

#[test]
fn a_panic_is_a_failed_step_where_a_policy_passes_it_over() {
    let config = TaskConfig { processing: ProcessingPolicy::DeadLetter("dead".into()), ..never_wait() };
    let mut task = started(judging(&Arc::default(), 0), &["in"], config);
    task.add_records(0, [fetched(0, 5, "k", "a"), fetched(1, 6, "k", "panic"), fetched(2, 7, "k", "b")]);
    assert_eq!(task.process(NOW, 10).unwrap().records, 3);
    assert_eq!(task.counters().dropped, 1);
    let gathered = task.gather(Gathered::default());
    assert_eq!(sent(&gathered), ["out k=a@5", "dead k=panic@6", "out k=b@7"]);
    let header = |name: &str| header(&gathered, "dead", name);
    assert_eq!(header("__streams.errors.exception").as_deref(), Some("Panic"));
    assert!(header("__streams.errors.message").unwrap().contains("no driver for k"));
    assert_eq!(header("__streams.errors.node").as_deref(), Some("judge"));
    assert_eq!(header("__streams.errors.task").as_deref(), Some("0_0"));
    let place = ["topic", "partition", "offset"].map(|it| header(&format!("__streams.errors.{it}")).unwrap());
    assert_eq!(place, ["in", "0", "1"]);
}

#[test]
fn a_record_is_tried_again_where_it_stands_while_nothing_was_done_for_it() {
    let calls = Arc::default();
    let retry = RetryPolicy { max: Some(3), backoff: Duration::from_millis(10) };
    let mut task = started(judging(&calls, 2), &["in"], TaskConfig { retry, ..never_wait() });
    task.add_records(0, [fetched(0, 5, "k", "fail"), fetched(1, 6, "k", "b")]);
    let later = |millis| NOW + Duration::from_millis(millis);
    let idle = |task: &mut Task, now| task.process(now, 10).unwrap().stopped;
    assert_eq!(idle(&mut task, NOW), Stopped::IdleUntil(later(10)));
    assert_eq!(idle(&mut task, later(9)), Stopped::IdleUntil(later(10)), "not before its time");
    assert_eq!(idle(&mut task, later(10)), Stopped::IdleUntil(later(30)), "the pause doubles");
    assert!(task.gather(Gathered::default()).records.is_empty());
    idle(&mut task, later(30));
    assert_eq!(sent(&task.gather(Gathered::default())), ["out k=fail@5", "out k=b@6"]);
    assert_eq!((calls.load(Ordering::Relaxed), task.counters().dropped), (3, 0));
}

#[test]
fn after_the_last_try_the_policy_is_asked() {
    let retry = RetryPolicy { max: Some(1), backoff: Duration::ZERO };
    let config = TaskConfig { retry, processing: ProcessingPolicy::Continue, ..never_wait() };
    let calls = Arc::default();
    let mut task = started(judging(&calls, 9), &["in"], config);
    task.add_records(0, [fetched(0, 5, "k", "fail"), fetched(1, 6, "k", "b")]);
    task.process(NOW, 10).unwrap();
    assert_eq!(sent(&task.gather(Gathered::default())), ["out k=b@6"]);
    assert_eq!((calls.load(Ordering::Relaxed), task.counters().dropped), (2, 1));
}

#[test]
fn a_handlers_wish_to_try_again_is_granted_for_so_long_only() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let handler = move |step: &FailedStep<'_>| {
        assert_eq!(step.attempt, counted.fetch_add(1, Ordering::Relaxed));
        Respond::Retry
    };
    let retry = RetryPolicy { max: None, backoff: Duration::ZERO };
    let config = TaskConfig { retry, processing: ProcessingPolicy::Ask(Arc::new(handler)), ..never_wait() };
    let mut task = started(judging(&Arc::default(), u32::MAX), &["in"], config);
    task.add_records(0, [fetched(0, 5, "k", "fail")]);
    assert!(matches!(task.process(NOW, 100), Err(TaskError::Process { .. })));
    assert_eq!(asked.load(Ordering::Relaxed), RETRIES_MAX + 1);
}

/// `in` → `append` (with a store) → `judge` → `out`: the store has changed when `judge` fails.
fn judging_behind_a_store() -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    let judge = step(|_, _| Err(ProcessorError::user("the rates are not there")));
    builder
        .add_source("source", source(&["in"]))
        .add_processor("append", &["source"], appending("texts"))
        .add_store(store_in(&Arc::default(), "texts"), &["append"])
        .add_processor("judge", &["append"], judge)
        .add_sink("sink", &["judge"], sink("out"));
    builder
}

#[test]
fn a_record_for_which_something_was_done_is_tried_again_from_the_last_commit() {
    let retry = RetryPolicy { max: Some(2), backoff: Duration::from_millis(10) };
    let mut tried = None;
    for times in 1..=2 {
        let config = TaskConfig { retry, tried, ..never_wait() };
        let mut task = started(judging_behind_a_store(), &["in"], config);
        task.add_records(0, [fetched(7, 5, "k", "a")]);
        let Err(TaskError::TryAgain { tried: failed, pause, .. }) = task.process(NOW, 10) else {
            panic!("it is to be tried again");
        };
        assert_eq!(pause, Duration::from_millis(10 * u64::from(times)));
        let step = TriedStep::Record { partition: TopicPartition::new("in", 0), offset: 7 };
        assert_eq!(failed, Tried { step, times });
        tried = Some(failed);
    }
    let mut task = started(judging_behind_a_store(), &["in"], TaskConfig { retry, tried, ..never_wait() });
    task.add_records(0, [fetched(7, 5, "k", "a")]);
    assert!(matches!(task.process(NOW, 10), Err(TaskError::Process { .. })), "that was the last try");
}

#[test]
fn an_unreadable_record_goes_to_the_dead_letter_topic_of_the_policy() {
    let policy = DeserializationPolicy::DeadLetter("dead".into());
    let mut task =
        started(judging(&Arc::default(), 0), &["in"], TaskConfig { deserialization: policy, ..never_wait() });
    task.add_records(0, [unreadable(4), fetched(5, 6, "k", "b")]);
    task.process(NOW, 10).unwrap();
    let gathered = task.gather(Gathered::default());
    let letter = gathered.records.iter().next().unwrap();
    assert_eq!((&**letter.topic, letter.value), ("dead", Some(&[0xff, 0xfe][..])), "as it came");
    let exception = header(&gathered, "dead", "__streams.errors.exception");
    assert_eq!(exception.as_deref(), Some("DeserializationError"));
    assert_eq!((gathered.records.len(), task.counters().dropped), (2, 1));
}

/// `in` → `out`, whose values cannot be written where they are `rubbish`.
fn unwritable() -> TopologyBuilder {
    struct NoRubbish;
    impl Serde<String> for NoRubbish {
        fn serialize(&self, value: &String, buffer: &mut Vec<u8>) -> Result<(), SerdeError> {
            if value == "rubbish" {
                return Err(SerdeError::invalid::<String>("rubbish is not written"));
            }
            Utf8.serialize(value, buffer)
        }

        fn deserialize(&self, bytes: &[u8]) -> Result<String, SerdeError> {
            Utf8.deserialize(bytes)
        }
    }
    let sink = SinkSpec::new::<String, String>(
        SinkTopic::Fixed("out".into()),
        Arc::new(Utf8),
        Arc::new(NoRubbish),
        Partitioner::default(),
    );
    let mut builder = TopologyBuilder::new();
    builder.add_source("source", source(&["in"])).add_sink("sink", &["source"], sink);
    builder
}

#[test]
fn a_production_handler_is_told_what_cannot_be_written() {
    let handler = |failed: &FailedDelivery<'_>| {
        assert_eq!((failed.topic, failed.unserialized), ("out", Some(RecordPart::Value)));
        assert!(failed.error.to_string().contains("rubbish is not written"), "{}", failed.error);
        match failed.record.map(|record| record.offset) {
            Some(1) => Respond::Continue,
            _ => Respond::DeadLetter("dead".into()),
        }
    };
    let config = TaskConfig { production: ProductionPolicy::Ask(Arc::new(handler)), ..never_wait() };
    let mut task = started(unwritable(), &["in"], config);
    let rubbish = |offset, time| fetched(offset, time, "k", "rubbish");
    task.add_records(0, [fetched(0, 5, "k", "a"), rubbish(1, 6), rubbish(2, 7)]);
    assert_eq!(task.process(NOW, 10).unwrap().records, 3);
    assert_eq!(sent(&task.gather(Gathered::default())), ["out k=a@5", "dead k=rubbish@7"], "as it came");
    assert_eq!(task.counters().dropped, 2);
}

#[test]
fn a_production_handler_that_panics_fails_the_task_and_nothing_else() {
    let handler = |_: &FailedDelivery<'_>| panic!("no decision");
    let config = TaskConfig { production: ProductionPolicy::Ask(Arc::new(handler)), ..never_wait() };
    let mut task = started(unwritable(), &["in"], config);
    task.add_records(0, [fetched(0, 5, "k", "rubbish")]);
    let error = task.process(NOW, 10).unwrap_err().to_string();
    assert!(error.contains("rubbish is not written"), "{error}");
}
