//! Punctuations that fail and are tried again.

use std::time::Duration;

use super::*;
use crate::processor::{Processor, ProcessorContext, PunctuationId, PunctuationType, StoreHandle};
use crate::record::Record;
use crate::task::{RetryPolicy, TriedStep};
use crate::topology::ProcessorSpec;

const INTERVAL: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(10);

/// Fails at its first `failures` punctuations, before or after it has changed its store; then forwards one record.
struct Sweeping {
    texts: StoreHandle<MapStore>,
    failures: Arc<AtomicU32>,
    changes_first: bool,
}

impl Processor<String, String, String, String> for Sweeping {
    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        context.forward(record)
    }

    fn punctuate(
        &mut self,
        _: PunctuationId,
        time: Timestamp,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        if self.changes_first {
            context.store_mut(self.texts).put("swept", "once");
        }
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(ProcessorError::user("the rates are not there"));
        }
        context.forward(Record::new("swept".to_owned(), String::new(), time))
    }
}

/// A task whose node sweeps by `kind`, fails so often, and whose failures are handled by `config`.
fn sweeping(kind: PunctuationType, failures: u32, changes_first: bool, config: TaskConfig) -> Task {
    let failures = Arc::new(AtomicU32::new(failures));
    let spec = ProcessorSpec::new(move |context| {
        context.schedule(INTERVAL, kind);
        let (texts, failures) = (context.store("texts")?, Arc::clone(&failures));
        Ok(Sweeping { texts, failures, changes_first })
    });
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("source", source(&["in"]))
        .add_processor("sweep", &["source"], spec)
        .add_store(store_in(&Arc::default(), "texts"), &["sweep"])
        .add_sink("sink", &["sweep"], sink("out"));
    started(builder, &["in"], config)
}

fn retrying(max: u32) -> TaskConfig {
    TaskConfig { retry: RetryPolicy { max: Some(max), backoff: PAUSE }, ..never_wait() }
}

#[test]
fn a_punctuation_that_has_done_nothing_comes_again_after_a_pause_and_records_go_on() {
    let mut task = sweeping(PunctuationType::WallClock, 2, false, retrying(3));
    let due = NOW + INTERVAL;
    task.punctuate(due).unwrap();
    assert_eq!(task.next_punctuation(), Some(due + PAUSE));
    task.add_records(0, [fetched(0, 5, "k", "a")]);
    assert_eq!(task.process(due, 10).unwrap().records, 1, "records do not wait for it");
    assert_eq!(task.punctuate(due + PAUSE / 2).unwrap(), 0, "not before its time");
    task.punctuate(due + PAUSE).unwrap();
    assert_eq!(task.next_punctuation(), Some(due + PAUSE * 3), "the pause doubles");
    task.punctuate(due + PAUSE * 3).unwrap();
    let sweep = format!("out swept=@{}", (due + PAUSE * 3).as_millis());
    assert_eq!(sent(&task.gather(Gathered::default())), ["out k=a@5", &sweep]);
    assert_eq!(task.next_punctuation(), Some(due + INTERVAL), "the grid is kept");
}

#[test]
fn one_by_stream_time_is_tried_again_by_the_wall_clock() {
    let mut task = sweeping(PunctuationType::StreamTime, 1, false, retrying(1));
    task.add_records(0, [fetched(0, 5, "k", "a")]);
    task.process(NOW, 10).unwrap();
    assert_eq!(task.next_punctuation(), Some(NOW + PAUSE), "no record need come");
    assert_eq!(task.punctuate(NOW + PAUSE).unwrap(), 1);
    assert_eq!(sent(&task.gather(Gathered::default())), ["out k=a@5", "out swept=@5"]);
    assert_eq!(task.next_punctuation(), None);
}

#[test]
fn after_the_last_try_the_policy_is_asked_about_a_punctuation() {
    let mut task = sweeping(PunctuationType::WallClock, 9, false, retrying(1));
    let due = NOW + INTERVAL;
    task.punctuate(due).unwrap();
    let error = task.punctuate(due + PAUSE).unwrap_err();
    assert!(matches!(error, TaskError::Step { .. }), "{error}");
    let config = TaskConfig { processing: ProcessingPolicy::Continue, ..retrying(1) };
    let mut task = sweeping(PunctuationType::WallClock, 9, false, config);
    task.punctuate(due).unwrap();
    task.punctuate(due + PAUSE).unwrap();
    assert_eq!((task.counters().dropped, task.next_punctuation()), (1, Some(due + INTERVAL)));
}

#[test]
fn a_punctuation_that_has_changed_something_is_tried_again_from_the_last_commit() {
    let mut tried = None;
    for times in 1..=2 {
        let config = TaskConfig { tried: tried.take(), ..retrying(2) };
        let mut task = sweeping(PunctuationType::WallClock, 9, true, config);
        let Err(TaskError::TryAgain { tried: failed, pause, .. }) = task.punctuate(NOW + INTERVAL) else {
            panic!("it is to be tried again");
        };
        assert_eq!((pause, failed.times), (PAUSE * times, times));
        assert!(matches!(&failed.step, TriedStep::Punctuation { node, .. } if &**node == "sweep"));
        tried = Some(failed);
    }
    let config = TaskConfig { tried, ..retrying(2) };
    let mut task = sweeping(PunctuationType::WallClock, 9, true, config.clone());
    assert!(matches!(task.punctuate(NOW + INTERVAL), Err(TaskError::Step { .. })), "that was the last try");
    // One that succeeds begins to count anew.
    let mut task = sweeping(PunctuationType::WallClock, 0, true, config);
    task.punctuate(NOW + INTERVAL).unwrap();
    assert!(task.config.tried.is_none());
}
