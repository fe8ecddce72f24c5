mod bulk;
mod crashes;
mod policies;
mod punctuation_retries;

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::fixture::{MapBackend, MapStore, appending, fetched, pass, sink, source, step, store_in};
use crate::processor::{ProcessingPolicy, ProcessorError, Respond};
use crate::record::OwnedRecord;
use crate::task::{DeserializationPolicy, Gathered, Processed, Stopped};
use crate::topology::TopologyBuilder;

type Task = StreamTask<OwnedRecord>;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// `in` → `append` (with the store `texts`) → `out`.
fn appending_topology(backend: &Arc<MapBackend>) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("source", source(&["in"]))
        .add_processor("append", &["source"], appending("texts"))
        .add_store(store_in(backend, "texts"), &["append"])
        .add_sink("sink", &["append"], sink("out"));
    builder
}

fn open(builder: TopologyBuilder, topics: &[&str], config: TaskConfig) -> Task {
    let application = ApplicationTopology::new(Arc::new(builder.build().unwrap()), "app");
    Task::open(TaskSetup {
        id: TaskId::new(0, 0),
        application: Arc::new(application),
        inputs: topics.iter().map(|topic| TopicPartition::new(*topic, 0)).collect(),
        state_dir: PathBuf::new(),
        globals: ReadOnlyStores::default(),
        partition_counts: PartitionCounts::default(),
        config,
    })
    .unwrap()
}

fn started(builder: TopologyBuilder, topics: &[&str], config: TaskConfig) -> Task {
    let mut task = open(builder, topics, config);
    task.start(NOW, &[]).unwrap();
    task
}

fn never_wait() -> TaskConfig {
    TaskConfig { max_task_idle: None, ..TaskConfig::default() }
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// `topic key=value@time` of each record for a user's topic.
fn sent(gathered: &Gathered) -> Vec<String> {
    let show = |view: crate::processor::OutputView<'_>| {
        format!("{} {}={}@{}", view.topic, text(view.key), text(view.value), view.record.timestamp)
    };
    gathered.records.iter().map(show).collect()
}

fn logged(gathered: &Gathered) -> Vec<String> {
    let records = gathered.changelogs.iter().flat_map(|changelog| changelog.iter());
    records.map(|(key, value, _)| format!("{}={}", text(key), text(value))).collect()
}

fn changelog(records: &Gathered) -> Vec<OwnedRecord> {
    let records = records.changelogs[0].iter().enumerate();
    records
        .map(|(offset, (key, value, record))| OwnedRecord {
            key: key.map(|key| key.to_vec().into()),
            value: value.map(|value| value.to_vec().into()),
            offset: offset as i64,
            timestamp: record.timestamp.unwrap(),
            headers: record.headers.clone(),
        })
        .collect()
}

#[test]
fn a_records_way_from_queue_to_output_and_changelog() {
    let mut task = started(appending_topology(&Arc::default()), &["in"], never_wait());
    task.add_records(0, [fetched(0, 5, "k", "a"), fetched(1, 3, "k", "b")]);
    assert_eq!(task.process(NOW, 1).unwrap(), Processed { records: 1, stopped: Stopped::Limit });
    assert_eq!(task.process(NOW, 10).unwrap(), Processed { records: 1, stopped: Stopped::Empty });
    assert_eq!(task.stream_time(), Timestamp::from_millis(5));
    let gathered = task.gather(Gathered::default());
    assert_eq!(sent(&gathered), ["out k=a@5", "out k=ab@3"]);
    assert_eq!(logged(&gathered), ["k=a", "k=ab"]);
    assert_eq!(
        gathered.changelogs[0].iter().map(|(_, _, it)| it.timestamp).collect::<Vec<_>>(),
        [Some(Timestamp::from_millis(5)), Some(Timestamp::from_millis(3))]
    );
    assert!(task.gather(gathered).is_empty());
    assert_eq!(task.counters().processed, 2);
}

