//! Signs of life that cost one atomic store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// A worker's sign that it gets on.
#[derive(Debug)]
pub struct Progress {
    clock: Instant,
    /// Milliseconds since `clock` at the last sign.
    last_ms: Arc<AtomicU64>,
}

impl Progress {
    /// Notes progress now: to be called once per batch or poll, also when there was nothing to do.
    pub fn touch(&self) {
        self.last_ms.store(millis(self.clock.elapsed()), Ordering::Relaxed);
    }
}

/// All progress tokens, and until when the session is confirmed.
#[derive(Debug, Clone)]
pub(super) struct ProgressBoard {
    clock: Instant,
    workers: Arc<Mutex<Vec<Weak<AtomicU64>>>>,
    /// Milliseconds since `clock` until which the coordinator keeps our place without another heartbeat.
    session_until_ms: Arc<AtomicU64>,
    /// How often all tasks were lost so far.
    losses: Arc<AtomicU64>,
}

impl Default for ProgressBoard {
    fn default() -> Self {
        Self {
            clock: Instant::now(),
            workers: Arc::default(),
            session_until_ms: Arc::default(),
            losses: Arc::default(),
        }
    }
}

impl ProgressBoard {
    pub(super) fn register(&self) -> Progress {
        let last_ms = Arc::new(AtomicU64::new(millis(self.clock.elapsed())));
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(&last_ms));
        Progress { clock: self.clock, last_ms }
    }

    /// When the slowest worker last gave a sign; `None` if none is registered.
    pub(super) fn slowest(&self) -> Option<Instant> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let signs = workers.iter().filter_map(Weak::upgrade).map(|sign| sign.load(Ordering::Relaxed));
        signs.min().map(|ms| self.clock + Duration::from_millis(ms))
    }

    /// Notes until when the session lasts, `None` if there is none.
    pub(super) fn confirm_session(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| millis(until.saturating_duration_since(self.clock)));
        self.session_until_ms.store(until, Ordering::Release);
    }

    /// Whether the session lasts for `time` from now on even if no further heartbeat is answered.
    pub(super) fn session_lasts(&self, time: Duration) -> bool {
        millis(self.clock.elapsed() + time) < self.session_until_ms.load(Ordering::Acquire)
    }

    /// Notes how often all tasks were lost. A session that follows a loss must be confirmed after this.
    pub(super) fn note_losses(&self, losses: u64) {
        self.losses.store(losses, Ordering::Release);
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
