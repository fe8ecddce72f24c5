//! Some of the recorded runs once more, whole: two instances of the application share a broker, and what comes out of
//! its topics is what the reference sent.
//!
//! Only runs of one input topic: of several, a broker does not keep the order in which the reference was fed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use integration_tests::TestBroker;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use streams_dsl::{KafkaStreams, RunningStreams, StreamsState};

use crate::case::{Case, Sent};
use crate::replay::{self, Side};
use crate::values;

const LIMIT: Duration = Duration::from_secs(60);

const CASES: [&str; 16] = [
    "filter",
    "map",
    "flat_map_values",
    "branch_default",
    "repartition",
    "to_table",
    "table_filter_materialized",
    "table_group_by_count",
    "count",
    "count_group_by",
    "tumbling_count",
    "hopping_count",
    "sliding_count",
    "session_count",
    "suppress_window_close",
    "word_count",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_on_a_broker_send_what_the_reference_sent() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data");
    let broker = TestBroker::start().await;
    for name in CASES {
        // The runs of this seed begin behind time 0, which librdkafka takes for now.
        let case = Case::read(&dir.join(format!("{name}.seed2.json")));
        Scenario::new(&broker, case).run().await;
    }
}

/// A run, its topics on the broker, and the application that is to repeat it.
struct Scenario<'a> {
    broker: &'a TestBroker,
    case: Case,
    admin: AdminClient<DefaultClientContext>,
}

impl<'a> Scenario<'a> {
    fn new(broker: &'a TestBroker, case: Case) -> Self {
        let admin = client(broker).create().expect("an admin client starts");
        Scenario { broker, case, admin }
    }

    async fn run(self) {
        let topics: Vec<&str> = self.case.serdes.keys().map(String::as_str).collect();
        self.create(&topics).await;
        let states = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let (one, two) = (self.start(states[0].path()).await, self.start(states[1].path()).await);
        for instance in [&one, &two] {
            assert!(instance.wait_for(StreamsState::Running, LIMIT).await, "{}: not running", self.case.case);
        }
        self.send_inputs();
        let mut expected = BTreeMap::<&str, Vec<&Sent>>::new();
        for sent in self.case.steps.iter().flat_map(|step| &step.out) {
            expected.entry(&sent.topic).or_default().push(sent);
        }
        for (topic, expected) in expected {
            let got = self.read(topic, expected.len());
            for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let what = format!("{}: record {place} of {topic}", self.case.case);
                assert_eq!((&got.key, &got.value), (&expected.key, &expected.value), "{what}");
                assert_eq!((got.ts, &got.headers), (expected.ts, &expected.headers), "{what}");
            }
        }
        one.shutdown().await.expect("the first instance ends well");
        two.shutdown().await.expect("the second instance ends well");
        self.admin.delete_topics(&topics, &AdminOptions::new()).await.expect("the topics are deleted");
    }

    /// Creates topics of one partition; asks again while former ones of the same name are being deleted.
    async fn create(&self, topics: &[&str]) {
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("retention.ms", "-1"))
            .collect();
        let begun = Instant::now();
        loop {
            let answers =
                self.admin.create_topics(&new, &AdminOptions::new()).await.expect("a broker answers");
            let faults: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
            if faults.is_empty() {
                return;
            }
            let passing = faults.iter().all(|(_, code)| *code == RDKafkaErrorCode::TopicAlreadyExists);
            assert!(passing && begun.elapsed() < LIMIT, "{}: {faults:?}", self.case.case);
            self.admin.delete_topics(topics, &AdminOptions::new()).await.expect("a broker answers");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn start(&self, state: &Path) -> RunningStreams {
        let topology = replay::topology(&self.case, &Side::default()).expect("the topology is built");
        let application = format!("golden-{}-{}", self.case.case, std::process::id());
        let config = self.broker.config(&application, state).cache_max_bytes(0);
        let streams = KafkaStreams::new(topology, config).expect("the settings are good");
        streams.start().await.unwrap_or_else(|error| panic!("{}: {error}", self.case.case))
    }

    fn send_inputs(&self) {
        let producer: BaseProducer =
            client(self.broker).set("enable.idempotence", "true").create().expect("a producer starts");
        for input in self.case.steps.iter().filter_map(|step| step.input.as_ref()) {
            let serdes = &self.case.serdes[&input.topic];
            let key = values::encode(&serdes.key, &input.key);
            let value = values::encode(&serdes.value, &input.value);
            let mut record = BaseRecord::<[u8], [u8]>::to(&input.topic).partition(0).timestamp(input.ts);
            record.key = key.as_deref();
            record.payload = value.as_deref();
            let headers = input.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            producer.send(record.headers(headers)).map_err(|(error, _)| error).expect("there is room");
        }
        producer.flush(LIMIT).expect("everything is acknowledged");
    }

    /// The records of a topic as soon as there are so many, and a moment later still no more.
    fn read(&self, topic: &str, wanted: usize) -> Vec<Sent> {
        let consumer: BaseConsumer =
            client(self.broker).set("group.id", "golden-reader").create().expect("a consumer starts");
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning).expect("it is an offset");
        consumer.assign(&from).expect("it is assigned");
        let (begun, mut got) = (Instant::now(), Vec::new());
        loop {
            let patience = Duration::from_millis(if got.len() < wanted { 500 } else { 300 });
            match consumer.poll(patience) {
                Some(record) => got.push(self.readable(&record.expect("the broker answers"))),
                None if got.len() >= wanted => break,
                None => {}
            }
            assert!(begun.elapsed() < LIMIT, "{}: {} of {wanted} in {topic}", self.case.case, got.len());
        }
        assert_eq!(got.len(), wanted, "{}: records of {topic}", self.case.case);
        got
    }

    fn readable(&self, record: &impl Message) -> Sent {
        let serdes = &self.case.serdes[record.topic()];
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = record.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(text))).collect()
        });
        Sent {
            topic: record.topic().to_owned(),
            key: values::decode(&serdes.key, record.key()),
            value: values::decode(&serdes.value, record.payload()),
            ts: record.timestamp().to_millis().unwrap_or(-1),
            headers,
            key_hex: None,
            value_hex: None,
        }
    }
}

fn client(broker: &TestBroker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config
}