#[test]
fn an_epoch_is_committed_while_the_next_one_runs() {
    let backend = Arc::default();
    let mut task = started(appending_topology(&backend), &["in"], never_wait());
    assert!(!task.needs_commit());
    task.add_records(0, [fetched(0, 5, "k", "a")]);
    task.process(NOW, 10).unwrap();
    assert!(task.needs_commit());
    let first = task.seal(Gathered::default()).unwrap();
    assert_eq!((first.number, first.offsets.len(), first.offsets[0].1.offset), (0, 1, 1));
    assert!(task.is_sealed() && !task.needs_commit());

    task.add_records(0, [fetched(1, 6, "k", "b")]);
    task.process(NOW, 10).unwrap();
    let early = task.seal(Gathered::default()).unwrap_err();
    assert_eq!(
        early.to_string(),
        "task 0_0 is still committing the previous epoch, so it cannot seal another"
    );
    task.commit_stores(&[Some(1)]).unwrap();
    // A task opened now, as after kill -9, finds the first epoch and nothing of the second.
    let after_crash = open(appending_topology(&backend), &["in"], never_wait());
    assert_eq!(after_crash.changelogs()[0].offset, Some(1));
    assert_eq!(task.store_mut::<MapStore>("texts").unwrap().get("k").as_deref(), Some("ab"));

    let second = task.seal(first.gathered).unwrap();
    assert_eq!((second.number, sent(&second.gathered)), (1, vec!["out k=ab@6".to_owned()]));
    task.commit_stores(&[Some(2)]).unwrap();
    let mut after_commit = open(appending_topology(&backend), &["in"], never_wait());
    assert_eq!(after_commit.changelogs()[0].offset, Some(2));
    assert_eq!(after_commit.store_mut::<MapStore>("texts").unwrap().get("k").as_deref(), Some("ab"));
    let twice = task.commit_stores(&[]).unwrap_err();
    assert!(matches!(twice, TaskError::OutOfTurn { .. }), "{twice}");
}

#[test]
fn a_lost_store_is_restored_from_its_changelog() {
    let mut task = started(appending_topology(&Arc::default()), &["in"], never_wait());
    task.add_records(0, (0..10).map(|offset| fetched(offset, offset, ["k", "l"][offset as usize % 2], "x")));
    task.process(NOW, 100).unwrap();
    let records = changelog(&task.gather(Gathered::default()));

    let mut restored = open(appending_topology(&Arc::default()), &["in"], never_wait());
    assert_eq!(restored.changelogs()[0].partition, TopicPartition::new("app-texts-changelog", 0));
    assert_eq!(restored.restore_from(0, 3, 12).unwrap(), 3);
    assert!(matches!(restored.process(NOW, 1), Err(TaskError::OutOfTurn { .. })));
    restored.restore(0, &records[..6], 6).unwrap();
    assert_eq!(restored.restore_from(0, 0, 12).unwrap(), 6);
    restored.restore(0, &records[6..], 12).unwrap();
    assert_eq!((restored.changelogs()[0].offset, restored.counters().restored), (Some(12), 10));
    restored.start(NOW, &[]).unwrap();
    for key in ["k", "l"] {
        let expected = task.store_mut::<MapStore>("texts").unwrap().get(key);
        assert_eq!(restored.store_mut::<MapStore>("texts").unwrap().get(key), expected);
        assert_eq!(expected.as_deref(), Some("xxxxx"));
    }
    assert!(matches!(restored.restore(0, &records[..1], 1), Err(TaskError::OutOfTurn { .. })));
}

#[test]
fn a_store_outside_its_changelog_is_to_be_wiped() {
    let mut task = open(appending_topology(&Arc::default()), &["in"], never_wait());
    task.restore::<OwnedRecord>(0, &[], 7).unwrap();
    for (start, end) in [(0, 6), (8, 20)] {
        let error = task.restore_from(0, start, end).unwrap_err();
        assert!(error.needs_wipe());
        let text = error.to_string();
        assert!(
            text.contains("store texts stands at offset 7 of its changelog app-texts-changelog-0"),
            "{text}"
        );
        assert!(text.contains("delete the task's directory"), "{text}");
    }
    assert_eq!(task.restore_from(0, 7, 7).unwrap(), 7);
}

