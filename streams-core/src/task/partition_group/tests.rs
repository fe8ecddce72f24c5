use proptest::prelude::*;

use super::*;
use crate::fixture::{fetched, source};
use crate::record::OwnedRecord;
use crate::task::record_queue::QueueLimits;

type Group = PartitionGroup<OwnedRecord>;

const LIMITS: QueueLimits = QueueLimits { records: 1000, bytes: 1 << 20 };

fn group(partitions: i32, max_idle: Option<Duration>) -> Group {
    let queue = |partition| {
        RecordQueue::new(TopicPartition::new("in", partition), 0, source(&["in"]).decoder, LIMITS)
    };
    PartitionGroup::new((0..partitions).map(queue).collect(), max_idle)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn choose(group: &mut Group, now: i64) -> Choice {
    group.choose(at(now), &mut 0, &mut |_, _, error| panic!("{error}")).unwrap()
}

/// Takes the next record: its queue and its offset.
fn take(group: &mut Group, now: i64) -> Option<(usize, i64)> {
    let Choice::Queue(chosen) = choose(group, now) else { return None };
    let (queue, taken) = group.chosen().unwrap();
    assert_eq!(queue, chosen);
    let (record, _) = taken.take_head().unwrap();
    taken.consume(&record);
    Some((queue, record.offset))
}

#[test]
fn of_equal_times_the_first_partition_goes_first() {
    let mut group = group(3, None);
    for queue in [2, 0, 1] {
        group.add(queue, [fetched(0, 5, "k", "v"), fetched(1, 5, "k", "v")]);
    }
    let order: Vec<_> = std::iter::from_fn(|| take(&mut group, 0)).collect();
    assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    assert_eq!(choose(&mut group, 0), Choice::Empty);
}

#[test]
fn waits_for_the_fetch_while_the_broker_has_more_or_may_have() {
    let mut group = group(2, Some(Duration::ZERO));
    assert_eq!(choose(&mut group, 0), Choice::Empty);
    group.add(0, [fetched(0, 5, "k", "v")]);
    assert_eq!(choose(&mut group, 0), Choice::AwaitingFetch, "the lag of the other is not known");
    group.queues_mut()[1].note_fetched(0, Some(3));
    assert_eq!(choose(&mut group, i64::MAX), Choice::AwaitingFetch, "the other has three records more");
    group.queues_mut()[1].note_fetched(3, Some(0));
    assert_eq!(choose(&mut group, 0), Choice::Queue(0));
    assert!(group.enforced() > 0);
}

#[test]
fn waits_as_long_as_asked_for_a_partition_without_records() {
    let mut group = group(2, Some(Duration::from_millis(100)));
    group.add(0, [fetched(0, 5, "k", "v"), fetched(1, 9, "k", "v")]);
    group.queues_mut()[1].note_fetched(0, Some(0));
    assert_eq!(choose(&mut group, 1000), Choice::IdleUntil(at(1100)));
    assert_eq!(choose(&mut group, 1099), Choice::IdleUntil(at(1100)));
    assert_eq!(take(&mut group, 1100), Some((0, 0)));
    group.add(1, [fetched(0, 7, "k", "v")]);
    assert_eq!(take(&mut group, 1101), Some((1, 0)));
    assert_eq!(choose(&mut group, 1102), Choice::IdleUntil(at(1202)), "the time begins anew");
}

#[test]
fn never_waits_when_told_so() {
    let mut group = group(2, None);
    group.add(1, [fetched(0, 5, "k", "v")]);
    assert_eq!(take(&mut group, 0), Some((1, 0)));
}

proptest! {
    /// Records are added in chunks and taken in between, against a naive search for the smallest first record.
    #[test]
    fn the_smallest_first_record_is_next(
        chunks in prop::collection::vec((0usize..4, prop::collection::vec(0i64..50, 0..6), 0usize..6), 1..30),
    ) {
        let mut group = group(4, None);
        let mut model: Vec<Vec<(i64, i64)>> = vec![Vec::new(); 4];
        let mut next = [0i64; 4];
        for (queue, times, takes) in chunks {
            let mut records = Vec::new();
            for time in times {
                records.push(fetched(next[queue], time, "k", "v"));
                model[queue].push((time, next[queue]));
                next[queue] += 1;
            }
            group.add(queue, records);
            for _ in 0..takes {
                let expected = (0..4).filter(|&queue| !model[queue].is_empty()).min_by_key(|&queue| model[queue][0].0);
                let expected = expected.map(|queue| (queue, model[queue].remove(0).1));
                prop_assert_eq!(take(&mut group, 0), expected);
            }
        }
    }

    /// Whatever the event times, each partition's records come in the order of their offsets.
    #[test]
    fn a_partitions_records_keep_their_order(times in prop::collection::vec((0usize..3, 0i64..20), 0..60)) {
        let mut group = group(3, None);
        let mut next = [0i64; 3];
        for &(queue, time) in &times {
            group.add(queue, [fetched(next[queue], time, "k", "v")]);
            next[queue] += 1;
        }
        let mut seen = [0i64; 3];
        while let Some((queue, offset)) = take(&mut group, 0) {
            prop_assert_eq!(seen[queue], offset);
            seen[queue] += 1;
        }
        prop_assert_eq!(seen, next);
    }
}
