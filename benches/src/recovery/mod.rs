//! Scenarios about recovery and memory, each one command that prints one line of JSON.

mod backlog;
mod crash_restart;
mod fail_over;
mod feed;
mod restore;
mod restore_beside;
mod stage;
mod watched;

pub use backlog::backlog;
pub use crash_restart::crash_restart;
pub use fail_over::fail_over;
pub use restore::restore;
pub use restore_beside::restore_beside;