#[test]
fn a_source_topic_as_changelog_follows_the_input_offset() {
    let backend = Arc::default();
    let topology = || {
        let mut builder = appending_topology(&backend);
        builder.use_source_as_changelog("texts", "in");
        builder
    };
    let mut task = started(topology(), &["in"], never_wait());
    assert!(task.changelogs()[0].is_source);
    task.add_records(0, [fetched(7, 5, "k", "a")]);
    task.process(NOW, 10).unwrap();
    let epoch = task.seal(Gathered::default()).unwrap();
    assert!(logged(&epoch.gathered).is_empty());
    task.commit_stores(&[]).unwrap();
    assert_eq!(open(topology(), &["in"], never_wait()).changelogs()[0].offset, Some(8));
}

#[test]
fn event_time_survives_in_the_committed_metadata() {
    let mut task = started(appending_topology(&Arc::default()), &["in"], never_wait());
    task.add_records(0, [fetched(0, 50, "k", "a"), fetched(1, 20, "k", "b")]);
    task.process(NOW, 10).unwrap();
    let committed = task.seal(Gathered::default()).unwrap().offsets.remove(0).1;
    let mut heir = open(appending_topology(&Arc::default()), &["in"], never_wait());
    heir.start(NOW, &[Some(committed)]).unwrap();
    assert_eq!(heir.stream_time(), Timestamp::from_millis(50));
    assert!(!heir.needs_commit());
}

fn unreadable(offset: i64) -> OwnedRecord {
    OwnedRecord { value: Some(vec![0xff, 0xfe].into()), ..fetched(offset, 99, "zone-7", "") }
}

#[test]
fn an_unreadable_record_ends_the_task_and_is_named() {
    let mut task = started(appending_topology(&Arc::default()), &["in"], never_wait());
    task.add_records(0, [fetched(3, 5, "k", "a"), unreadable(4)]);
    let text = task.process(NOW, 10).unwrap_err().to_string();
    assert!(
        text.starts_with("task 0_0: the record of in-0 at offset 4, key `zone-7`, cannot be read: the value"),
        "{text}"
    );
    assert!(text.contains("deserialization.exception.handler"), "{text}");
    assert!(matches!(task.process(NOW, 10), Err(TaskError::OutOfTurn { .. })));
}

#[test]
fn an_unreadable_record_is_dropped_counted_and_has_no_time() {
    let config = TaskConfig { deserialization: DeserializationPolicy::Continue, ..never_wait() };
    let mut task = started(appending_topology(&Arc::default()), &["in"], config);
    task.add_records(0, [fetched(3, 5, "k", "a"), unreadable(4)]);
    task.process(NOW, 10).unwrap();
    assert_eq!((task.counters().dropped, task.stream_time()), (1, Timestamp::from_millis(5)));
    let epoch = task.seal(Gathered::default()).unwrap();
    assert_eq!((epoch.offsets[0].1.offset, sent(&epoch.gathered)), (5, vec!["out k=a@5".to_owned()]));
}

#[test]
fn an_unreadable_record_may_become_a_dead_letter() {
    let handler = |record: &crate::task::FailedRecord<'_>, _: &_| {
        assert_eq!(record.record.offset(), 4);
        Respond::DeadLetter("dead".into())
    };
    let config =
        TaskConfig { deserialization: DeserializationPolicy::Ask(Arc::new(handler)), ..never_wait() };
    let mut task = started(appending_topology(&Arc::default()), &["in"], config);
    task.add_records(0, [unreadable(4)]);
    task.process(NOW, 10).unwrap();
    let gathered = task.gather(Gathered::default());
    let letter = gathered.records.iter().next().unwrap();
    assert_eq!((&**letter.topic, letter.value), ("dead", Some(&[0xff, 0xfe][..])));
    let offset = letter.record.headers.last("__streams.errors.offset").unwrap();
    assert_eq!(offset.value.as_deref(), Some(&b"4"[..]));
}

/// `in` → `first` and `second` → `out`; `first` fails at the value `bad`.
fn failing_topology() -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    let first = step(|record, context| {
        if record.value == "bad" {
            return Err(ProcessorError::user("no such zone"));
        }
        context.forward(record)
    });
    builder
        .add_source("source", source(&["in"]))
        .add_processor("first", &["source"], first)
        .add_processor("second", &["source"], pass())
        .add_sink("sink", &["first", "second"], sink("out"));
    builder
}

#[test]
fn a_failing_node_ends_the_task_and_is_named() {
    let mut task = started(failing_topology(), &["in"], never_wait());
    task.add_records(0, [fetched(8, 5, "k", "bad")]);
    assert_eq!(
        task.process(NOW, 10).unwrap_err().to_string(),
        "task 0_0: the record of in-0 at offset 8 cannot be processed: node first: no such zone"
    );
}

