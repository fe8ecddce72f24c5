use super::*;
use crate::fixture::{MapBackend, MapStore, appending, fetched, sink, source, store_in};
use crate::processor::{GlobalStore, Processor, ProcessorContext, ProcessorError};
use crate::record::{OwnedRecord, Record};
use crate::task::{DeserializationPolicy, Gathered, StreamTask, TaskSetup};
use crate::topology::{ProcessorSpec, TaskId, TopologyBuilder};

const NOW: Timestamp = Timestamp::ZERO;

struct LookUp(GlobalStore<MapStore>);

impl Processor<String, String, String, String> for LookUp {
    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        let found = self.0.with(|store| store.get(&record.key)).unwrap_or_else(|| "nothing".to_owned());
        context.forward(record.with_value(found))
    }
}

/// The global store `names` from the topic `names`, and `in` → look-up → `out`.
fn application(backend: &Arc<MapBackend>) -> Arc<ApplicationTopology> {
    let mut builder = TopologyBuilder::new();
    builder
        .add_global_store(
            store_in(backend, "names"),
            ("names-source", source(&["names"])),
            ("names-keeper", appending("names")),
        )
        .add_source("source", source(&["in"]))
        .add_processor(
            "look-up",
            &["source"],
            ProcessorSpec::new(|context| Ok(LookUp(context.global_store("names")?))),
        )
        .add_sink("sink", &["look-up"], sink("out"));
    Arc::new(ApplicationTopology::new(Arc::new(builder.build().unwrap()), "app"))
}

fn open(backend: &Arc<MapBackend>) -> GlobalTask {
    let setup = GlobalTaskSetup {
        application: application(backend),
        inputs: vec![TopicPartition::new("names", 0), TopicPartition::new("names", 1)],
        state_dir: PathBuf::new(),
        config: TaskConfig::default(),
    };
    GlobalTask::open(setup, NOW).unwrap()
}

fn get(task: &GlobalTask, key: &str) -> Option<String> {
    let store = task.stores().get("names").unwrap();
    let mut store = lock(&store);
    (store.as_mut() as &mut dyn std::any::Any).downcast_mut::<MapStore>().unwrap().get(key)
}

#[test]
fn other_tasks_see_what_was_processed() {
    let backend = Arc::default();
    let mut global = open(&backend);
    global.process(NOW, 0, &[fetched(0, 1, "a", "Anna")], 1).unwrap();
    let mut task = StreamTask::<OwnedRecord>::open(TaskSetup {
        id: TaskId::new(1, 0),
        application: application(&backend),
        inputs: vec![TopicPartition::new("in", 0)],
        state_dir: PathBuf::new(),
        globals: global.stores().clone(),
        partition_counts: PartitionCounts::default(),
        config: TaskConfig::default(),
    })
    .unwrap();
    task.start(NOW, &[]).unwrap();
    task.add_records(0, [fetched(0, 1, "a", "?"), fetched(1, 1, "b", "?")]);
    task.process(NOW, 1).unwrap();
    global.process(NOW, 1, &[fetched(0, 1, "b", "Ben")], 1).unwrap();
    task.process(NOW, 1).unwrap();
    let sent = task.gather(Gathered::default());
    let values: Vec<_> = sent.records.iter().map(|view| view.value.unwrap().to_vec()).collect();
    assert_eq!(values, [b"Anna".to_vec(), b"Ben".to_vec()]);
}

#[test]
fn data_and_offsets_are_one_write() {
    let backend = Arc::default();
    let mut global = open(&backend);
    assert_eq!(global.partitions()[0].offset, None);
    global.process(NOW, 0, &[fetched(0, 1, "a", "x"), fetched(2, 1, "a", "y")], 4).unwrap();
    assert_eq!(open(&backend).partitions()[0].offset, None, "nothing was committed yet");
    global.commit().unwrap();
    assert_eq!(get(&global, "a").as_deref(), Some("xy"));
    let again = open(&backend);
    assert_eq!((again.partitions()[0].offset, again.partitions()[1].offset), (Some(4), None));
    assert_eq!(get(&again, "a").as_deref(), Some("xy"));
}

#[test]
fn an_unreadable_record_is_named_and_the_stores_stay_readable() {
    let backend = Arc::default();
    let mut global = open(&backend);
    let bad = OwnedRecord { value: Some(vec![0xff].into()), ..fetched(1, 1, "b", "") };
    let error = global.process(NOW, 0, &[fetched(0, 1, "a", "x"), bad], 2).unwrap_err().to_string();
    assert!(
        error.starts_with("task global: the record of names-0 at offset 1, key `b`, cannot be read"),
        "{error}"
    );
    assert_eq!(get(&global, "a").as_deref(), Some("x"));
    assert_eq!(global.partitions()[0].offset, None);
    // The half of the batch that was processed would be processed again.
    assert!(matches!(global.commit(), Err(TaskError::OutOfTurn { .. })));
    global.close().unwrap();
    assert_eq!(get(&open(&backend), "a"), None);
}

#[test]
fn an_unreadable_record_may_go_to_a_dead_letter_topic() {
    let mut setup = GlobalTaskSetup {
        application: application(&Arc::default()),
        inputs: vec![TopicPartition::new("names", 0)],
        state_dir: PathBuf::new(),
        config: TaskConfig::default(),
    };
    setup.config.deserialization = DeserializationPolicy::DeadLetter("dead".into());
    let mut global = GlobalTask::open(setup, NOW).unwrap();
    let bad = OwnedRecord { value: Some(vec![0xff].into()), ..fetched(1, 1, "b", "") };
    global.process(NOW, 0, &[fetched(0, 1, "a", "x"), bad], 2).unwrap();
    let letters = global.take_dead_letters(Output::default());
    let letters: Vec<_> =
        letters.iter().map(|it| (it.topic.to_string(), it.value.unwrap().to_vec())).collect();
    assert_eq!(letters, [("dead".to_owned(), vec![0xff])]);
    assert_eq!((get(&global, "a").as_deref(), global.counters()), (Some("x"), (2, 1)));
}

#[test]
fn a_topic_of_no_global_store_is_refused() {
    let setup = GlobalTaskSetup {
        application: application(&Arc::default()),
        inputs: vec![TopicPartition::new("in", 0)],
        state_dir: PathBuf::new(),
        config: TaskConfig::default(),
    };
    let error = GlobalTask::open(setup, NOW).map(|_| ()).unwrap_err();
    assert!(matches!(error, TaskError::UnknownInput { .. }), "{error}");
}
