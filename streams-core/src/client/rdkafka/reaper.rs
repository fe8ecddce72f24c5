//! Where librdkafka's clients end.

use std::thread;

/// Drops `remains` on a thread of its own: the end of a client takes about 100 ms, and for ever where something of it
/// is still held. One thread each, so that one that hangs does not hold up the others; the process may end
/// meanwhile.
pub(super) fn bury(remains: impl Send + 'static) {
    let spawned = thread::Builder::new().name("client-reaper".to_owned()).spawn(move || drop(remains));
    if let Err(fault) = spawned {
        // The closure, and with it the client, was dropped on this thread.
        tracing::warn!(%fault, "no thread for the end of a kafka client; it ended on its user's thread");
    }
}
