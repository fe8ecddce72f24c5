//! A large backlog in front of a slow sink: how much memory it takes, and whether the pace holds.

use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::Stage;
use crate::arguments::ScenarioArguments;
use crate::inputs::BLOB_BYTES;
use crate::load::print;
use crate::{Error, Workload};

/// Of a kilobyte each: more than five gibibytes.
const RECORDS: u64 = (5 << 30) / BLOB_BYTES as u64 + 100_000;
const BUDGET_MB: i64 = 256;
/// Memory beyond the budget that a program may take, for its code and threads and what cannot be counted.
const ALLOWED: f64 = 1.3;
/// The first and last part of the run whose paces are compared.
const PARTS: u32 = 10;

/// Keeps the latest value of each key, where every key comes once, with a sink that takes its time. Prints one JSON line.
///
/// # Errors
/// When a program fails or a step takes longer than `--timeout`.
pub fn backlog(arguments: &ScenarioArguments) -> Result<(), Error> {
    let stage = Stage::set(arguments, "backlog")?;
    let records = stage.load(Workload::Latest, arguments.records.unwrap_or(RECORDS))?;
    let budget = format!("memory.budget={}", BUDGET_MB << 20);
    let mut streams = stage.start(Workload::Latest, "here", "at_least_once", &[&budget])?;
    let mut points: Vec<(Instant, u64)> = Vec::new();
    let mut rss_mb: Vec<i64> = Vec::new();
    streams.until("all records are processed", |at, sight| {
        if sight.input > 0 {
            points.push((at, sight.input));
            rss_mb.push(sight.rss_mb);
        }
        sight.input >= records
    })?;
    let cpu = streams.process().cpu_seconds();
    let (begun, ended) = (points[0].0, points[points.len() - 1].0);
    let part = (ended - begun) / PARTS;
    let pace = |from: Instant, to: Instant| {
        let mut between = points.iter().filter(|(at, _)| *at >= from && *at <= to);
        let first = between.next().copied().unwrap_or((from, 0));
        let last = between.next_back().copied().unwrap_or(first);
        (last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64().max(f64::EPSILON)
    };
    let seconds = (0..(ended - begun).as_secs() as u32).map(|second| begun + second * Duration::from_secs(1));
    let slowest = seconds.map(|from| pace(from, from + Duration::from_secs(1))).fold(f64::INFINITY, f64::min);
    rss_mb.sort_unstable();
    let peak = streams.sight.peak_rss_mb;
    let line = json!({
        "scenario": "backlog",
        "records": records,
        "backlog_mb": (records * BLOB_BYTES as u64) >> 20,
        "slow_us": stage.arguments.slow_us,
        "seconds": (ended - begun).as_secs_f64(),
        "records_per_s": pace(begun, ended).round(),
        "records_per_s_first_tenth": pace(begun, begun + part).round(),
        "records_per_s_last_tenth": pace(ended - part, ended).round(),
        "records_per_s_slowest_second": slowest.round(),
        "cpu_s": cpu,
        "budget_mb": BUDGET_MB,
        "rss_mb_median": rss_mb.get(rss_mb.len() / 2),
        "rss_mb_peak": peak,
        "within_bound": (peak as f64) < BUDGET_MB as f64 * ALLOWED,
    });
    print(format_args!("{line}"));
    Ok(())
}
