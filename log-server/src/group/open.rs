//! The start of the group coordinator: its topic is read back, then it begins to serve.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::GroupConfig;
use super::coordinator::GroupCoordinator;
use super::driver::GroupDriver;
use crate::error::Error;
use crate::journal::{InternalLog, Replayed};
use crate::topics::TopicRegistry;

/// The topic that groups and offsets are kept in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Partitions of the topic when it is made. Apache Kafka makes 50, to spread groups over brokers; on one node each
/// further one is another file to sync. A topic that exists keeps what it has.
const OFFSETS_PARTITIONS: i32 = 1;

impl GroupDriver {
    /// Reads groups and offsets back and starts to serve them, on the present runtime, until `shutdown`. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// [`Error`] if the topic cannot be read.
    pub(crate) fn open(
        topics: &Arc<TopicRegistry>,
        config: GroupConfig,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        let clock = Arc::clone(topics.clock());
        let log = InternalLog::new(topics, OFFSETS_TOPIC, OFFSETS_PARTITIONS);
        let now = clock.now();
        let mut coordinator = GroupCoordinator::new(config, now);
        log.replay(|replayed| match replayed {
            Replayed::Record { producer_id, key, value } => {
                coordinator.restore_record(producer_id, key, value, now)
            }
            Replayed::Marker { producer_id, is_commit } => {
                coordinator.restore_marker(producer_id, is_commit);
                Ok(())
            }
        })?;
        coordinator.restored();
        tracing::info!(groups = coordinator.group_count(), elapsed = ?clock.ticks().saturating_sub(now.ticks), "groups restored");
        Ok(Self::start(coordinator, log, clock, shutdown))
    }
}
