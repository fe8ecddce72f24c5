//! What every scenario needs: a broker, a place for state, an application id, programs that run to their end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::watched::Watched;
use crate::arguments::ScenarioArguments;
use crate::suite::{Server, failed, this_program};
use crate::{Broker, Error, Workload};

/// The least that brokers allow: whoever was killed is missed after this time.
pub(super) const SESSION_TIMEOUT: &str = "session.timeout.ms=6000";
/// What ends as a killed process would.
const KILLED: i32 = 137;

/// Broker, state and names of one scenario; all of its state is gone when it is dropped.
pub(super) struct Stage {
    pub(super) arguments: ScenarioArguments,
    pub(super) broker: Broker,
    pub(super) bootstrap: String,
    pub(super) app: String,
    state: PathBuf,
    // Last, so that it ends last.
    _server: Option<Server>,
}

impl Stage {
    pub(super) fn set(arguments: &ScenarioArguments, scenario: &str) -> Result<Self, Error> {
        let (server, bootstrap) = match &arguments.bootstrap {
            Some(given) => (None, given.clone()),
            None => {
                let server = Server::start()?;
                let address = server.address.clone();
                (Some(server), address)
            }
        };
        let app = format!("{scenario}-{}", std::process::id());
        let state = arguments.state_dir.clone().unwrap_or_else(std::env::temp_dir).join(&app);
        let broker = Broker::connect(&bootstrap)?;
        Ok(Stage { arguments: arguments.clone(), broker, bootstrap, app, state, _server: server })
    }

    /// The directory of an instance's state.
    pub(super) fn state(&self, instance: &str) -> PathBuf {
        self.state.join(instance)
    }

    /// Fills the input topics of a workload, where they are not filled yet; answers how many records they hold.
    pub(super) fn load(&self, workload: Workload, records: u64) -> Result<u64, Error> {
        let (name, records) = (workload.to_string(), records.to_string());
        self.call(&this_program()?, "load", &["--workload", &name, "--records", &records])?;
        let ends = workload.inputs().iter().map(|topic| self.broker.ends(topic));
        let ends: Vec<Vec<i64>> = ends.collect::<Result<_, _>>()?;
        Ok(ends.iter().flatten().sum::<i64>() as u64)
    }

    /// Runs a benchmark's command, of this program or of Kafka Streams' counterpart, to its end, and answers its last
    /// line.
    pub(super) fn call(
        &self,
        program: &Path,
        command: &str,
        arguments: &[&str],
    ) -> Result<serde_json::Value, Error> {
        let line = format!("{} {command} {}", program.display(), arguments.join(" "));
        let output = Command::new(program)
            .args([command, "--bootstrap", &self.bootstrap])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| failed(&line, source))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line.trim()).ok());
        match last {
            Some(value) if output.status.success() || output.status.code() == Some(KILLED) => Ok(value),
            _ => Err(Error::Child { line, status: output.status.to_string(), output: text }),
        }
    }

    /// Starts an instance of the application that is watched.
    pub(super) fn start(
        &self,
        workload: Workload,
        instance: &str,
        guarantee: &str,
        sets: &[&str],
    ) -> Result<Watched, Error> {
        let guarantee = self.arguments.guarantee.as_deref().unwrap_or(guarantee);
        let mut command = Command::new(this_program()?);
        command.args(["run", "--bootstrap", &self.bootstrap, "--workload", &workload.to_string()]);
        command.args(["--app-id", &self.app, "--guarantee", guarantee, "--watch", "--set", SESSION_TIMEOUT]);
        command.args(["--timeout", "3600", "--slow-us"]).arg(self.arguments.slow_us.to_string());
        command.arg("--state-dir").arg(self.state(instance));
        for set in sets {
            command.args(["--set", set]);
        }
        for (key, value) in &self.arguments.sets {
            command.args(["--set", &format!("{key}={value}")]);
        }
        Watched::start(command, self.arguments.timeout)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.state).ok();
    }
}
