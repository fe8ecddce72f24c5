//! Two `word_count --follow` processes on one topic: one is killed, the other takes all over, and gives a share back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use examples::Feed;
use log_server::{LogServer, LogServerConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use streams_dsl::client::wire::{WireClient, WireConfig};

const PARTITIONS: usize = 4;
/// The input and the repartition topic.
const ALL: usize = 2 * PARTITIONS;
const SESSION: Duration = Duration::from_secs(6);
/// The survivor is to process again within this time after the kill.
const FAIL_OVER_MAX: Duration = Duration::from_secs(8);
/// A restarted process is to have its share within this time.
const RETURN_MAX: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);

/// The log server in this process, or Apache Kafka where `KAFKA_TOOL` starts it.
enum Broker {
    Own(LogServer),
    Kafka { tool: String, dir: tempfile::TempDir, address: String },
}

impl Broker {
    async fn start() -> Self {
        let Ok(tool) = std::env::var("KAFKA_TOOL") else {
            let config = LogServerConfig::temporary().expect("the temporary directory is writable");
            return Broker::Own(LogServer::start(config).await.expect("the log server starts"));
        };
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let up = Command::new(&tool).args(["up", "--port", "0", "--dir"]).arg(dir.path()).output();
        let up = up.expect("the tool runs");
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let address = String::from_utf8_lossy(&up.stdout).trim().to_owned();
        Broker::Kafka { tool, dir, address }
    }

    fn address(&self) -> String {
        match self {
            Broker::Own(server) => server.address().to_string(),
            Broker::Kafka { address, .. } => address.clone(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Broker::Kafka { tool, dir, .. } = self {
            let _ = Command::new(&*tool).args(["down", "--dir"]).arg(dir.path()).status();
        }
    }
}

/// A process, killed when the test ends.
struct WordCount(Child);

impl WordCount {
    fn start(broker: &str, state: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_word_count"));
        command.args(["--bootstrap", broker, "--application-id", "words", "--follow", "--partitions"]);
        command.arg(PARTITIONS.to_string()).arg("--state-dir").arg(state);
        for set in ["processing.guarantee=exactly_once_v2", "session.timeout.ms=6000"] {
            command.args(["--set", set]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        WordCount(child.expect("the program starts"))
    }
}

impl Drop for WordCount {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many partitions each member of the group reads, in descending order.
async fn shares(wire: &WireClient) -> Vec<usize> {
    let Ok(group) = wire.describe_group("words").await else { return Vec::new() };
    let shares = group.members.iter().map(|member| partitions(&member.assignment).unwrap_or(0));
    let mut shares: Vec<usize> = shares.collect();
    shares.sort_unstable_by(|one, other| other.cmp(one));
    if group.state == "Stable" { shares } else { Vec::new() }
}

/// The partitions of a `ConsumerProtocolAssignment`.
fn partitions(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let (mut at, mut count) = (6, 0);
    for _ in 0..number(2)? {
        let name = i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?) as usize;
        let here = number(at + 2 + name)?;
        count += here;
        at += 2 + name + 4 + 4 * here;
    }
    Some(count)
}

/// Waits until the members have these shares; answers how long that took.
async fn until_shares(wire: &WireClient, expected: &[usize]) -> Duration {
    let begun = Instant::now();
    loop {
        let shares = shares(wire).await;
        if shares == expected {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < LIMIT, "{expected:?} expected, the members have {shares:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The last count of each word.
fn counts(broker: &str) -> BTreeMap<String, i64> {
    const COUNTS: &str = "streams-word-counts";
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "survivor-test")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .expect("the consumer is configured");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        assignment.add_partition_offset(COUNTS, partition, Offset::Beginning).expect("it is legal");
    }
    consumer.assign(&assignment).expect("it is assigned");
    let (mut counts, mut open) = (BTreeMap::new(), PARTITIONS);
    while open > 0 {
        match consumer.poll(LIMIT).expect("the topic is read in time") {
            Ok(message) => {
                let word = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                let count = message.payload().unwrap_or_default().try_into().unwrap_or_default();
                counts.insert(word, i64::from_be_bytes(count));
            }
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    counts
}

/// Waits until a word was counted so often; answers how long that took.
fn until_counted(broker: &str, word: &str, expected: i64) -> Duration {
    let begun = Instant::now();
    loop {
        let found = counts(broker).get(word).copied().unwrap_or(0);
        if found == expected {
            return begun.elapsed();
        }
        assert!(found < expected && begun.elapsed() < LIMIT, "{word}: {expected} expected, {found} found");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_takes_over_and_gives_the_restarted_its_share_back() {
    let broker = Broker::start().await;
    let address = broker.address();
    let wire = WireClient::new(WireConfig::new(&address));
    let (here, there) = (tempfile::tempdir().expect("writable"), tempfile::tempdir().expect("writable"));
    let first = WordCount::start(&address, here.path());
    until_shares(&wire, &[ALL]).await;
    let second = WordCount::start(&address, there.path());
    until_shares(&wire, &[ALL / 2, ALL / 2]).await;
    let feed = Feed::new(&address).expect("the feed starts");
    let send = |lines: usize| {
        for number in 0..lines {
            let line = format!("all w{}", number % 50);
            feed.send("streams-lines", None, line.as_bytes(), None).expect("it is sent");
        }
        feed.flush().expect("it is acknowledged");
    };
    send(5_000);
    until_counted(&address, "all", 5_000);

    // Killed while it works: what it had not committed is done again, and not twice.
    send(5_000);
    drop(first);
    let killed = Instant::now();
    send(5_000);
    until_shares(&wire, &[ALL]).await;
    let taken_over = killed.elapsed();
    until_counted(&address, "all", 15_000);
    println!("tasks taken over after {taken_over:?}, all counted after {:?}", killed.elapsed());
    assert!(taken_over < FAIL_OVER_MAX.max(SESSION), "{taken_over:?}");

    let restarted = WordCount::start(&address, here.path());
    let returned = until_shares(&wire, &[ALL / 2, ALL / 2]).await;
    println!("the restarted process has its share after {returned:?}");
    assert!(returned < RETURN_MAX, "{returned:?}");
    send(5_000);
    until_counted(&address, "all", 20_000);
    let counts = counts(&address);
    assert!((0..50).all(|number| counts[&format!("w{number}")] == 400), "{counts:?}");
    drop((second, restarted));
}
