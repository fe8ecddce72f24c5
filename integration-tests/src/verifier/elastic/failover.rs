//! Instances are killed, and others go on with their tasks.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::ground::Ground;
use super::options::ElasticOptions;
use super::pauses::Pauses;
use crate::verifier::status_report::now_ms;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a change may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Options of `failover`.
#[derive(Debug, Clone, Args)]
pub struct FailoverOptions {
    /// What runs.
    #[command(flatten)]
    pub elastic: ElasticOptions,
    /// Instances, each a process.
    #[arg(long, default_value_t = 3)]
    pub instances: usize,
    /// How often one is killed.
    #[arg(long, default_value_t = 20)]
    pub kills: usize,
    /// Longest time until 99 of 100 partitions go on, in milliseconds.
    #[arg(long, default_value_t = 8_000)]
    pub resumed_ms: i64,
    /// Longest time until a restarted instance has its share of the tasks, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    pub returned_ms: i64,
}

impl Default for FailoverOptions {
    fn default() -> Self {
        let elastic = ElasticOptions::default();
        FailoverOptions { elastic, instances: 3, kills: 20, resumed_ms: 8_000, returned_ms: 5_000 }
    }
}

/// The figures of `failover`.
#[derive(Debug, Default, Clone, Serialize)]
pub struct FailoverFigures {
    /// The options' seed.
    pub seed: u64,
    /// `relay` or `tally`.
    pub application: String,
    /// `processing.guarantee`.
    pub guarantee: String,
    /// `log-server`, or `given`.
    pub broker: String,
    /// `session.timeout.ms`.
    pub session_ms: u64,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// Instances that were killed.
    pub kills: usize,
    /// From the kill until each of the instance's partitions had output by another one.
    pub resumed: Pauses,
    /// Partitions that no other instance went on with.
    pub not_resumed: usize,
    /// From the start of the killed instance's successor until it ran its share of the tasks, and the others theirs.
    pub returned: Pauses,
    /// Records of the input.
    pub input: u64,
    /// Results that are missing.
    pub lost: u64,
    /// Results that came more than once; at-least-once they are allowed.
    pub duplicated: u64,
    /// Instances that ended by themselves or would not end, and partitions that were not processed to their ends.
    pub failures: Vec<String>,
    /// Nothing is lost, exactly-once nothing came twice, and all went on in time.
    pub right: bool,
}

/// Runs it; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on.
pub async fn fail_over(options: &FailoverOptions, verifier: &Path) -> Outcome<FailoverFigures> {
    let elastic = &options.elastic;
    let mut random = StdRng::seed_from_u64(elastic.seed);
    let mut ground = Ground::prepare(elastic, verifier, options.instances).await?;
    (0..options.instances).try_for_each(|number| ground.fleet.start(number))?;
    ground.until_settled(options.instances, SETTLE_LIMIT).await?;
    ground.begin_load();
    let (mut killed, mut returned) = (Vec::new(), Vec::new());
    for _ in 0..options.kills {
        // Any moment between two heartbeats.
        tokio::time::sleep(Duration::from_millis(random.random_range(500..2_500))).await;
        let number = random.random_range(0..options.instances);
        let pid = ground.fleet.pid(number).ok_or("an instance has ended")?;
        killed.push((pid, now_ms()));
        ground.fleet.kill(number)?;
        ground.until_settled(options.instances - 1, SETTLE_LIMIT).await?;
        // So that the output of all has gone on.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begin_ms = now_ms();
        ground.fleet.start(number)?;
        returned.push(ground.until_settled(options.instances, SETTLE_LIMIT).await? - begin_ms);
    }
    let begun = ground.begun;
    let harvest = ground.harvest().await?;
    let (lost, duplicated) = harvest.output.compare(&harvest.input);
    let resumed: Vec<Option<i64>> =
        killed.iter().flat_map(|(pid, at_ms)| harvest.output.resumed(*pid, *at_ms)).collect();
    let mut figures = FailoverFigures {
        seed: elastic.seed,
        application: elastic.application_name(),
        guarantee: elastic.guarantee.clone(),
        broker: elastic.broker_name(),
        session_ms: elastic.session_ms,
        seconds: begun.elapsed().as_secs_f64(),
        kills: killed.len(),
        not_resumed: resumed.iter().filter(|after| after.is_none()).count(),
        resumed: Pauses::of(resumed.into_iter().flatten().collect()),
        returned: Pauses::of(returned),
        input: harvest.input.records(),
        lost,
        duplicated,
        failures: harvest.failures,
        right: false,
    };
    figures.right = is_right(&figures, options);
    Ok(figures)
}

fn is_right(figures: &FailoverFigures, options: &FailoverOptions) -> bool {
    let once = figures.guarantee == "at_least_once" || figures.duplicated == 0;
    let in_time = figures.resumed.count > 0
        && figures.not_resumed == 0
        && figures.resumed.p99_ms <= options.resumed_ms
        && figures.returned.max_ms <= options.returned_ms;
    figures.lost == 0 && once && in_time && figures.failures.is_empty()
}
