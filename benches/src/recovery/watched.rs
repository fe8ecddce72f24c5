//! A running application that is watched, and killed when it is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::suite::failed;
use crate::watch::Sight;
use crate::{Error, Process};

/// A process of this program that shows how far it is.
pub(super) struct Watched {
    child: Child,
    lines: Receiver<(Instant, Sight)>,
    limit: Duration,
    /// What it has shown last.
    pub(super) sight: Sight,
    /// When it was started.
    pub(super) started: Instant,
}

impl Watched {
    pub(super) fn start(mut command: Command, limit_seconds: u64) -> Result<Self, Error> {
        let fault = |source| failed("bench run", source);
        let started = Instant::now();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fault)?;
        let (sender, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let Ok(sight) = serde_json::from_str(&line) else { continue };
                    if sender.send((Instant::now(), sight)).is_err() {
                        break;
                    }
                }
            });
        }
        let limit = Duration::from_secs(limit_seconds);
        Ok(Watched { child, lines, limit, sight: Sight::default(), started })
    }

    /// Watches until it shows what is waited for; answers when it did.
    pub(super) fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(Instant, &Sight) -> bool,
    ) -> Result<Instant, Error> {
        let began = Instant::now();
        loop {
            let left = self.limit.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok((at, sight)) => {
                    self.sight = sight;
                    if done(at, &self.sight) {
                        return Ok(at);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.limit.as_secs();
                    return Err(Error::Stuck { waiting_for: what.to_owned(), seconds });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait().map_or_else(|it| it.to_string(), |it| it.to_string());
                    let line = format!("bench run, waiting until {what}");
                    return Err(Error::Child { line, status, output: format!("{:?}", self.sight) });
                }
            }
        }
    }

    /// Passes over what it has shown so far.
    pub(super) fn catch_up(&mut self) {
        while let Ok((_, sight)) = self.lines.try_recv() {
            self.sight = sight;
        }
    }

    /// SIGKILL; what it showed last is in `sight` afterwards.
    pub(super) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        while let Ok((_, sight)) = self.lines.recv() {
            self.sight = sight;
        }
    }

    pub(super) fn process(&self) -> Process {
        Process::with_id(self.child.id())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
