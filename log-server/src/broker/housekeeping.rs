//! What happens now and then: retention, checkpoints, forgetting producers, compaction.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use crate::error::Error;
use crate::log::now_ms;

/// How often retention is looked at. Kafka's default is five minutes; looking costs little.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long producers that do not write are remembered (`producer.id.expiration.ms`).
const PRODUCER_EXPIRATION_MS: i64 = 24 * 60 * 60 * 1000;

/// Runs until the server stops.
pub(crate) async fn housekeeping(broker: Arc<Broker>) {
    let stopping = broker.shutdown_token().clone();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        for task in [Broker::clean_up, Broker::compact] {
            let broker = Arc::clone(&broker);
            let round = tokio::task::spawn_blocking(move || task(&broker, now_ms())).await;
            if let Ok(Err(error)) = round {
                tracing::error!(%error, "housekeeping failed, it is tried again");
            }
        }
    }
}

impl Broker {
    /// Compacts the topics that ask for it. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn compact(&self, now_ms: i64) -> Result<(), Error> {
        self.topics().compact(now_ms, || self.shutdown_token().is_cancelled())
    }

    /// Deletes what retention allows, forgets idle producers, writes the checkpoints. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn clean_up(&self, now_ms: i64) -> Result<(), Error> {
        let mut starts_moved = false;
        for topic in self.topics().all() {
            for log in topic.partitions().iter() {
                log.sync_closed_segments();
                log.sync_what_was_left();
                log.expire_producers(now_ms, PRODUCER_EXPIRATION_MS);
                if let Some(start) = log.retention_start(now_ms)? {
                    // It is below the high watermark, so it cannot be refused.
                    starts_moved |= log.advance_log_start(start).is_ok();
                }
            }
        }
        self.topics().checkpoint_recovery_points()?;
        if !starts_moved {
            return Ok(());
        }
        self.topics().checkpoint_log_starts()?;
        for topic in self.topics().all() {
            for log in topic.partitions().iter() {
                let removed = log.delete_before_start()?;
                if removed > 0 {
                    tracing::info!(topic = %topic.name, partition = log.partition(), removed, "deleted old segments");
                }
            }
        }
        Ok(())
    }
}
