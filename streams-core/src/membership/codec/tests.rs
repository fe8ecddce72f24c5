use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;
use uuid::Uuid;

use crate::assignor::TaskId;
use crate::membership::event::{AssignedTask, AssignmentFault, FaultKind, InstanceMetadata};
use crate::record::TopicPartition;

use super::{Assigned, Subscription};

fn task() -> impl Strategy<Value = TaskId> {
    (0_u32..5, prop_oneof![0_u32..300, any::<u32>()]).prop_map(|(sub, partition)| TaskId::new(sub, partition))
}

fn tasks() -> impl Strategy<Value = Vec<TaskId>> {
    prop::collection::btree_set(task(), 0..40).prop_map(|tasks| tasks.into_iter().collect())
}

fn assigned_tasks() -> impl Strategy<Value = Vec<AssignedTask>> {
    let partition =
        ("[a-d]{1,3}", 0..i32::MAX).prop_map(|(topic, partition)| TopicPartition::new(topic, partition));
    let partitions = prop::collection::vec(partition, 0..4);
    prop::collection::vec(
        (task(), partitions).prop_map(|(id, partitions)| AssignedTask { id, partitions }),
        0..20,
    )
}

prop_compose! {
    fn subscription()(
        topics in prop::collection::vec("[a-z.]{1,20}", 0..5),
        generation in -1_i32..,
        rack in prop::option::of("[a-z]{0,5}"),
        process_id in any::<u128>(),
        capacity in any::<u32>(),
        counter in any::<u8>(),
        active in tasks(),
        standby in tasks(),
        offset_sums in prop::collection::btree_map(task(), 0_i64.., 0..10),
        application_server in prop::option::of("[a-z]{0,5}:1"),
        tags in prop::collection::btree_map("[a-z]{1,4}", ".{0,4}", 0..3),
    ) -> Subscription {
        let process_id = Uuid::from_u128(process_id);
        let stop = counter.is_multiple_of(2).then(|| "a record cannot be read".to_owned());
        Subscription {
            topics, generation, rack, process_id, capacity, counter, active, standby, offset_sums, application_server, tags, stop,
        }
    }
}

prop_compose! {
    fn instance()(
        process_id in any::<u128>(),
        application_server in prop::option::of("[a-z]{0,5}:1"),
        active in tasks(),
        standby in tasks(),
    ) -> InstanceMetadata {
        InstanceMetadata { process_id: Uuid::from_u128(process_id), application_server, active, standby }
    }
}

prop_compose! {
    fn assigned()(
        active in assigned_tasks(),
        standby in assigned_tasks(),
        warm_up in assigned_tasks(),
        follow_up in any::<bool>(),
        fault in prop::option::of(".{0,30}"),
        instances in prop::collection::vec(instance(), 0..4),
    ) -> Assigned {
        let fault = fault.map(|message| AssignmentFault { kind: FaultKind::InvalidTopics, message });
        Assigned { active, standby, warm_up, follow_up, fault, instances }
    }
}

proptest! {
    #[test]
    fn subscriptions_come_back(subscription in subscription()) {
        let bytes = subscription.encode();
        prop_assert_eq!(Subscription::decode(&bytes), Ok(subscription.clone()));
        // Kafka's own reading of the same bytes.
        let mut body = bytes.slice(2..);
        let kafka = ConsumerProtocolSubscription::decode(&mut body, 3).unwrap();
        let topics: Vec<String> = kafka.topics.iter().map(ToString::to_string).collect();
        prop_assert_eq!(topics, subscription.topics);
        prop_assert_eq!(kafka.generation_id, subscription.generation);
        prop_assert_eq!(kafka.rack_id.map(|rack| rack.to_string()), subscription.rack);
        prop_assert!(!body.has_remaining());
    }

    #[test]
    fn assignments_come_back(assigned in assigned()) {
        let bytes = assigned.encode();
        prop_assert_eq!(Assigned::decode(&bytes), Ok(assigned.clone()));
        let mut body = bytes.slice(2..);
        let kafka = ConsumerProtocolAssignment::decode(&mut body, 3).unwrap();
        let listed: usize = kafka.assigned_partitions.iter().map(|topic| topic.partitions.len()).sum();
        prop_assert_eq!(listed, assigned.active.iter().map(|task| task.partitions.len()).sum::<usize>());
        prop_assert!(!body.has_remaining());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Subscription::decode(&bytes);
        let _ = Assigned::decode(&bytes);
    }

    #[test]
    fn damaged_bytes_never_panic(subscription in subscription(), assigned in assigned(), at in any::<u16>(), byte in any::<u8>()) {
        for bytes in [subscription.encode(), assigned.encode()] {
            let mut bytes = bytes.to_vec();
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
            let _ = Subscription::decode(&bytes);
            let _ = Assigned::decode(&bytes);
            let _ = Subscription::decode(&bytes[..at]);
            let _ = Assigned::decode(&bytes[..at]);
        }
    }
}

#[test]
fn later_versions_may_append() {
    let assigned = Assigned { follow_up: true, ..Assigned::default() };
    let bytes = assigned.encode();
    // User data come last, behind their length: a later version with two more bytes.
    let at = bytes.len() - assigned.user_data_length();
    let mut later = bytes[..at - 4].to_vec();
    later.extend_from_slice(&i32::try_from(assigned.user_data_length() + 2).unwrap().to_be_bytes());
    later.push(super::USER_DATA_VERSION + 1);
    later.extend_from_slice(&bytes[at + 1..]);
    later.extend_from_slice(&[9, 9]);
    assert_eq!(Assigned::decode(&later), Ok(assigned));
}

#[test]
fn a_leader_of_version_1_tells_of_no_instances() {
    let assigned = Assigned { follow_up: true, ..Assigned::default() };
    let bytes = assigned.encode();
    let at = bytes.len() - assigned.user_data_length();
    let mut first = bytes[..at - 4].to_vec();
    first.extend_from_slice(&i32::try_from(assigned.user_data_length() - 1).unwrap().to_be_bytes());
    first.push(1);
    // All but the count of instances, which is the last byte.
    first.extend_from_slice(&bytes[at + 1..bytes.len() - 1]);
    assert_eq!(Assigned::decode(&first), Ok(assigned));
}

#[test]
fn an_empty_assignment_is_no_tasks() {
    assert_eq!(Assigned::decode(&Bytes::new()), Ok(Assigned::default()));
}

#[test]
fn a_hundred_tasks_fit_in_few_bytes() {
    let tasks: Vec<TaskId> = (0..100).map(|partition| TaskId::new(1, partition)).collect();
    let bytes = Subscription { active: tasks, ..Subscription::default() }.encode();
    assert!(bytes.len() < 160, "{} bytes", bytes.len());
}

impl Assigned {
    fn user_data_length(&self) -> usize {
        let partitions: usize = self.active.iter().map(|task| task.partitions.len()).sum();
        assert_eq!(partitions, 0, "only for assignments without partitions");
        self.encode().len() - (2 + 4 + 4)
    }
}
