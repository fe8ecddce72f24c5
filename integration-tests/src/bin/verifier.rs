//! Runs an application under faults and proves that its results are right all the same; prints one line of JSON.
//!
//! ```sh
//! cargo run -p integration-tests --bin verifier -- run --guarantee exactly_once_v2 --rounds 100 --fault kill,stop,broker
//! cargo run -p integration-tests --bin verifier -- scale --application tally
//! ```
//!
//! `scale`, `rolling`, `failover`, `settle` and `poison` measure what it does to the output when instances come, go, restart and die;
//! `queries` asks for 10,000 keys over HTTP meanwhile. The exit code is 1 when the guarantee was not kept, or a limit was passed.
//! `--dir` keeps the instances' logs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use integration_tests::queries::{QueriedOptions, QueryPlan, query, run_queried};
use integration_tests::verifier::elastic::{
    FailoverOptions, PoisonOptions, RollingOptions, ScaleOptions, SettleOptions, fail_over, poison,
    rolling_restart, scale, settle,
};
use integration_tests::verifier::{
    ApplicationOptions, BrokerOptions, Plan, run_application, run_broker, verify,
};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

type Outcome = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

/// Runs an application under faults and proves that its results are right all the same.
#[derive(Debug, Parser)]
#[command(name = "verifier")]
struct CommandLine {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Run a plan.
    Run(Plan),
    /// One instance, two, three and one again, under load: how long partitions stand still.
    Scale(ScaleOptions),
    /// Restart static members one after the other: nothing moves.
    Rolling(RollingOptions),
    /// Kill instances: how long until others go on.
    Failover(FailoverOptions),
    /// Records that cannot be read and closures that panic: what becomes of them and of all others.
    Poison(PoisonOptions),
    /// Many members and many tasks: how long until all run.
    Settle(SettleOptions),
    /// Ask an application for random keys over HTTP while its instances come and go.
    Queries(QueryPlan),
    /// Be an instance of the application that is asked.
    Queried(QueriedOptions),
    /// Be an instance of the application.
    App(ApplicationOptions),
    /// Be the broker.
    Broker(BrokerOptions),
}

#[tokio::main]
async fn main() -> Outcome {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter).init();
    let program = std::env::current_exe()?;
    match CommandLine::parse().part {
        Part::Run(plan) => verify(&plan, &program).await.and_then(|it| tell(&it, it.is_right())),
        Part::Scale(options) => scale(&options, &program).await.and_then(|it| tell(&it, it.right)),
        Part::Rolling(options) => {
            rolling_restart(&options, &program).await.and_then(|it| tell(&it, it.right))
        }
        Part::Failover(options) => fail_over(&options, &program).await.and_then(|it| tell(&it, it.right)),
        Part::Settle(options) => settle(&options, &program).await.and_then(|it| tell(&it, it.right)),
        Part::Poison(options) => poison(&options, &program).await.and_then(|it| tell(&it, it.right)),
        Part::Queries(plan) => query(&plan, &program).await.and_then(|it| tell(&it, it.wrong == 0)),
        Part::Queried(options) => run_queried(options).await.map(|()| ExitCode::SUCCESS),
        Part::App(options) => run_application(options).await.map(|()| ExitCode::SUCCESS),
        Part::Broker(options) => run_broker(options).await.map(|()| ExitCode::SUCCESS),
    }
}

fn tell(figures: &impl Serialize, right: bool) -> Outcome {
    println!("{}", serde_json::to_string(figures)?);
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
