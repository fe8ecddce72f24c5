//! `log-server`: a single-node log server that speaks the Kafka wire protocol.

mod cli;

use std::process::ExitCode;

use clap::Parser;

use cli::{Command, Serve};

/// A single-node log server that speaks the Kafka wire protocol.
///
/// Without a sub-command it serves. It prints one line, `ready ADDRESS`, on standard output as soon as clients can
/// connect (ADDRESS is the first listener's); logs go to standard error. SIGTERM and SIGINT stop it cleanly: requests
/// in progress are answered, files are synced. A second signal ends it at once; the next start then repairs.
///
/// EXAMPLES
///
///   log-server --data-dir /var/lib/log
///       Serves this machine only, on 127.0.0.1:9092.
///
///   log-server --config server.toml
///       Takes everything from a file: TOML, or Kafka's own server.properties.
///
///   log-server --data-dir /var/lib/log --listen SASL_SSL://0.0.0.0:9093 \
///       --set ssl.keystore.location=server.pem --set users.app=secret
///       Serves the network, to those who can log in.
///
///   log-server topics create orders --partitions 6 --config retention.ms=604800000
///   log-server groups lag billing
///       Administer a running server.
///
/// CONFIGURATION
///
///   Every property that `log-server properties` lists can stand in the file, in the environment (num.partitions is
///   LOG_SERVER_NUM_PARTITIONS), and behind --set; options and --set go before the environment, and that before the
///   file. Unknown names are refused.
#[derive(Debug, Parser)]
#[command(
    name = "log-server",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let outcome = match command_line.command {
        Some(command) => command.run(),
        None => command_line.serve.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("log-server: {error}");
        ExitCode::FAILURE
    })
}
