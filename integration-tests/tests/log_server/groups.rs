//! Consumer groups: rebalances, commits, and what of them survives a restart.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, LIMIT, assigned, number, poll_until};

const PARTITIONS: i32 = 4;

fn committed(consumer: &BaseConsumer, topic: &str) -> Vec<(Offset, String)> {
    let mut asked_for = TopicPartitionList::new();
    asked_for.add_partition_range(topic, 0, PARTITIONS - 1);
    let committed = consumer.committed_offsets(asked_for, LIMIT).unwrap();
    committed.elements().iter().map(|e| (e.offset(), e.metadata().to_owned())).collect()
}

#[test]
fn consumers_share_partitions_and_take_over_from_one_that_leaves() {
    let broker = Broker::start();
    broker.create_topic("shared", PARTITIONS);
    broker.produce("shared", PARTITIONS, 0..400);
    let first = broker.consumer("g", &[]);
    first.subscribe(&["shared"]).unwrap();
    poll_until("the first has all", &[&first], |_, _| {}, || assigned(&first) == 4);
    let second = broker.consumer("g", &[]);
    second.subscribe(&["shared"]).unwrap();
    let both = || assigned(&first) == 2 && assigned(&second) == 2;
    poll_until("each has half", &[&first, &second], |_, _| {}, both);
    // The close leaves the group, so that this takes no session time-out.
    drop(second);
    poll_until("the first has all again", &[&first], |_, _| {}, || assigned(&first) == 4);
}

#[test]
fn commits_with_their_text_survive_a_restart() {
    let mut broker = Broker::start();
    broker.create_topic("kept", PARTITIONS);
    broker.produce("kept", PARTITIONS, 0..400);
    let consumer = broker.consumer("g", &[]);
    consumer.subscribe(&["kept"]).unwrap();
    let seen = RefCell::new(BTreeSet::new());
    let all = || seen.borrow().len() == 400;
    poll_until(
        "all is read",
        &[&consumer],
        |_, m| {
            seen.borrow_mut().insert(number(m));
        },
        all,
    );
    let mut offsets = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let mut entry = offsets.add_partition("kept", partition);
        entry.set_offset(Offset::Offset(100)).unwrap();
        entry.set_metadata(format!("text of {partition}"));
    }
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    drop(consumer);
    broker.restart();
    let consumer = broker.consumer("g", &[]);
    let expected: Vec<_> =
        (0..PARTITIONS).map(|partition| (Offset::Offset(100), format!("text of {partition}"))).collect();
    assert_eq!(committed(&consumer, "kept"), expected);
    broker.produce("kept", PARTITIONS, 400..404);
    consumer.subscribe(&["kept"]).unwrap();
    let fresh = RefCell::new(BTreeSet::new());
    let all = || fresh.borrow().len() == 4;
    poll_until(
        "new records are read",
        &[&consumer],
        |_, m| {
            fresh.borrow_mut().insert(number(m));
        },
        all,
    );
    assert_eq!(fresh.into_inner(), (400..404).collect(), "nothing that was committed is read again");
}

#[test]
fn members_keep_their_partitions_over_a_restart_of_the_server() {
    let mut broker = Broker::start();
    broker.create_topic("steady", PARTITIONS);
    let consumer = broker.consumer("g", &[]);
    consumer.subscribe(&["steady"]).unwrap();
    poll_until("it has all", &[&consumer], |_, _| {}, || assigned(&consumer) == 4);
    broker.restart();
    broker.produce("steady", PARTITIONS, 0..8);
    let count = std::cell::Cell::new(0);
    poll_until("it reads on", &[&consumer], |_, _| count.set(count.get() + 1), || count.get() == 8);
    assert_eq!(assigned(&consumer), 4);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    assert_eq!(committed(&consumer, "steady")[0].0, Offset::Offset(2));
}

#[test]
fn cooperative_members_keep_what_they_do_not_give_up() {
    let broker = Broker::start();
    broker.create_topic("cooperative", PARTITIONS);
    let cooperative = [("partition.assignment.strategy", "cooperative-sticky")];
    let first = broker.consumer("g", &cooperative);
    first.subscribe(&["cooperative"]).unwrap();
    poll_until("the first has all", &[&first], |_, _| {}, || assigned(&first) == 4);
    let second = broker.consumer("g", &cooperative);
    second.subscribe(&["cooperative"]).unwrap();
    let both = || assigned(&first) == 2 && assigned(&second) == 2;
    let least = std::cell::Cell::new(4);
    let watch = || {
        least.set(least.get().min(assigned(&first)));
        both()
    };
    poll_until("each has half", &[&first, &second], |_, _| {}, watch);
    assert_eq!(least.get(), 2, "the first never lets go of what it keeps");
}

#[test]
fn static_member_returns_without_a_rebalance() {
    let broker = Broker::start();
    broker.create_topic("static", PARTITIONS);
    let named = |name| broker.consumer("g", &[("group.instance.id", name)]);
    let (first, second) = (named("one"), named("two"));
    first.subscribe(&["static"]).unwrap();
    second.subscribe(&["static"]).unwrap();
    let both = || assigned(&first) == 2 && assigned(&second) == 2;
    poll_until("each has half", &[&first, &second], |_, _| {}, both);
    drop(second);
    let second = named("two");
    second.subscribe(&["static"]).unwrap();
    let least = std::cell::Cell::new(2);
    let watch = || {
        least.set(least.get().min(assigned(&first)));
        assigned(&second) == 2
    };
    poll_until("the second is back", &[&first, &second], |_, _| {}, watch);
    assert_eq!(least.get(), 2, "the first noticed nothing");
}
