//! The pure part of the engine: a task takes records and the time, runs its sub-topology and hands out records and
//! offsets. It knows no clock, no socket and no other task; `runtime` drives it, and so do the test driver and the
//! simulation.
//!
//! A record's way through a [`StreamTask`]: [`add_records`](StreamTask::add_records) queues what was fetched,
//! [`process`](StreamTask::process) chooses, deserializes and runs it through the nodes, which update stores and the
//! output; [`gather`](StreamTask::gather) hands over what is to be produced; [`seal`](StreamTask::seal) closes an
//! [`Epoch`], and [`commit_stores`](StreamTask::commit_stores) makes its writes durable once its records and offsets
//! are. Before all that the stores are [restored](StreamTask::restore) and the task is
//! [started](StreamTask::start). A standby is a task that is restored and never started.

mod absent_store;
mod bulk_load;
mod commit;
mod commit_metadata;
mod config;
mod epoch;
mod error;
mod global_task;
mod offsets;
mod partition_group;
mod processing;
mod record_queue;
mod refusal;
mod restoring;
mod retry;
mod state_manager;
mod stream_task;

pub use config::{DeserializationHandler, DeserializationPolicy, FailedRecord, TaskConfig};
pub use epoch::{CommittedOffset, Epoch, Gathered};
pub use error::{KeyPreview, TaskError, TaskName};
pub use global_task::{GlobalPartition, GlobalTask, GlobalTaskSetup};
pub(crate) use offsets::committed_position;
pub use processing::{Processed, Stopped};
pub use record_queue::Flow;
pub(crate) use refusal::dead_letter_headers;
pub use retry::{RetryPolicy, Tried, TriedStep};
pub use state_manager::ChangelogPartition;
pub use stream_task::{StreamTask, TaskCounters, TaskSetup};
