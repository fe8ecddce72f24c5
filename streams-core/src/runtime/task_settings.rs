//! From the application's settings to those of a task.

use std::sync::Arc;

use crate::config::{ErrorPolicy, StreamsConfig};
use crate::processor::{Policy, ProductionPolicy};
use crate::task::{RetryPolicy, TaskConfig};

/// The part of the memory budget for uncommitted changes: on their way they exist several times, in the store, in
/// the changelog's records and in the commit's batch.
const UNCOMMITTED_PART: u64 = 8;
/// The part of the memory budget for what tasks gather while they are restored.
const LOAD_PART: u64 = 4;

/// A task's settings; what belongs to the whole instance is shared out evenly over the tasks there are.
pub(super) fn task_config(config: &StreamsConfig, tasks: usize) -> TaskConfig {
    let share = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX) / tasks.max(1);
    let uncommitted = config.uncommitted_max_bytes.min(config.memory_budget / UNCOMMITTED_PART);
    TaskConfig {
        max_task_idle: config.max_task_idle,
        max_cache_bytes: share(config.cache_max_bytes),
        max_uncommitted_bytes: share(uncommitted),
        max_load_bytes: share(config.memory_budget / LOAD_PART),
        // The consumer's budget bounds the queues.
        buffered_records_per_partition: usize::MAX,
        buffered_bytes_per_partition: usize::MAX,
        deserialization: policy(
            config,
            config.handlers.deserialization.as_ref(),
            config.deserialization_errors,
        ),
        processing: policy(config, config.handlers.processing.as_ref(), config.processing_errors),
        production: production_policy(config),
        retry: RetryPolicy { max: config.retry_max, backoff: config.retry_backoff },
        ..TaskConfig::default()
    }
}

/// What to do with records that cannot be sent.
pub(super) fn production_policy(config: &StreamsConfig) -> ProductionPolicy {
    policy(config, config.handlers.production.as_ref(), config.production_errors)
}

fn policy<H: ?Sized>(config: &StreamsConfig, handler: Option<&Arc<H>>, errors: ErrorPolicy) -> Policy<H> {
    match (handler, errors) {
        (Some(handler), _) => Policy::Ask(Arc::clone(handler)),
        (None, ErrorPolicy::Fail) => Policy::Fail,
        (None, ErrorPolicy::Continue) => {
            dead_letter_topic(config).map_or(Policy::Continue, Policy::DeadLetter)
        }
    }
}

fn dead_letter_topic(config: &StreamsConfig) -> Option<Arc<str>> {
    config.dead_letter_topic.as_deref().map(Arc::from)
}
