//! The end of a decided transaction: a marker in every partition that took part, all in one round of the disk.

use super::coordinator::Markers;
use crate::group::driver::GroupDriver;
use crate::group::open::OFFSETS_TOPIC;
use crate::journal::marker::append_marker;
use crate::protocol::ErrorCode;
use crate::topics::TopicRegistry;

/// Writes the markers and waits until they are durable. Partitions that have been deleted meanwhile need none.
///
/// # Errors
/// A storage error of any partition; the others may have their markers.
pub(super) async fn write(
    topics: &TopicRegistry,
    groups: &GroupDriver,
    markers: &Markers,
) -> Result<(), ErrorCode> {
    let mut outcome = Ok(());
    let (mut logs, mut offsets) = (Vec::new(), Vec::new());
    for (topic, partition) in &markers.partitions {
        if topic == OFFSETS_TOPIC {
            // Through the groups' own journal, so that the marker comes after the offsets.
            offsets.push(groups.write_marker(*partition, markers.producer, markers.end));
            continue;
        }
        let Some(log) = topics.log(topic, *partition) else { continue };
        match append_marker(&log, markers.producer, markers.end) {
            Ok(appended) => {
                log.request_sync();
                logs.push((log, appended.end_offset));
            }
            Err(error) => outcome = Err(error),
        }
    }
    for (log, end_offset) in logs {
        outcome = outcome.and(log.wait_durable(end_offset).await);
    }
    for offsets in offsets {
        outcome = outcome.and(offsets.await);
    }
    outcome
}
