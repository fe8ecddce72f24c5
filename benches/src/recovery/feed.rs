//! Live records at a steady rate, from a process of its own.

use std::process::{Child, Command, Stdio};

use super::stage::Stage;
use crate::suite::{failed, this_program};
use crate::{Error, Workload};

/// Longer than any scenario.
const SECONDS: &str = "3600";

/// Records are sent until it is dropped.
pub(super) struct Feed(Child);

impl Feed {
    pub(super) fn start(stage: &Stage, workload: Workload) -> Result<Self, Error> {
        let child = Command::new(this_program()?)
            .args(["load", "--bootstrap", &stage.bootstrap, "--workload", &workload.to_string()])
            .args(["--append", "--live", "--linger", "5", "--seconds", SECONDS, "--rate"])
            .arg(stage.arguments.rate.to_string())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| failed("bench load", source))?;
        Ok(Feed(child))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