#[test]
fn a_failing_node_drops_the_record_there_and_only_there() {
    for (policy, letters) in [
        (ProcessingPolicy::Continue, 0),
        (ProcessingPolicy::Ask(Arc::new(|_| Respond::DeadLetter("dead".into()))), 1),
    ] {
        let config = TaskConfig { processing: policy, ..never_wait() };
        let mut task = started(failing_topology(), &["in"], config);
        task.add_records(0, [fetched(0, 5, "k", "bad"), fetched(1, 6, "k", "good")]);
        task.process(NOW, 10).unwrap();
        let sent = sent(&task.gather(Gathered::default()));
        let user: Vec<_> = sent.iter().filter(|record| record.starts_with("out")).collect();
        assert_eq!(user, ["out k=bad@5", "out k=good@6", "out k=good@6"]);
        assert_eq!(sent.len() - user.len(), letters);
        assert_eq!(task.counters().dropped, 1);
    }
}

#[test]
fn a_panic_ends_the_task_and_not_the_process() {
    let mut builder = TopologyBuilder::new();
    let panics = step(|record, _| panic!("no driver for {}", record.key));
    builder.add_source("source", source(&["in"])).add_processor("p", &["source"], panics);
    let mut task = started(builder, &["in"], never_wait());
    task.add_records(0, [fetched(2, 5, "k", "v")]);
    assert_eq!(
        task.process(NOW, 10).unwrap_err().to_string(),
        "task 0_0: the application's code panicked at the record of in-0 at offset 2: no driver for k"
    );
    assert!(matches!(task.seal(Gathered::default()), Err(TaskError::OutOfTurn { .. })));
}

mod clocks {
    use std::time::Duration;

    use super::*;
    use crate::processor::{Processor, ProcessorContext, PunctuationId, PunctuationType};
    use crate::record::Record;
    use crate::topology::ProcessorSpec;

    struct Ticking {
        stream: PunctuationId,
        fired: Arc<AtomicU32>,
    }

    impl Processor<String, String, String, String> for Ticking {
        fn process(
            &mut self,
            record: Record<String, String>,
            context: &mut ProcessorContext<'_, '_, String, String>,
        ) -> Result<(), ProcessorError> {
            assert!(context.record_context().is_some());
            if record.value == "commit" {
                context.commit();
            }
            Ok(())
        }

        fn punctuate(
            &mut self,
            punctuation: PunctuationId,
            time: Timestamp,
            context: &mut ProcessorContext<'_, '_, String, String>,
        ) -> Result<(), ProcessorError> {
            assert!(context.record_context().is_none());
            self.fired.fetch_add(1, Ordering::Relaxed);
            let clock = if punctuation == self.stream { "stream" } else { "wall" };
            context.forward(Record::new(clock.to_owned(), String::new(), time))
        }
    }

    fn ticking_task() -> (Task, Arc<AtomicU32>) {
        let fired = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&fired);
        let ticking = ProcessorSpec::new(move |context| {
            let stream = context.schedule(Duration::from_millis(10), PunctuationType::StreamTime);
            context.schedule(Duration::from_millis(100), PunctuationType::WallClock);
            Ok(Ticking { stream, fired: Arc::clone(&count) })
        });
        let mut builder = TopologyBuilder::new();
        builder.add_source("source", source(&["in"])).add_processor("tick", &["source"], ticking).add_sink(
            "sink",
            &["tick"],
            sink("out"),
        );
        (started(builder, &["in"], never_wait()), fired)
    }

    #[test]
    fn punctuations_follow_their_clocks() {
        let (mut task, fired) = ticking_task();
        task.add_records(0, [3, 4, 25, 26, 30].map(|time| fetched(time, time, "k", "v")));
        task.process(NOW, 10).unwrap();
        assert_eq!(
            sent(&task.gather(Gathered::default())),
            ["out stream=@3", "out stream=@25", "out stream=@30"]
        );
        let due = NOW.saturating_add_millis(100);
        assert_eq!(task.next_punctuation(), Some(due));
        assert_eq!(task.punctuate(NOW.saturating_add_millis(99)).unwrap(), 0);
        assert_eq!(task.punctuate(NOW.saturating_add_millis(350)).unwrap(), 1);
        assert_eq!(task.next_punctuation(), Some(NOW.saturating_add_millis(400)));
        assert_eq!(fired.load(Ordering::Relaxed), 4);
        assert_eq!(task.counters().punctuations, 4);
        assert!(task.needs_commit());
    }

    #[test]
    fn a_processor_may_ask_for_a_commit() {
        let (mut task, _) = ticking_task();
        task.add_records(0, [fetched(0, 1, "k", "commit"), fetched(1, 1, "k", "v")]);
        assert_eq!(
            task.process(NOW, 10).unwrap(),
            Processed { records: 1, stopped: Stopped::CommitRequested }
        );
        task.seal(Gathered::default()).unwrap();
        assert!(!task.commit_requested());
        assert_eq!(task.process(NOW, 10).unwrap().stopped, Stopped::Empty);
    }
}

