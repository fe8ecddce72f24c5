//! All workloads in a row, each in processes of its own, so that memory and CPU seconds belong to one run.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::arguments::{ServeArguments, SuiteArguments};
use crate::load::print;
use crate::{Error, Workload};

/// Records of the recorded figures: what a scale of 1 loads.
const FULL_LOADS: [(Workload, u64); 6] = [
    (Workload::Passthrough, 5_000_000),
    (Workload::Wordcount, 500_000),
    (Workload::Surge, 1_500_000),
    (Workload::Fraud, 500_000),
    (Workload::Join, 500_000),
    (Workload::Keys, 1_000_000),
];
const LEAST_RECORDS: u64 = 1_000;

/// How many records a workload gets at a scale; workloads without a recorded figure get a million at a scale of 1.
pub(crate) fn records_of(workload: Workload, scale: f64) -> u64 {
    let full = FULL_LOADS.iter().find(|(it, _)| *it == workload).map_or(1_000_000, |(_, full)| *full);
    ((full as f64 * scale) as u64).max(LEAST_RECORDS)
}

/// The workloads that a list without any stands for.
pub(crate) fn workloads_or_all(given: &[Workload]) -> Vec<Workload> {
    if given.is_empty() { FULL_LOADS.iter().map(|(workload, _)| *workload).collect() } else { given.to_vec() }
}

/// Loads, runs and verifies each workload; says whether all outputs were right.
///
/// # Errors
/// When the broker cannot be started or a load or run fails.
pub fn suite(arguments: &SuiteArguments) -> Result<bool, Error> {
    let server = match arguments.bootstrap {
        Some(_) => None,
        None => Some(Server::start()?),
    };
    let bootstrap = match (&arguments.bootstrap, &server) {
        (Some(given), _) => given.clone(),
        (None, server) => server.as_ref().map_or_else(String::new, |server| server.address.clone()),
    };
    let mut all_right = true;
    for workload in workloads_or_all(&arguments.workloads) {
        let (name, records) = (workload.to_string(), records_of(workload, arguments.scale).to_string());
        let app = format!("suite-{name}-{}", std::process::id());
        let output = format!("{app}-out");
        let state = std::env::temp_dir().join(&app);
        let common = ["--bootstrap", &bootstrap, "--workload", &name];
        let (threads, state_dir) = (arguments.threads.to_string(), state.display().to_string());
        let broker_pid = server.as_ref().map(|server| server.child.id().to_string());
        bench(&[&["load"], &common[..], &["--records", &records]].concat())?;
        let mut run =
            [&["run"], &common[..], &["--app-id", &app, "--threads", &threads, "--state-dir", &state_dir]]
                .concat();
        if let Some(pid) = &broker_pid {
            run.extend(["--broker-pid", pid]);
        }
        let ran = bench(&run);
        std::fs::remove_dir_all(&state).ok();
        ran?;
        all_right &=
            bench(&[&["verify"], &common[..], &["--records", &records, "--output", &output]].concat())
                .is_ok();
    }
    Ok(all_right)
}

/// Runs this program with other arguments; its output goes where ours goes.
fn bench(arguments: &[&str]) -> Result<(), Error> {
    let line = arguments.join(" ");
    let status =
        Command::new(this_program()?).args(arguments).status().map_err(|source| failed(&line, source))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Child { line, status: status.to_string(), output: String::new() })
    }
}

pub(crate) fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|source| failed("this program", source))
}

pub(crate) fn failed(path: &str, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

/// A log server in a process of its own, with data that is gone with it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Error> {
        let mut child = Command::new(this_program()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| failed("bench serve", source))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|source| failed("bench serve", source))?;
        }
        match line.trim().strip_prefix("ready ") {
            Some(address) => Ok(Self { child, address: address.to_owned() }),
            None => {
                child.kill().ok();
                Err(Error::Child { line: "serve".into(), status: "no address".into(), output: line })
            }
        }
    }
}

impl Drop for Server {
    /// The server ends when its standard input does.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// Runs a log server with temporary data until standard input ends; prints `ready ADDRESS`.
///
/// # Errors
/// When the server cannot start or stop.
pub async fn serve(arguments: &ServeArguments) -> Result<(), Error> {
    let config = log_server::LogServerConfig::temporary()?
        .default_partitions(arguments.partitions)
        .group_initial_rebalance_delay(std::time::Duration::ZERO);
    let server = log_server::LogServer::start(config).await?;
    print(format_args!("ready {}", server.address()));
    let waiting = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    waiting.await.ok();
    Ok(server.shutdown().await?)
}
