//! How long an application that ran before takes to have its state back.

use std::time::{Duration, Instant};

use streams_dsl::{RunningStreams, StreamsState};

use crate::load::print;
use crate::run::{Plan, check, state_mb};
use crate::{Error, Process};

const POLL: Duration = Duration::from_millis(5);

/// Waits until every task has its state and runs, prints one JSON line, stops the streams.
///
/// # Errors
/// When the streams fail or --timeout has passed.
pub(crate) async fn measure(plan: &Plan, streams: RunningStreams, began: Instant) -> Result<(), Error> {
    let cpu = Process::this().cpu_seconds();
    let (mut first, mut restored) = (None, 0);
    loop {
        let status = streams.status();
        restored = status.tasks.values().map(|task| task.restored_records).sum::<u64>().max(restored);
        let reading = status.tasks.values().any(|task| !task.running);
        if first.is_none() && (reading || restored > 0) {
            first = Some(Instant::now());
        }
        if streams.state() == StreamsState::Running && !reading && restored > 0 {
            break;
        }
        tokio::time::sleep(POLL).await;
        check(plan, &streams, began)?;
    }
    let running = Instant::now();
    let first = first.unwrap_or(running);
    let seconds = running.duration_since(first).as_secs_f64();
    print(format_args!(
        "{{\"workload\":\"{}\",\"mode\":\"restore\",\"threads\":{},\"restored\":{restored},\"start_to_restore_s\":{:.3},\
         \"restore_s\":{seconds:.3},\"restored_per_s\":{:.0},\"start_to_running_s\":{:.3},\"cpu_s\":{:.2},\"rss_mb\":{},\"state_mb\":{:.1}}}",
        plan.arguments.workload,
        plan.arguments.threads,
        first.duration_since(began).as_secs_f64(),
        restored as f64 / seconds,
        running.duration_since(began).as_secs_f64(),
        Process::this().cpu_seconds() - cpu,
        Process::this().resident_mb(),
        state_mb(plan),
    ));
    Ok(streams.shutdown().await?)
}
