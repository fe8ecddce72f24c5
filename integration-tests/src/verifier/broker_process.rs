//! The log server as a process of its own, which can be killed.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use log_server::{FsyncPolicy, LogServer, LogServerConfig};

use super::application::end_with_the_starter;
use super::process::Process;

/// What the log server's process is told.
#[derive(Debug, Clone, Args)]
pub struct BrokerOptions {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where its data are.
    #[arg(long)]
    pub data_dir: PathBuf,
}

/// Runs a log server until it is killed, or its starter is gone. Prints its address when it is ready.
///
/// # Errors
/// When it cannot start.
pub async fn run_broker(options: BrokerOptions) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    end_with_the_starter();
    // A crash of the process loses nothing that the system has; only a power cut would.
    let config = LogServerConfig::new(&options.data_dir)
        .listen(options.listen)
        .fsync(FsyncPolicy::Never)
        .auto_create_topics(false);
    let server = LogServer::start(config).await?;
    println!("{}", server.address());
    std::future::pending().await
}

/// A log server in a process of its own.
#[derive(Debug)]
pub struct BrokerProcess {
    program: PathBuf,
    data_dir: PathBuf,
    address: SocketAddr,
    process: Process,
}

impl BrokerProcess {
    /// Starts one on a free port; `program` is the verifier itself.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: &Path, data_dir: PathBuf) -> std::io::Result<Self> {
        let (process, address) = spawn(program, &data_dir, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        Ok(BrokerProcess { program: program.to_owned(), data_dir, address, process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it and starts it again on the same port after `pause`.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn kill_and_restart(&mut self, pause: Duration) -> std::io::Result<()> {
        self.process.kill()?;
        tokio::time::sleep(pause).await;
        (self.process, _) = spawn(&self.program, &self.data_dir, self.address).await?;
        Ok(())
    }
}

async fn spawn(
    program: &Path,
    data_dir: &Path,
    listen: SocketAddr,
) -> std::io::Result<(Process, SocketAddr)> {
    let mut command = Command::new(program);
    command.args(["broker", "--listen", &listen.to_string(), "--data-dir"]).arg(data_dir);
    let log = OpenOptions::new().create(true).append(true).open(data_dir.with_extension("log"))?;
    let mut process = Process::start(command.stderr(log).stdout(Stdio::piped()))?;
    let line = process.first_line().await?;
    let address = line.parse();
    Ok((
        process,
        address.map_err(|_| std::io::Error::other(format!("the log server did not start: {line}")))?,
    ))
}
