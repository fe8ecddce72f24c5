//! Tasks run at full load while a large store of the same application is restored.

use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::{SESSION_TIMEOUT, Stage};
use crate::arguments::ScenarioArguments;
use crate::load::print;
use crate::suite::this_program;
use crate::{Error, Workload};

const KEYS: u64 = 4_000_000;
const PAGES_PER_KEY: u64 = 2;
/// How long the pace without a restore is measured.
const ALONE: Duration = Duration::from_secs(2);
/// What the start of the streams takes away is no matter of the restore.
const WARM_UP: Duration = Duration::from_millis(300);

/// Counts many keys, deletes that state, and starts the application anew with a second part that passes records through: its
/// pace while the store is restored is compared with that afterwards. Prints one JSON line.
///
/// # Errors
/// When a program fails, or the records do not last until the restore has ended.
pub fn restore_beside(arguments: &ScenarioArguments) -> Result<(), Error> {
    let stage = Stage::set(arguments, "restore-beside")?;
    let keys = arguments.records.unwrap_or(KEYS);
    let restored = stage.load(Workload::Keys, keys)?;
    let pages = stage.load(Workload::Passthrough, keys * PAGES_PER_KEY)?;
    let state = stage.state("built").display().to_string();
    let common = ["--workload", "keys", "--app-id", &stage.app, "--state-dir", &state];
    let built = ["--crash-after-commit", "--set", "commit.interval.ms=1000", "--set", SESSION_TIMEOUT];
    stage.call(&this_program()?, "run", &[&common[..], &built].concat())?;

    let mut streams = stage.start(Workload::KeysAndPages, "restored", "at_least_once", &[])?;
    let begun = streams.until("the first record is processed", |_, sight| sight.input > 0)?;
    let mut points: Vec<(Instant, u64, bool)> = Vec::new();
    let mut over: Option<Instant> = None;
    streams.until("the store is restored and the records are over", |at, sight| {
        let restoring = sight.tasks == 0 || sight.running < sight.tasks;
        if !restoring && over.is_none() {
            over = Some(at);
        }
        points.push((at, sight.input, restoring));
        sight.input >= pages || over.is_some_and(|over| at - over >= ALONE + WARM_UP)
    })?;
    let over = over.unwrap_or(begun);
    let pace = |from: Instant, to: Instant| {
        let mut between = points.iter().filter(|(at, ..)| *at >= from && *at <= to);
        let (first, last) = (between.next()?, between.next_back()?);
        let seconds = (last.0 - first.0).as_secs_f64();
        (seconds > 0.0).then(|| ((last.1 - first.1) as f64 / seconds).round())
    };
    let (during, after) =
        (pace(begun + WARM_UP, over), pace(over, points.last().map_or(over, |last| last.0)));
    let line = json!({
        "scenario": "restore-beside",
        "restored": restored,
        "restored_while_running": streams.sight.restored,
        "restore_s": (over - begun).as_secs_f64(),
        "records_per_s_while_restoring": during,
        "records_per_s_afterwards": after,
        "share": during.zip(after).map(|(during, after)| (during / after * 100.0).round() / 100.0),
        "peak_rss_mb": streams.sight.peak_rss_mb,
    });
    print(format_args!("{line}"));
    Ok(())
}
