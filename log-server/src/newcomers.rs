//! Connections whose client has not yet shown that it is one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The connections that have neither logged in nor sent a request, oldest first. A client is among them for
/// milliseconds; whoever only opens connections and holds them makes room for the next when there are too many.
#[derive(Debug)]
pub(crate) struct Newcomers {
    limit: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_id: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// A place among the newcomers; dropped when the client has shown itself or the connection ends.
#[derive(Debug)]
pub(crate) struct Newcomer {
    id: u64,
    evicted: CancellationToken,
    newcomers: Arc<Newcomers>,
}

impl Newcomers {
    /// Room for `limit` connections.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Newcomers { limit: limit.max(1), waiting: Mutex::default() })
    }

    /// Adds a connection; if there are too many, the oldest must go.
    pub(crate) fn admit(self: &Arc<Self>) -> Newcomer {
        let mut waiting = self.lock();
        let id = waiting.next_id;
        waiting.next_id += 1;
        let evicted = CancellationToken::new();
        waiting.by_age.insert(id, evicted.clone());
        if waiting.by_age.len() > self.limit {
            drop(waiting);
            self.evict_oldest();
        }
        Newcomer { id, evicted, newcomers: Arc::clone(self) }
    }

    /// Has the oldest connection closed. Returns whether there was one.
    pub(crate) fn evict_oldest(&self) -> bool {
        self.lock().by_age.pop_first().is_some_and(|(_, token)| {
            token.cancel();
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// Ends when the connection must make room.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.newcomers.lock().by_age.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let newcomers = Newcomers::new(2);
        let first = newcomers.admit();
        let second = newcomers.admit();
        drop(first);
        let third = newcomers.admit();
        assert!(!second.evicted.is_cancelled());
        let fourth = newcomers.admit();
        assert!(
            second.evicted.is_cancelled() && !third.evicted.is_cancelled() && !fourth.evicted.is_cancelled()
        );
        assert!(newcomers.evict_oldest() && third.evicted.is_cancelled());
    }
}
