//! The bytes that members exchange through the coordinator.
//!
//! Outside they are Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, version 3, so that brokers and
//! tools can read topics and partitions. What is ours is in their user data. Its first byte is a version. A later version only
//! appends: a reader takes what it knows and ignores the rest, so that members of two versions can share a group.

mod assignment;
mod reader;
mod subscription;
mod task_set;

pub(super) use assignment::Assigned;
pub(super) use subscription::Subscription;

/// Version of Kafka's own part of the bytes.
const CONSUMER_PROTOCOL_VERSION: i16 = 3;
/// Version of our part; 2 has told all members of all instances and their tasks since.
const USER_DATA_VERSION: u8 = 2;

#[cfg(test)]
mod tests;
