//! Static members restart one after the other, and nothing moves.

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

/// How long the start, or a restart, may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Options of `rolling`.
#[derive(Debug, Clone, Args)]
pub struct RollingOptions {
    /// What runs.
    #[command(flatten)]
    pub elastic: ElasticOptions,
    /// Static members, each a process.
    #[arg(long, default_value_t = 3)]
    pub instances: usize,
    /// How often each is restarted.
    #[arg(long, default_value_t = 2)]
    pub cycles: usize,
    /// How long all run between two restarts, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    pub stay_ms: u64,
}

impl Default for RollingOptions {
    fn default() -> Self {
        RollingOptions { elastic: ElasticOptions::default(), instances: 3, cycles: 2, stay_ms: 1_000 }
    }
}

/// The figures of `rolling`.
#[derive(Debug, Default, Clone, Serialize)]
pub struct RollingFigures {
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
    /// Restarts.
    pub restarts: usize,
    /// By how much the group's generation has risen over all of them.
    pub rebalances: i32,
    /// Tasks that ran elsewhere than before, over all restarts.
    pub moved_tasks: usize,
    /// From asking a process to end until its successor ran the same tasks.
    pub restart: Pauses,
    /// Pauses of the partitions of the instances that were not restarted.
    pub others: Pauses,
    /// Records of the input.
    pub input: u64,
    /// Results that are missing.
    pub lost: u64,
    /// Results that came more than once.
    pub duplicated: u64,
    /// Instances that ended by themselves or would not end, and partitions that were not processed to their ends.
    pub failures: Vec<String>,
    /// No rebalance, nothing moved, nothing is lost, and nothing came twice.
    pub right: bool,
}

/// Runs it; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on.
pub async fn rolling_restart(options: &RollingOptions, verifier: &Path) -> Outcome<RollingFigures> {
    let elastic = &options.elastic;
    let mut ground = Ground::prepare(elastic, verifier, options.instances).await?;
    for number in 0..options.instances {
        ground.fleet.set(number, format!("group.instance.id=box-{number}"));
        ground.fleet.start(number)?;
    }
    ground.until_settled(options.instances, SETTLE_LIMIT).await?;
    ground.begin_load();
    let generation = |ground: &Ground| ground.members().iter().map(|line| line.generation).max();
    let first = generation(&ground).unwrap_or_default();
    let (mut moved_tasks, mut spans) = (0, Vec::new());
    for number in (0..options.cycles).flat_map(|_| 0..options.instances) {
        tokio::time::sleep(Duration::from_millis(options.stay_ms)).await;
        let before = ground.members();
        let begin_ms = now_ms();
        ground.fleet.end(number).await?;
        ground.fleet.start(number)?;
        let end_ms = ground.until_settled(options.instances, SETTLE_LIMIT).await?;
        let after = ground.members();
        let pairs = before.iter().zip(&after);
        moved_tasks += pairs.map(|(was, is)| is.running.difference(&was.running).count()).sum::<usize>();
        spans.push(Span { begin_ms, end_ms });
    }
    tokio::time::sleep(Duration::from_millis(options.stay_ms)).await;
    let rebalances = generation(&ground).unwrap_or_default() - first;
    let begun = ground.begun;
    let harvest = ground.harvest().await?;
    let (lost, duplicated) = harvest.output.compare(&harvest.input);
    let others = spans.iter().flat_map(|span| harvest.output.pauses(*span).0).collect();
    let input = harvest.input.records();
    let failures = harvest.failures;
    let right = rebalances == 0 && moved_tasks == 0 && lost == 0 && duplicated == 0 && failures.is_empty();
    Ok(RollingFigures {
        seed: elastic.seed,
        application: elastic.application_name(),
        guarantee: elastic.guarantee.clone(),
        broker: elastic.broker_name(),
        seconds: begun.elapsed().as_secs_f64(),
        restarts: spans.len(),
        rebalances,
        moved_tasks,
        restart: Pauses::of(spans.iter().map(|span| span.end_ms - span.begin_ms).collect()),
        others: Pauses::of(others),
        input,
        lost,
        duplicated,
        failures,
        right: right && input > 0,
    })
}
