//! A process that is started, sent signals and waited for.

use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Between two looks whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    started: Instant,
}

impl Process {
    /// Starts it. Its standard input stays open until it is killed or dropped.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn start(command: &mut Command) -> std::io::Result<Self> {
        Ok(Process { child: command.stdin(Stdio::piped()).spawn()?, started: Instant::now() })
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, where that is piped; once.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Kills it (SIGKILL), also if it stands still, and waits for its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends a signal by its name, such as `TERM`, `STOP` or `CONT`.
    ///
    /// # Errors
    /// When the program `kill` cannot be run.
    pub fn signal(&self, signal: &str) -> std::io::Result<()> {
        Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().map(drop)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> std::io::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                return Err(std::io::Error::other(format!("it has not ended after {limit:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.kill();
    }
}
