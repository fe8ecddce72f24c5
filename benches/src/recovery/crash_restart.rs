//! An application with much state is killed and started again: how soon it processes, and what it replays.

use serde_json::{Value, json};

use super::feed::Feed;
use super::stage::{SESSION_TIMEOUT, Stage};
use crate::arguments::ScenarioArguments;
use crate::inputs::BLOB_BYTES;
use crate::load::print;
use crate::{Error, Workload, size_of};

/// Of a kilobyte each: a gibibyte of state.
const RECORDS: u64 = (1 << 30) / BLOB_BYTES as u64;
/// Live records that are processed before the kill: some commits.
const LIVE_RECORDS: u64 = 10_000;
const GUARANTEE: &str = "exactly_once_v2";
/// The store that Kafka Streams is killed with: its benchmark has no larger one.
const THEIR_KEYS: u64 = 1_000_000;

/// Fills a store with a gibibyte, exactly-once, kills the application while live records come in, and starts it again. Prints one
/// JSON line. With `--anchor` Kafka Streams is killed in the same way with a store of a million counts.
///
/// # Errors
/// When a program fails or a step takes longer than `--timeout`.
pub fn crash_restart(arguments: &ScenarioArguments) -> Result<(), Error> {
    let stage = Stage::set(arguments, "crash-restart")?;
    let records = stage.load(Workload::Latest, arguments.records.unwrap_or(RECORDS))?;
    let mut streams = stage.start(Workload::Latest, "here", GUARANTEE, &[])?;
    streams.until("all records are processed", |_, sight| sight.input >= records)?;
    let feed = Feed::start(&stage, Workload::Latest)?;
    streams.until("live records are processed", |_, sight| sight.input >= records + LIVE_RECORDS)?;
    let committed = stage.broker.committed(&stage.app, Workload::Latest.inputs())? as u64;
    streams.kill();
    let processed = streams.sight.input;
    let state = size_of(&stage.state("here"));

    let mut streams = stage.start(Workload::Latest, "here", GUARANTEE, &[])?;
    let first = streams.until("the first record is processed", |_, sight| sight.input > 0)?;
    let all = streams.until("all tasks run", |_, sight| sight.tasks > 0 && sight.running == sight.tasks)?;
    streams.until("live records are processed", |_, sight| sight.input >= LIVE_RECORDS)?;
    let replayed = streams.sight.restored;
    let started = streams.started;
    drop((streams, feed));
    let theirs = theirs(&stage)?;
    let line = json!({
        "scenario": "crash-restart",
        "records": records,
        "state_mb": state >> 20,
        "start_to_first_record_s": (first - started).as_secs_f64(),
        "start_to_all_tasks_s": (all - started).as_secs_f64(),
        "replayed": replayed,
        "processed_since_last_commit": processed.saturating_sub(committed),
        "kafka_streams_restored": theirs["restored"],
        "kafka_streams_restored_per_s": theirs["restored_per_s"],
        "kafka_streams_start_to_running_s": theirs["start_to_running_s"],
    });
    print(format_args!("{line}"));
    Ok(())
}

/// Kafka Streams, exactly-once, killed and started again with the state that it left.
fn theirs(stage: &Stage) -> Result<Value, Error> {
    let Some(anchor) = &stage.arguments.anchor else { return Ok(Value::Null) };
    stage.load(Workload::Keys, THEIR_KEYS)?;
    let (program, app) = (anchor.join("bench"), format!("{}-theirs", stage.app));
    let state = stage.state("theirs").display().to_string();
    let common = ["--workload", "keys", "--app-id", &app, "--state-dir", &state, "--guarantee", GUARANTEE];
    let crash = ["--crash-after-commit", "--set", SESSION_TIMEOUT];
    stage.call(&program, "run", &[&common[..], &crash].concat())?;
    let again = ["--restore", "--keep-state", "--set", SESSION_TIMEOUT];
    stage.call(&program, "run", &[&common[..], &again].concat())
}