#[test]
fn a_full_output_ends_the_batch() {
    let config = TaskConfig { max_output_bytes: 8, ..never_wait() };
    let mut task = started(failing_topology(), &["in"], config);
    task.add_records(0, (0..5).map(|offset| fetched(offset, 0, "k", "good")));
    assert_eq!(task.process(NOW, 10).unwrap(), Processed { records: 1, stopped: Stopped::OutputFull });
    drop(task.gather(Gathered::default()));
    assert_eq!(task.process(NOW, 10).unwrap().stopped, Stopped::OutputFull);
}

#[test]
fn too_much_uncommitted_asks_for_a_commit() {
    let config = TaskConfig { max_uncommitted_bytes: 100, ..never_wait() };
    let mut task = started(appending_topology(&Arc::default()), &["in"], config);
    task.add_records(0, (0..1000).map(|offset| fetched(offset, 0, "k", "vvvv")));
    let processed = task.process(NOW, 1000).unwrap();
    assert_eq!(processed.stopped, Stopped::CommitRequested);
    assert!(processed.records < 200, "{processed:?}");
}

#[test]
fn unknown_tasks_and_inputs_are_refused() {
    let application =
        Arc::new(ApplicationTopology::new(Arc::new(failing_topology().build().unwrap()), "app"));
    let setup = |sub_topology, topic: &str| TaskSetup {
        id: TaskId::new(sub_topology, 0),
        application: Arc::clone(&application),
        inputs: vec![TopicPartition::new(topic, 0)],
        state_dir: PathBuf::new(),
        globals: ReadOnlyStores::default(),
        partition_counts: PartitionCounts::default(),
        config: never_wait(),
    };
    let error = |setup| Task::open(setup).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error(setup(1, "in")), "there is no task 1_0: do all instances run the same topology?");
    assert_eq!(
        error(setup(0, "else")),
        "task 0_0 was given else-0, but no source of its sub-topology reads that"
    );
}

#[test]
fn a_panic_while_a_store_is_made_is_an_error_of_the_task() {
    #[derive(Debug)]
    struct Panicking;

    impl crate::state::StoreBuilder for Panicking {
        fn name(&self) -> &str {
            "texts"
        }

        fn changelog(&self) -> Option<crate::state::ChangelogConfig> {
            None
        }

        fn backend(&self) -> Arc<dyn crate::state::StateBackend> {
            Arc::<MapBackend>::default()
        }

        fn build(
            &self,
            _database: Arc<dyn crate::state::TaskDatabase>,
        ) -> Result<Box<dyn StateStore>, StoreError> {
            panic!("no room")
        }
    }

    let mut builder = TopologyBuilder::new();
    builder
        .add_source("source", source(&["in"]))
        .add_processor("append", &["source"], appending("texts"))
        .add_store(Arc::new(Panicking), &["append"]);
    let setup = TaskSetup {
        id: TaskId::new(0, 0),
        application: Arc::new(ApplicationTopology::new(Arc::new(builder.build().unwrap()), "app")),
        inputs: vec![TopicPartition::new("in", 0)],
        state_dir: PathBuf::new(),
        globals: ReadOnlyStores::default(),
        partition_counts: PartitionCounts::default(),
        config: never_wait(),
    };
    let error = Task::open(setup).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "task 0_0: the application's code panicked: no room");
}
