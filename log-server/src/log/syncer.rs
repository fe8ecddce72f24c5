//! Group commit: a few threads per server force logs to the disk.
//!
//! While a round of logs is synced, their further appends gather; the next round serves all of them. Nobody waits for a
//! sync that began before its append. A round of several logs goes through the [`SyncJournal`] with one sync, if it is
//! not too large; a single log is synced by itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::partition_log::PartitionLog;
use super::sync_journal::{JournalFile, MAX_ROUND_BYTES, SyncJournal};
use crate::config::FsyncPolicy;
use crate::error::Error;

/// Threads beside the one that leads the rounds: for large logs, side by side, and for full journal files.
const HELPERS: usize = 3;

/// How many full journal files may wait for their logs to be synced; then the rounds wait.
const MAX_FULL_JOURNALS: usize = 2;

/// The sync threads' inbox. The queue is bounded by the number of partitions: each is in it at most once.
#[derive(Debug)]
pub(crate) struct Syncer {
    requests: Mutex<Option<Sender<Arc<PartitionLog>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    #[cfg(test)]
    rounds: Arc<Rounds>,
}

/// What the rounds need.
#[derive(Debug, Default)]
struct Rounds {
    /// None where each log is synced by itself.
    journal: Option<SyncJournal>,
    full_journals: AtomicUsize,
}

/// Work for a helper.
enum Job {
    Force(Arc<PartitionLog>),
    Settle(JournalFile),
}

impl Syncer {
    /// Starts the threads that the policy needs; with [`FsyncPolicy::Interval`] requests gather between rounds.
    ///
    /// # Errors
    /// [`Error::Config`] if a thread cannot be started.
    pub(crate) fn start(policy: FsyncPolicy, journal: Option<SyncJournal>) -> Result<Arc<Self>, Error> {
        let (sender, requests) = channel();
        let mut threads = Vec::new();
        let rounds = Arc::new(Rounds { journal, full_journals: AtomicUsize::new(0) });
        match policy {
            FsyncPolicy::Never => {}
            FsyncPolicy::Interval(pause) => threads.push(spawn(move || sync_now_and_then(&requests, pause))?),
            FsyncPolicy::Always => {
                let (helpers, jobs) = channel();
                let jobs = Arc::new(Mutex::new(jobs));
                for _ in 0..HELPERS {
                    let (rounds, jobs) = (Arc::clone(&rounds), Arc::clone(&jobs));
                    threads.push(spawn(move || rounds.help(&jobs))?);
                }
                let leading = Arc::clone(&rounds);
                threads.push(spawn(move || leading.lead(&requests, &helpers))?);
            }
        }
        Ok(Arc::new(Syncer {
            requests: Mutex::new(Some(sender)),
            threads: Mutex::new(threads),
            #[cfg(test)]
            rounds,
        }))
    }

    /// A syncer without threads: whoever holds the other end syncs the logs that come out of it, when it likes.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (Arc<Self>, Receiver<Arc<PartitionLog>>) {
        Self::by_hand_with(None)
    }

    /// As [`Syncer::by_hand`], with a journal for those that are synced by [`Syncer::round`].
    #[cfg(test)]
    pub(crate) fn by_hand_with(journal: Option<SyncJournal>) -> (Arc<Self>, Receiver<Arc<PartitionLog>>) {
        let (sender, receiver) = channel();
        let rounds = Arc::new(Rounds { journal, full_journals: AtomicUsize::new(0) });
        let requests = Mutex::new(Some(sender));
        (Arc::new(Syncer { requests, threads: Mutex::default(), rounds }), receiver)
    }

    /// Syncs these logs in one round, here.
    #[cfg(test)]
    pub(crate) fn round(&self, logs: Vec<Arc<PartitionLog>>) {
        self.rounds.round(logs, None);
    }

    /// Has the log synced.
    pub(crate) fn request(&self, log: Arc<PartitionLog>) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = requests.as_ref() {
            // Fails only where no thread is needed, or the server stops.
            let _ = requests.send(log);
        }
    }

    /// Ends the threads after what has been requested.
    pub(crate) fn stop(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a sync thread panicked");
            }
        }
    }
}

/// A sync thread needs little stack.
const SYNC_STACK_BYTES: usize = 256 * 1024;

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name("log-sync".to_owned()).stack_size(SYNC_STACK_BYTES);
    thread.spawn(work).map_err(|error| Error::Config(format!("cannot start a sync thread: {error}")))
}

fn sync_now_and_then(requests: &Receiver<Arc<PartitionLog>>, pause: Duration) {
    while let Ok(first) = requests.recv() {
        std::thread::sleep(pause);
        let gathered: Vec<_> = requests.try_iter().collect();
        std::iter::once(first).chain(gathered).for_each(|log| log.sync());
    }
}

impl Rounds {
    fn lead(&self, requests: &Receiver<Arc<PartitionLog>>, helpers: &Sender<Job>) {
        while let Ok(first) = requests.recv() {
            let logs = std::iter::once(first).chain(requests.try_iter()).collect();
            self.round(logs, Some(helpers));
        }
    }

    fn help(&self, jobs: &Mutex<Receiver<Job>>) {
        // The lock is held by the thread that waits; the others wait for the lock.
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(job) = next() {
            self.work(job);
        }
    }

    fn round(&self, logs: Vec<Arc<PartitionLog>>, helpers: Option<&Sender<Job>>) {
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for log in logs.into_iter().filter(|log| log.begin_sync()) {
            match log.unsynced() {
                Some(unsynced) => together.push(unsynced),
                None => alone.push(log),
            }
        }
        let bytes: u64 = together.iter().map(|unsynced| unsynced.to - unsynced.from).sum();
        let journal = self.journal.as_ref().filter(|_| together.len() > 1 && bytes <= MAX_ROUND_BYTES);
        let (committed, full) = journal.map_or((false, None), |journal| journal.commit(&together));
        for unsynced in together {
            match committed {
                true => {
                    unsynced.log.publish(&unsynced.marks);
                    unsynced.log.end_sync();
                }
                false => alone.push(unsynced.log),
            }
        }
        if let Some(file) = full {
            let waiting = self.full_journals.fetch_add(1, Ordering::AcqRel);
            self.give(Job::Settle(file), helpers.filter(|_| waiting < MAX_FULL_JOURNALS));
        }
        let last = alone.pop();
        for log in alone {
            self.give(Job::Force(log), helpers);
        }
        if let Some(log) = last {
            self.work(Job::Force(log));
        }
    }

    /// Has a helper do it, or does it here.
    fn give(&self, job: Job, helpers: Option<&Sender<Job>>) {
        match helpers {
            None => self.work(job),
            Some(helpers) => {
                if let Err(returned) = helpers.send(job) {
                    self.work(returned.0);
                }
            }
        }
    }

    fn work(&self, job: Job) {
        match job {
            Job::Force(log) => {
                log.force();
                log.end_sync();
            }
            Job::Settle(file) => {
                if let Some(journal) = &self.journal {
                    file.settle(journal.disk());
                }
                self.full_journals.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}
