//! Many members share many tasks.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::ground::Ground;
use super::options::ElasticOptions;
use super::pauses::Pauses;
use crate::verifier::status_report::now_ms;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a change may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);
/// How long the group may take to notice that all is as it was.
const QUIET: Duration = Duration::from_secs(2);

/// Options of `settle`; `--partitions` says how many tasks there are.
#[derive(Debug, Clone, Args)]
pub struct SettleOptions {
    /// What runs.
    #[command(flatten)]
    pub elastic: ElasticOptions,
    /// Members of the group.
    #[arg(long, default_value_t = 20)]
    pub members: usize,
    /// Processes that they live in.
    #[arg(long, default_value_t = 4)]
    pub processes: usize,
    /// Longest time until all tasks run in fair shares, after a start, a join and a leave, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    pub settled_ms: i64,
}

impl Default for SettleOptions {
    fn default() -> Self {
        SettleOptions { elastic: ElasticOptions::default(), members: 20, processes: 4, settled_ms: 5_000 }
    }
}

/// The figures of `settle`.
#[derive(Debug, Default, Clone, Serialize)]
pub struct SettleFigures {
    /// `relay` or `tally`.
    pub application: String,
    /// `processing.guarantee`.
    pub guarantee: String,
    /// `log-server`, or `given`.
    pub broker: String,
    /// Members of the group.
    pub members: usize,
    /// Processes that they live in.
    pub processes: usize,
    /// Tasks that they share.
    pub tasks: i32,
    /// From the start of all processes until all tasks ran in fair shares.
    pub start_ms: i64,
    /// From the start of one more member, in a process of its own, until its share ran there.
    pub join_ms: i64,
    /// From asking that member to end until the others ran all tasks again.
    pub leave_ms: i64,
    /// The group's generation after each of the three.
    pub generations: Vec<i32>,
    /// Pauses of the partitions that stayed, over the join and the leave.
    pub kept: Pauses,
    /// Records of the input.
    pub input: u64,
    /// Results that are missing.
    pub lost: u64,
    /// Results that came more than once.
    pub duplicated: u64,
    /// Instances that ended by themselves or would not end, and partitions that were not processed to their ends.
    pub failures: Vec<String>,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// All settled in time, nothing is lost, and nothing came twice.
    pub right: bool,
}

/// Runs it; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on.
pub async fn settle(options: &SettleOptions, verifier: &Path) -> Outcome<SettleFigures> {
    let elastic = &options.elastic;
    let (members, processes) = (options.members, options.processes.clamp(1, options.members));
    let mut ground = Ground::prepare(elastic, verifier, processes + 1).await?;
    let begun = Instant::now();
    let begin_ms = now_ms();
    for number in 0..processes {
        let share = members / processes + usize::from(number < members % processes);
        ground.fleet.set_members(number, share);
        ground.fleet.start(number)?;
    }
    let start_ms = ground.until_settled(members, SETTLE_LIMIT).await? - begin_ms;
    let mut generations = vec![generation(&ground)];
    ground.begin_load();
    tokio::time::sleep(QUIET).await;
    let mut spans = Vec::new();
    let mut took = [0; 2];
    for (step, members) in [members + 1, members].into_iter().enumerate() {
        let begin_ms = now_ms();
        if step == 0 {
            ground.fleet.start(processes)?;
        } else {
            ground.fleet.end(processes).await?;
        }
        let end_ms = ground.until_settled(members, SETTLE_LIMIT).await?;
        took[step] = end_ms - begin_ms;
        spans.push(super::signed_output::Span { begin_ms, end_ms });
        tokio::time::sleep(QUIET).await;
        generations.push(generation(&ground));
    }
    let harvest = ground.harvest().await?;
    let (lost, duplicated) = harvest.output.compare(&harvest.input);
    let kept = spans.iter().flat_map(|span| harvest.output.pauses(*span).0).collect();
    let failures = harvest.failures;
    let [join_ms, leave_ms] = took;
    let in_time = [start_ms, join_ms, leave_ms].iter().all(|took| *took <= options.settled_ms);
    Ok(SettleFigures {
        application: elastic.application_name(),
        guarantee: elastic.guarantee.clone(),
        broker: elastic.broker_name(),
        members,
        processes,
        tasks: elastic.partitions,
        start_ms,
        join_ms,
        leave_ms,
        generations,
        kept: Pauses::of(kept),
        input: harvest.input.records(),
        lost,
        duplicated,
        right: in_time && lost == 0 && duplicated == 0 && failures.is_empty(),
        failures,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn generation(ground: &Ground) -> i32 {
    ground.members().iter().map(|line| line.generation).max().unwrap_or(-1)
}
