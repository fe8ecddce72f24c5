//! A log server in this process, on a directory of its own, which a test can stop, kill and start again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log_server::{LogServer, LogServerConfig};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long any single condition may take to become true.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Broker {
    runtime: Option<Runtime>,
    server: Option<LogServer>,
    directory: TempDir,
    address: SocketAddr,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let mut broker = Broker {
            runtime: None,
            server: None,
            directory: tempfile::tempdir().unwrap(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        broker.open();
        broker
    }

    fn open(&mut self) {
        let runtime = Runtime::new().unwrap();
        let config = LogServerConfig::new(self.directory.path()).listen(self.address);
        let server = runtime.block_on(LogServer::start(config)).unwrap();
        self.address = server.address();
        (self.runtime, self.server) = (Some(runtime), Some(server));
    }

    /// Stops the server in an orderly way and starts it again on the same directory and address.
    pub(crate) fn restart(&mut self) {
        if let (Some(runtime), Some(server)) = (self.runtime.take(), self.server.take()) {
            runtime.block_on(server.shutdown()).unwrap();
        }
        self.open();
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address.to_string());
        config
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = self.runtime().block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        created.into_iter().for_each(|created| assert!(created.is_ok(), "{created:?}"));
    }

    /// Writes the numbers from `from` to `to`, round the partitions.
    pub(crate) fn produce(&self, topic: &str, partitions: i32, numbers: std::ops::Range<i32>) {
        let producer: BaseProducer = self.client().create().unwrap();
        send(&producer, topic, partitions, numbers);
        producer.flush(LIMIT).unwrap();
    }

    pub(crate) fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "200");
        settings.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        config.create().unwrap()
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the server runs")
    }
}

/// Queues the numbers, round the partitions.
pub(crate) fn send(producer: &BaseProducer, topic: &str, partitions: i32, numbers: std::ops::Range<i32>) {
    for number in numbers {
        let payload = number.to_string();
        let record = BaseRecord::<(), str>::to(topic).partition(number % partitions).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
}

/// The number that a record holds.
pub(crate) fn number(message: &BorrowedMessage<'_>) -> i32 {
    std::str::from_utf8(message.payload().unwrap()).unwrap().parse().unwrap()
}

/// Polls all consumers until `done`, handing over what they read.
///
/// # Panics
/// When that takes longer than [`LIMIT`].
pub(crate) fn poll_until(
    what: &str,
    consumers: &[&BaseConsumer],
    mut on_record: impl FnMut(usize, &BorrowedMessage<'_>),
    mut done: impl FnMut() -> bool,
) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} in vain until {what}");
        for (index, consumer) in consumers.iter().enumerate() {
            while let Some(polled) = consumer.poll(Duration::from_millis(10)) {
                match polled {
                    Ok(message) => on_record(index, &message),
                    Err(error) => eprintln!("while waiting until {what}: {error}"),
                }
            }
        }
    }
}

/// The partitions that a consumer has.
pub(crate) fn assigned(consumer: &BaseConsumer) -> usize {
    consumer.assignment().map_or(0, |partitions| partitions.count())
}
