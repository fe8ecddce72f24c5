//! Group commit: one thread per server forces logs to the disk.
//!
//! While it syncs, further appends gather; the next round serves all of them. Nobody waits for a sync that began
//! before its append.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::partition_log::PartitionLog;
use crate::config::FsyncPolicy;
use crate::error::Error;

/// The sync thread's inbox. The queue is bounded by the number of partitions: each is in it at most once.
#[derive(Debug)]
pub(crate) struct Syncer {
    requests: Mutex<Option<Sender<Arc<PartitionLog>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Syncer {
    /// Starts the thread; with [`FsyncPolicy::Interval`] it lets requests gather between rounds.
    ///
    /// # Errors
    /// [`Error::Config`] if the thread cannot be started.
    pub(crate) fn start(policy: FsyncPolicy) -> Result<Arc<Self>, Error> {
        let (sender, receiver) = channel();
        let pause = match policy {
            FsyncPolicy::Interval(pause) => pause,
            FsyncPolicy::Always | FsyncPolicy::Never => Duration::ZERO,
        };
        let thread = std::thread::Builder::new()
            .name("log-sync".to_owned())
            .stack_size(SYNC_STACK_BYTES)
            .spawn(move || run(&receiver, pause))
            .map_err(|error| Error::Config(format!("cannot start the sync thread: {error}")))?;
        Ok(Arc::new(Syncer { requests: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) }))
    }

    /// A syncer without a thread: whoever holds the other end syncs the logs that come out of it, when it likes.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (Arc<Self>, Receiver<Arc<PartitionLog>>) {
        let (sender, receiver) = channel();
        (Arc::new(Syncer { requests: Mutex::new(Some(sender)), thread: Mutex::new(None) }), receiver)
    }

    /// Has the log synced in the next round.
    pub(crate) fn request(&self, log: Arc<PartitionLog>) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = requests.as_ref() {
            // The receiver lives as long as the sender.
            let _ = requests.send(log);
        }
    }

    /// Ends the thread after what has been requested.
    pub(crate) fn stop(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the sync thread panicked");
        }
    }
}

/// The sync thread needs little stack.
const SYNC_STACK_BYTES: usize = 256 * 1024;

fn run(requests: &Receiver<Arc<PartitionLog>>, pause: Duration) {
    while let Ok(first) = requests.recv() {
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        first.sync();
        while let Ok(log) = requests.try_recv() {
            log.sync();
        }
    }
}
