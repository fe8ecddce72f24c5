//! What is asked, and what came of it.

use clap::Args;
use serde::Serialize;

use crate::verifier::SiteOptions;

/// What is asked, of whom.
#[derive(Debug, Clone, Args)]
pub struct QueryPlan {
    /// The keys follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many keys are asked for.
    #[arg(long, default_value_t = 10_000)]
    pub queries: u64,
    /// Queries that begin in a second, whether or not those before are answered.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u64,
    /// How long the services may look for an answer, in milliseconds.
    #[arg(long, default_value_t = 10)]
    pub timeout_ms: u64,
    /// Keys that there are.
    #[arg(long, default_value_t = 2_000)]
    pub keys: u64,
    /// Partitions of the store.
    #[arg(long, default_value_t = 4)]
    pub partitions: i32,
    /// On what.
    #[command(flatten)]
    pub site: SiteOptions,
}

impl Default for QueryPlan {
    fn default() -> Self {
        QueryPlan {
            seed: 1,
            queries: 10_000,
            rate: 1_000,
            timeout_ms: 10,
            keys: 2_000,
            partitions: 4,
            site: SiteOptions::default(),
        }
    }
}

/// The figures of a run.
#[derive(Debug, Default, Clone, Serialize)]
pub struct QueryFigures {
    /// The plan's seed.
    pub seed: u64,
    /// Keys asked for.
    pub queries: u64,
    /// Queries that began in a second.
    pub rate: u64,
    /// How long the services might look for an answer.
    pub timeout_ms: u64,
    /// Answers that were right.
    pub right: u64,
    /// Answers that said that asking again helps, by their kind.
    pub retriable: std::collections::BTreeMap<String, u64>,
    /// Answers that were neither.
    pub wrong: u64,
    /// Some of these.
    pub examples: Vec<String>,
    /// Times that an instance came and went meanwhile.
    pub rebalances: u64,
    /// Half of all answers, of whatever kind, took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
    /// 99 of 100 right answers took no longer.
    pub p99_right_ms: f64,
}
