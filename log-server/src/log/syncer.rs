//! Group commit: a few threads per server force logs to the disk.
//!
//! While a log is synced, its further appends gather; its next turn serves all of them. Nobody waits for a sync that
//! began before its append. Different logs are synced at the same time, as the file system then writes its own journal
//! once for several of them: four small files take 0.35 instead of 0.58 ms.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::partition_log::PartitionLog;
use crate::config::FsyncPolicy;
use crate::error::Error;

/// Threads that sync, where records wait for it.
const SYNC_THREADS: usize = 4;

/// The sync threads' inbox. The queue is bounded by the number of partitions: each is in it at most once.
#[derive(Debug)]
pub(crate) struct Syncer {
    requests: Mutex<Option<Sender<Arc<PartitionLog>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Syncer {
    /// Starts the threads that the policy needs; with [`FsyncPolicy::Interval`] requests gather between rounds.
    ///
    /// # Errors
    /// [`Error::Config`] if a thread cannot be started.
    pub(crate) fn start(policy: FsyncPolicy) -> Result<Arc<Self>, Error> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let (count, pause) = match policy {
            FsyncPolicy::Always => (SYNC_THREADS, Duration::ZERO),
            FsyncPolicy::Interval(pause) => (1, pause),
            FsyncPolicy::Never => (0, Duration::ZERO),
        };
        let start = |_| {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name("log-sync".to_owned())
                .stack_size(SYNC_STACK_BYTES)
                .spawn(move || run(&receiver, pause))
                .map_err(|error| Error::Config(format!("cannot start a sync thread: {error}")))
        };
        let threads = (0..count).map(start).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Syncer { requests: Mutex::new(Some(sender)), threads: Mutex::new(threads) }))
    }

    /// A syncer without threads: whoever holds the other end syncs the logs that come out of it, when it likes.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (Arc<Self>, Receiver<Arc<PartitionLog>>) {
        let (sender, receiver) = channel();
        (Arc::new(Syncer { requests: Mutex::new(Some(sender)), threads: Mutex::default() }), receiver)
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

fn run(requests: &Mutex<Receiver<Arc<PartitionLog>>>, pause: Duration) {
    let inbox = || requests.lock().unwrap_or_else(PoisonError::into_inner);
    // The lock is held by the thread that waits; the others wait for the lock.
    let next = || inbox().recv();
    while let Ok(log) = next() {
        if pause.is_zero() {
            log.sync();
            continue;
        }
        std::thread::sleep(pause);
        let gathered: Vec<_> = inbox().try_iter().collect();
        std::iter::once(log).chain(gathered).for_each(|log| log.sync());
    }
}
