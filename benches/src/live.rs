//! Live workloads: a line of progress every 20 ms, to see what a rebalance does to latency.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use streams_dsl::RunningStreams;

use crate::Error;
use crate::run::Plan;
use crate::suite::failed;

const LINE_EVERY: Duration = Duration::from_millis(20);
const PARTITIONS_SHOWN: usize = 4;

/// What live records have told so far.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    max_ms: AtomicI64,
    records: [AtomicU64; PARTITIONS_SHOWN],
}

impl Latency {
    /// Takes note of a record with this timestamp in milliseconds.
    pub(crate) fn take(&self, partition: i32, timestamp_ms: i64) {
        if let Some(records) =
            usize::try_from(partition).ok().and_then(|partition| self.records.get(partition))
        {
            records.fetch_add(1, Ordering::Relaxed);
        }
        self.max_ms.fetch_max(now_ms() - timestamp_ms, Ordering::Relaxed);
    }
}

/// Writes the --progress file until --seconds have passed, then stops the streams. A line holds the time in milliseconds
/// since 1970, the state, the largest latency in milliseconds since the last line, and the records of each partition so far.
///
/// # Errors
/// When the file cannot be written or the streams cannot be stopped.
pub(crate) async fn follow(plan: &Plan, streams: RunningStreams) -> Result<(), Error> {
    let path = &plan.arguments.progress;
    let fault = |source| failed(&path.display().to_string(), source);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(fault)?;
    }
    let mut file = BufWriter::new(File::create(path).map_err(fault)?);
    writeln!(file, "{} START 0", now_ms()).map_err(fault)?;
    let began = Instant::now();
    while began.elapsed().as_secs() < plan.arguments.seconds {
        tokio::time::sleep(LINE_EVERY).await;
        let latency = &plan.counters.latency;
        write!(file, "{} {} {}", now_ms(), streams.state(), latency.max_ms.swap(0, Ordering::Relaxed))
            .map_err(fault)?;
        for records in &latency.records {
            write!(file, " {}", records.load(Ordering::Relaxed)).map_err(fault)?;
        }
        writeln!(file).and_then(|()| file.flush()).map_err(fault)?;
    }
    Ok(streams.shutdown().await?)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64)
}
