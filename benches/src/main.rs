//! `bench load|run|verify|suite|limits`: see benches/README.md.

use std::process::ExitCode;

use benches::{Arguments, Command, Error, limits, load, verify};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
async fn run(command: Command) -> Result<bool, Error> {
    match command {
        Command::Load(arguments) => load(&arguments).await.map(|()| true),
        Command::Verify(arguments) => verify(&arguments),
        Command::Limits(arguments) => limits(&arguments).await.map(|()| true),
        _ => Ok(false),
    }
}
