//! The async part: drives the tasks.
//!
//! An instance is one member of the group. It has workers; a worker has one consumer, one producer and the commit of
//! its tasks. Each task runs as an async task of its own:
//! fetch (the consumer's thread) → queue, deserialize, process, update state, gather (`task_runner`) → produce
//! (`record_collector`) → commit (`commit`). `open_task` and `restore` come before, `instance` decides who runs what.

mod begin_anew;
mod changelog_keeper;
mod commit;
mod data_clients;
mod global_worker;
mod instance;
mod open_task;
mod pauses;
mod planner;
mod purge;
mod record_collector;
mod restore;
mod restore_listener;
mod restore_progress;
mod retention_check;
mod standby;
mod startup;
mod state_cleaner;
mod state_directory;
mod status_board;
mod streams_state;
mod task_metrics;
mod task_runner;
mod task_settings;
mod threads;
mod topic_watch;
mod trouble;
mod worker;
mod worker_maker;
mod workers;

pub(crate) use instance::InstanceCommand;
pub(crate) use pauses::Pauses;
pub use restore_listener::{StateRestoreListener, StoreRestore};
pub(crate) use startup::{Started, Startup};
pub(crate) use state_cleaner::clean_up;
pub(crate) use state_directory::TaskDirectory;
pub(crate) use status_board::StatusBoard;
pub use streams_state::{StatusError, StreamsState, StreamsStatus, TaskStatus};
pub(crate) use threads::Threads;
