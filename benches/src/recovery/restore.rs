//! A deleted store is restored: how fast, against Kafka Streams and against bare fetching.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streams_dsl::client::{ClientProperties, DataConsumer, FetchAssignment, FetchEvent, FetchFrom};
use streams_dsl::{FetchedRecord, TopicPartition};

use super::stage::{SESSION_TIMEOUT, Stage};
use crate::arguments::ScenarioArguments;
use crate::compare::median;
use crate::load::print;
use crate::suite::this_program;
use crate::{Error, Workload};

const KEYS: u64 = 1_000_000;
const COMMIT_INTERVAL: &str = "commit.interval.ms=1000";
/// As much as a restore holds of fetched records.
const BUFFER_BYTES: usize = 8 << 20;
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Counts many keys, ends that like a killed process, deletes the state and restores it, several times; the same with Kafka
/// Streams where `--anchor` names its benchmark; and reads the changelog without doing anything with it. Prints one JSON line.
///
/// # Errors
/// When a program fails or the broker does not answer.
pub async fn restore(arguments: &ScenarioArguments) -> Result<(), Error> {
    let stage = Stage::set(arguments, "restore")?;
    let records = stage.load(Workload::Keys, arguments.records.unwrap_or(KEYS))?;
    let ours = restores(&stage, &this_program()?, "ours")?;
    let theirs = match &arguments.anchor {
        Some(anchor) => restores(&stage, &anchor.join("bench"), "theirs")?,
        None => Vec::new(),
    };
    let mut limits = Vec::new();
    for _ in 0..arguments.reps {
        limits.push(
            json!({ "per_s": fetch_only(&stage, &format!("{}-ours-big-changelog", stage.app)).await? }),
        );
    }
    let per_s = |runs: &[Value]| median(runs, "restored_per_s");
    let (our, limit) = (per_s(&ours).unwrap_or(0.0), median(&limits, "per_s").unwrap_or(0.0));
    let line = json!({
        "scenario": "restore",
        "records": records,
        "restored": median(&ours, "restored"),
        "restored_per_s": our.round(),
        "restore_s": median(&ours, "restore_s"),
        "start_to_running_s": median(&ours, "start_to_running_s"),
        "cpu_s": median(&ours, "cpu_s"),
        "rss_mb": median(&ours, "rss_mb"),
        "kafka_streams_restored_per_s": per_s(&theirs).map(f64::round),
        "kafka_streams_start_to_running_s": median(&theirs, "start_to_running_s"),
        "kafka_streams_cpu_s": median(&theirs, "cpu_s"),
        "times": per_s(&theirs).map(|their| (our / their * 100.0).round() / 100.0),
        "fetch_only_per_s": limit.round(),
        "share_of_fetch_only": (our / limit * 100.0).round() / 100.0,
    });
    print(format_args!("{line}"));
    Ok(())
}

/// Builds the store and restores it as often as asked for. The first restore only waits for the killed process's session to
/// end, which Kafka Streams has to as well.
fn restores(stage: &Stage, program: &Path, name: &str) -> Result<Vec<Value>, Error> {
    let (app, state) = (format!("{}-{name}", stage.app), stage.state(name).display().to_string());
    let common = ["--workload", "keys", "--app-id", &app, "--state-dir", &state, "--set", SESSION_TIMEOUT];
    stage.call(
        program,
        "run",
        &[&common[..], &["--crash-after-commit", "--set", COMMIT_INTERVAL]].concat(),
    )?;
    (0..stage.arguments.reps)
        .map(|_| stage.call(program, "run", &[&common[..], &["--restore"]].concat()))
        .collect()
}

/// Records a second of fetching all partitions of a topic without doing anything with them.
async fn fetch_only(stage: &Stage, topic: &str) -> Result<f64, Error> {
    let ends = stage.broker.ends(topic)?;
    let client = |fault: streams_dsl::client::ClientError| Error::Fetch {
        topic: topic.to_owned(),
        source: Box::new(fault),
    };
    let begun = Instant::now();
    let properties = ClientProperties::new(&stage.bootstrap, "fetch-only");
    let consumer = DataConsumer::start(&properties, "fetch-only", BUFFER_BYTES).map_err(client)?;
    let (sender, events) = mpsc::channel();
    let assignments = (0..ends.len()).map(|partition| {
        let sender = sender.clone();
        FetchAssignment {
            partition: TopicPartition::new(topic, partition as i32),
            from: FetchFrom::Beginning,
            sink: Box::new(move |event| drop(sender.send(event))),
        }
    });
    consumer.assign(assignments.collect()).await.map_err(client)?;
    let (mut records, mut at_end) = (0, ends.iter().filter(|end| **end == 0).count());
    while at_end < ends.len() {
        match events.recv_timeout(SILENCE_LIMIT) {
            Ok(FetchEvent::Records(batch)) => {
                records += batch.records.iter().filter(|record| record.key().is_some()).count();
            }
            Ok(FetchEvent::End { .. }) => at_end += 1,
            Ok(FetchEvent::Fault(fault)) => return Err(client(fault)),
            Err(_) => {
                let seconds = SILENCE_LIMIT.as_secs();
                return Err(Error::Stuck { waiting_for: format!("{topic} is read"), seconds });
            }
        }
    }
    Ok(records as f64 / begun.elapsed().as_secs_f64())
}
