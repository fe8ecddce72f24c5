//! Which topics the members of a consumer group read, as far as their metadata tells.

use std::collections::BTreeSet;

use bytes::Buf;
use kafka_protocol::messages::ConsumerProtocolSubscription;
use kafka_protocol::protocol::Decodable;

use super::ClassicGroup;

/// The protocol type whose metadata is known here.
const CONSUMER: &str = "consumer";

/// The newest version of the subscription that can be read; newer ones only add fields at the end.
const NEWEST_SUBSCRIPTION: i16 = 3;

impl ClassicGroup {
    /// The topics that members subscribe to; none when the group is not a consumer group or a member's metadata
    /// cannot be read: then any topic must be taken for subscribed.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            // Before a protocol is chosen, what each member prefers tells what it reads.
            let preferred = member.protocols.first().map(|p| p.name.as_str());
            let mut metadata = member.metadata(self.protocol.as_deref().or(preferred));
            let version = metadata.try_get_i16().ok()?.clamp(0, NEWEST_SUBSCRIPTION);
            let subscription = ConsumerProtocolSubscription::decode(&mut metadata, version).ok()?;
            topics.extend(subscription.topics.iter().map(|topic| topic.to_string()));
        }
        Some(topics)
    }
}
