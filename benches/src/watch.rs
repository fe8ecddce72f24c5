//! A run under observation: it prints how far it is every 20 ms, for whoever started it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use streams_dsl::RunningStreams;

use crate::load::print;
use crate::run::{Plan, check};
use crate::{Error, Process};

const LINE_EVERY: Duration = Duration::from_millis(20);
/// The first record is told at once.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// Input records processed.
    pub(crate) input: u64,
    /// Results sent.
    pub(crate) output: u64,
    /// Tasks of this instance, and those of them that process.
    pub(crate) tasks: usize,
    pub(crate) running: usize,
    /// Records read back into the tasks' stores, and those still to come.
    pub(crate) restored: u64,
    pub(crate) to_restore: u64,
    /// Copies of other instances' tasks, and the changelog offsets that they have reached.
    pub(crate) standbys: usize,
    pub(crate) standby_offsets: i64,
    /// Resident memory, now and at most, in MiB.
    pub(crate) rss_mb: i64,
    pub(crate) peak_rss_mb: i64,
    /// Member of the group, so that the first line of a process tells nothing of the former one.
    pub(crate) generation: i32,
}

/// Prints a line of JSON every 20 ms, and one at the first record, until standard input ends; then stops the streams.
///
/// # Errors
/// When the streams have ended, or --timeout has passed.
pub(crate) async fn show(plan: &Plan, streams: RunningStreams) -> Result<(), Error> {
    let began = Instant::now();
    let mut end = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let (mut told, mut first_told) = (Instant::now(), false);
    loop {
        if tokio::time::timeout(LOOK_EVERY, &mut end).await.is_ok() {
            return Ok(streams.shutdown().await?);
        }
        let first = !first_told && plan.counters.input.sum() > 0;
        if first || told.elapsed() >= LINE_EVERY {
            (told, first_told) = (Instant::now(), first_told || first);
            let sight = look(plan, &streams);
            print(format_args!("{}", serde_json::to_string(&sight).unwrap_or_default()));
        }
        check(plan, &streams, began)?;
    }
}

fn look(plan: &Plan, streams: &RunningStreams) -> Sight {
    let status = streams.status();
    let tasks = || status.tasks.values();
    Sight {
        input: plan.counters.input.sum(),
        output: plan.counters.output.sum(),
        tasks: tasks().count(),
        running: tasks().filter(|task| task.running).count(),
        restored: tasks().map(|task| task.restored_records).sum(),
        to_restore: tasks().filter(|task| !task.running).map(|task| task.restore_remaining).sum(),
        standbys: status.standbys.len(),
        standby_offsets: status.standbys.values().sum(),
        rss_mb: Process::this().resident_mb(),
        peak_rss_mb: Process::this().peak_resident_mb(),
        generation: status.generation,
    }
}
