//! One instance, two, three, and one again, under load.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::ground::Ground;
use super::options::ElasticOptions;
use super::pauses::Pauses;
use super::signed_output::Span;
use crate::verifier::status_report::now_ms;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const INSTANCES: usize = 3;
/// How long a change may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// What belongs to a change after the tasks run: the first records of a task that has moved.
const AFTERMATH_MS: i64 = 500;

/// Options of `scale`.
#[derive(Debug, Clone, Args)]
pub struct ScaleOptions {
    /// What runs.
    #[command(flatten)]
    pub elastic: ElasticOptions,
    /// How often the instances come and go.
    #[arg(long, default_value_t = 5)]
    pub cycles: usize,
    /// How long each number of instances stays, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    pub stay_ms: u64,
    /// Longest pause of 99 of 100 partitions that do not move, in milliseconds.
    #[arg(long, default_value_t = 250)]
    pub kept_ms: i64,
    /// Longest pause of 99 of 100 partitions that move, in milliseconds.
    #[arg(long, default_value_t = 400)]
    pub moved_ms: i64,
}

impl Default for ScaleOptions {
    fn default() -> Self {
        ScaleOptions {
            elastic: ElasticOptions::default(),
            cycles: 5,
            stay_ms: 2_000,
            kept_ms: 250,
            moved_ms: 400,
        }
    }
}

/// The figures of `scale`.
#[derive(Debug, Default, Clone, Serialize)]
pub struct ScaleFigures {
    /// The options' seed.
    pub seed: u64,
    /// `relay` or `tally`.
    pub application: String,
    /// `processing.guarantee`.
    pub guarantee: String,
    /// `log-server`, or `given`.
    pub broker: String,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// Records of the input.
    pub input: u64,
    /// Results that are missing.
    pub lost: u64,
    /// Results that came more than once.
    pub duplicated: u64,
    /// Pauses while nothing changed, in spans as long as the changes.
    pub steady: Pauses,
    /// Pauses of partitions that stayed where they were when an instance joined.
    pub join_kept: Pauses,
    /// Pauses of partitions that moved to an instance that joined.
    pub join_moved: Pauses,
    /// Pauses of partitions of the instance that stayed when two left.
    pub leave_kept: Pauses,
    /// Pauses of partitions of the instances that left.
    pub leave_moved: Pauses,
    /// How long it took from the start of a process until the tasks were shared out anew.
    pub join_settled: Pauses,
    /// How long it took from asking two processes to end until the other one ran all tasks.
    pub leave_settled: Pauses,
    /// Instances that ended by themselves or would not end, and partitions that were not processed to their ends.
    pub failures: Vec<String>,
    /// Nothing is lost, nothing came twice, and no pause is beyond its limit.
    pub right: bool,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Join,
    Leave,
}

/// Runs it; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on.
pub async fn scale(options: &ScaleOptions, verifier: &Path) -> Outcome<ScaleFigures> {
    let elastic = &options.elastic;
    let mut ground = Ground::prepare(elastic, verifier, INSTANCES).await?;
    let changes = change(options, &mut ground).await?;
    let begun = ground.begun;
    let harvest = ground.harvest().await?;
    let (lost, duplicated) = harvest.output.compare(&harvest.input);
    let pauses = |change: Change| {
        let (mut kept, mut moved) = (Vec::new(), Vec::new());
        for (_, span) in changes.iter().filter(|(what, _)| *what == change) {
            let wide = Span { end_ms: span.end_ms + AFTERMATH_MS, ..*span };
            let (stayed, went) = harvest.output.pauses(wide);
            kept.extend(stayed);
            moved.extend(went);
        }
        (Pauses::of(kept), Pauses::of(moved))
    };
    let took = |change: Change| {
        let of_kind = changes.iter().filter(|(what, _)| *what == change);
        Pauses::of(of_kind.map(|(_, span)| span.end_ms - span.begin_ms).collect())
    };
    let (join_kept, join_moved) = pauses(Change::Join);
    let (leave_kept, leave_moved) = pauses(Change::Leave);
    let mut figures = ScaleFigures {
        seed: elastic.seed,
        application: elastic.application_name(),
        guarantee: elastic.guarantee.clone(),
        broker: elastic.broker_name(),
        seconds: begun.elapsed().as_secs_f64(),
        input: harvest.input.records(),
        lost,
        duplicated,
        steady: pauses(Change::Nothing).0,
        join_kept,
        join_moved,
        leave_kept,
        leave_moved,
        join_settled: took(Change::Join),
        leave_settled: took(Change::Leave),
        failures: harvest.failures,
        right: false,
    };
    figures.right = is_right(&figures, options);
    Ok(figures)
}

/// Lets instances come and go, and tells when each change began and had settled.
async fn change(options: &ScaleOptions, ground: &mut Ground) -> Outcome<Vec<(Change, Span)>> {
    let mut changes: Vec<(Change, Span)> = Vec::new();
    ground.fleet.start(0)?;
    ground.until_settled(1, SETTLE_LIMIT).await?;
    ground.begin_load();
    let stay = Duration::from_millis(options.stay_ms);
    tokio::time::sleep(stay).await;
    for _ in 0..options.cycles {
        for newcomer in 1..INSTANCES {
            changes.push(stand_still(stay).await);
            let begin_ms = now_ms();
            ground.fleet.start(newcomer)?;
            let end_ms = ground.until_settled(newcomer + 1, SETTLE_LIMIT).await?;
            changes.push((Change::Join, Span { begin_ms, end_ms }));
            tokio::time::sleep(Duration::from_millis(AFTERMATH_MS as u64)).await;
        }
        changes.push(stand_still(stay).await);
        let begin_ms = now_ms();
        (1..INSTANCES).try_for_each(|number| ground.fleet.ask_to_end(number))?;
        for number in 1..INSTANCES {
            ground.fleet.has_ended(number).await?;
        }
        let end_ms = ground.until_settled(1, SETTLE_LIMIT).await?;
        changes.push((Change::Leave, Span { begin_ms, end_ms }));
        tokio::time::sleep(Duration::from_millis(AFTERMATH_MS as u64)).await;
    }
    Ok(changes)
}

async fn stand_still(stay: Duration) -> (Change, Span) {
    let begin_ms = now_ms();
    tokio::time::sleep(stay).await;
    (Change::Nothing, Span { begin_ms, end_ms: now_ms() - AFTERMATH_MS })
}

fn is_right(figures: &ScaleFigures, options: &ScaleOptions) -> bool {
    let kept = [&figures.join_kept, &figures.leave_kept];
    let moved = [&figures.join_moved, &figures.leave_moved];
    figures.input > 0
        && figures.lost == 0
        && figures.duplicated == 0
        && figures.failures.is_empty()
        // Without any that moved, nothing was measured.
        && moved.iter().all(|pauses| pauses.count > 0 && pauses.p99_ms <= options.moved_ms)
        && kept.iter().all(|pauses| pauses.count > 0 && pauses.p99_ms <= options.kept_ms)
}
