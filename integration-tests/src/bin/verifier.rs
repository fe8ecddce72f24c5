//! Runs an application under faults and proves that its results are right all the same; prints one line of JSON.
//!
//! ```sh
//! cargo run -p integration-tests --bin verifier -- run --guarantee exactly_once_v2 --rounds 100 --fault kill,stop,broker
//! ```
//!
//! The exit code is 1 when the guarantee was not kept. `--dir` keeps the instances' logs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use integration_tests::verifier::{
    ApplicationOptions, BrokerOptions, Plan, run_application, run_broker, verify,
};
use tracing_subscriber::EnvFilter;

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
    /// Be an instance of the application.
    App(ApplicationOptions),
    /// Be the broker.
    Broker(BrokerOptions),
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter).init();
    match CommandLine::parse().part {
        Part::Run(plan) => {
            let figures = verify(&plan, &std::env::current_exe()?).await?;
            println!("{}", serde_json::to_string(&figures)?);
            Ok(if figures.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Part::App(options) => run_application(options).await.map(|()| ExitCode::SUCCESS),
        Part::Broker(options) => run_broker(options).await.map(|()| ExitCode::SUCCESS),
    }
}
