//! One of two instances with standbys is killed: what the other one still restores.

use serde_json::json;

use super::feed::Feed;
use super::stage::Stage;
use crate::arguments::ScenarioArguments;
use crate::load::print;
use crate::{Error, Workload};

const KEYS: u64 = 1_000_000;
const LIVE_RECORDS: u64 = 20_000;
const STANDBY: &str = "num.standby.replicas=1";
const COMMIT_INTERVAL: &str = "commit.interval.ms=1000";

/// Counts many keys in two instances with a standby for each task, kills the one with more tasks while live records come in, and
/// waits until the other one runs them all. Prints one JSON line.
///
/// # Errors
/// When a program fails or a step takes longer than `--timeout`.
pub fn fail_over(arguments: &ScenarioArguments) -> Result<(), Error> {
    let stage = Stage::set(arguments, "fail-over")?;
    let records = stage.load(Workload::Keys, arguments.records.unwrap_or(KEYS))?;
    let start = |instance: &str| {
        let sets = [STANDBY, COMMIT_INTERVAL];
        stage.start(Workload::Keys, instance, "at_least_once", &sets)
    };
    let mut first = start("first")?;
    first.until("all records are processed", |_, sight| sight.input >= records)?;
    let mut second = start("second")?;
    let _feed = Feed::start(&stage, Workload::Keys)?;
    let shared = |sight: &crate::watch::Sight| {
        sight.tasks > 0 && sight.running == sight.tasks && sight.standbys > 0 && sight.standby_offsets > 0
    };
    second.until("both have tasks and standbys", |_, sight| shared(sight))?;
    first.until("both have tasks and standbys", |_, sight| shared(sight))?;
    let both = first.sight.tasks + second.sight.tasks;
    let seen = second.sight.input;
    second.until("live records are processed", |_, sight| sight.input >= seen + LIVE_RECORDS)?;
    first.catch_up();
    let (mut killed, mut left) =
        if first.sight.tasks >= second.sight.tasks { (first, second) } else { (second, first) };
    left.catch_up();
    let (moved, before) = (killed.sight.tasks, left.sight.restored);
    let at = std::time::Instant::now();
    killed.kill();
    let all =
        left.until("the other runs all tasks", |_, sight| sight.tasks == both && sight.running == both)?;
    let line = json!({
        "scenario": "fail-over",
        "records": records,
        "live_per_s": stage.arguments.rate,
        "tasks_moved": moved,
        "restored": left.sight.restored.saturating_sub(before),
        "kill_to_all_tasks_s": (all - at).as_secs_f64(),
    });
    print(format_args!("{line}"));
    Ok(())
}
