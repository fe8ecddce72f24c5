//! A process that is started, sent signals and waited for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take until it says something.
const START_LIMIT: Duration = Duration::from_secs(60);
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

    /// The first line that it prints, where its standard output is piped; once.
    ///
    /// # Errors
    /// When it prints none within a minute, or ends.
    pub async fn first_line(&mut self) -> std::io::Result<String> {
        let failed = |what: &str| std::io::Error::other(format!("a process did not start: {what}"));
        let out = self.child.stdout.take().ok_or_else(|| failed("it has no output"))?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(START_LIMIT, line).await.map_err(|_| failed("it says nothing"))?;
        let line = line.map_err(|_| failed("it ended"))??.trim().to_owned();
        if line.is_empty() { Err(failed("it ended")) } else { Ok(line) }
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
