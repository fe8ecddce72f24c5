//! The limit of open files, which shells set low: every partition takes one, every closed segment three, and every
//! connection one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the operating system lets this user, as Java does. Where it does not, the server runs
/// with what it has, and says so.
pub(super) fn raise_limit() {
    let limits = getrlimit(Resource::Nofile);
    if limits.current == limits.maximum {
        return;
    }
    let raised = Rlimit { current: limits.maximum, ..limits };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            tracing::debug!(from = ?limits.current, to = ?limits.maximum, "raised the limit of open files")
        }
        Err(error) => {
            tracing::warn!(%error, limit = ?limits.current, "cannot raise the limit of open files (ulimit -n)");
        }
    }
}
