//! The command line.

mod group_commands;
mod inspect;
#[cfg(unix)]
mod open_files;
mod properties;
mod remote;
mod serve;
mod stop_signal;
mod table;
mod topic_commands;

use std::process::ExitCode;

use clap::Subcommand;
use log_server::Error;

pub(crate) use serve::Serve;

/// What can be done beside serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List, describe, create, alter and delete the topics of a running server.
    #[command(subcommand)]
    Topics(topic_commands::TopicCommand),
    /// List, describe and delete the groups of a running server; show their lag and reset their offsets.
    #[command(subcommand)]
    Groups(group_commands::GroupCommand),
    /// Print the batches of a segment file.
    Dump(inspect::Dump),
    /// Check every batch of the data directory of a stopped server; the exit code is 1 if something is wrong.
    Verify(inspect::Verify),
    /// List the properties that a configuration can have.
    Properties,
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`Error`], which says what went wrong and where.
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self {
            Command::Topics(command) => command.run(),
            Command::Groups(command) => command.run(),
            Command::Dump(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Properties => {
                properties::print();
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
