//! `bench load|run|verify|suite|compare|takeover|limits|guarantees|assignor|restore|…`: see benches/README.md.

use std::process::ExitCode;

use benches::{Arguments, Command, Error};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether all is well.
async fn run(command: Command) -> Result<bool, Error> {
    match command {
        Command::Load(arguments) => benches::load(&arguments).await.map(|()| true),
        Command::Verify(arguments) => benches::verify(&arguments),
        Command::Suite(arguments) => benches::suite(&arguments),
        Command::Compare(arguments) => benches::compare(&arguments),
        Command::Takeover(arguments) => benches::takeover(&arguments),
        Command::Restore(arguments) => benches::recovery::restore(&arguments).await.map(|()| true),
        Command::RestoreBeside(arguments) => benches::recovery::restore_beside(&arguments).map(|()| true),
        Command::CrashRestart(arguments) => benches::recovery::crash_restart(&arguments).map(|()| true),
        Command::FailOver(arguments) => benches::recovery::fail_over(&arguments).map(|()| true),
        Command::Backlog(arguments) => benches::recovery::backlog(&arguments).map(|()| true),
        Command::Serve(arguments) => benches::serve(&arguments).await.map(|()| true),
        Command::Limits(arguments) => benches::limits(&arguments).await.map(|()| true),
        Command::Guarantees(arguments) => benches::guarantees(&arguments),
        Command::Assignor(arguments) => Ok(benches::assignor(&arguments)),
        Command::Run(arguments) => benches::run(&arguments).await.map(|()| true),
    }
}
