use super::*;
use crate::fixture::{fetched, source, source_with};
use crate::processor::TimestampExtractor;
use crate::record::OwnedRecord;

fn queue(limits: QueueLimits) -> RecordQueue<OwnedRecord> {
    RecordQueue::new(TopicPartition::new("in", 0), 0, source(&["in"]).decoder, limits)
}

const WIDE: QueueLimits = QueueLimits { records: 100, bytes: 1 << 20 };

fn head(queue: &mut RecordQueue<OwnedRecord>, dropped: &mut u64) -> Option<Timestamp> {
    queue.find_head(Timestamp::ZERO, dropped, &mut |_, _, error| panic!("{error}")).unwrap()
}

#[test]
fn asks_for_a_pause_once_and_for_more_at_half() {
    let mut queue = queue(QueueLimits { records: 4, bytes: 1 << 20 });
    queue.extend((0..4).map(|offset| fetched(offset, 0, "k", "v")));
    assert_eq!(queue.flow_change(), None);
    queue.extend([fetched(4, 0, "k", "v")]);
    assert_eq!((queue.flow_change(), queue.flow_change()), (Some(Flow::Pause), None));
    let mut dropped = 0;
    for left in [4, 3, 2] {
        assert_eq!(queue.flow_change(), None, "{left}");
        head(&mut queue, &mut dropped);
        assert!(queue.take_head().is_some());
    }
    assert_eq!((queue.flow_change(), queue.flow_change()), (Some(Flow::Resume), None));
}

#[test]
fn bytes_are_bounded_as_well() {
    let mut queue = queue(QueueLimits { records: 100, bytes: 10 });
    queue.extend([fetched(0, 0, "key", "eight...")]);
    assert_eq!(queue.bytes(), 11);
    assert_eq!(queue.flow_change(), Some(Flow::Pause));
    let mut dropped = 0;
    head(&mut queue, &mut dropped);
    queue.take_head();
    assert_eq!((queue.bytes(), queue.flow_change()), (0, Some(Flow::Resume)));
}

#[test]
fn records_without_a_valid_time_are_dropped_and_committed() {
    let decoder = source_with(&["in"], TimestampExtractor::SkipOnInvalid).decoder;
    let mut queue = RecordQueue::new(TopicPartition::new("in", 0), 0, decoder, WIDE);
    queue.extend([fetched(0, -1, "k", "v"), fetched(1, -1, "k", "v"), fetched(2, 7, "k", "v")]);
    let mut dropped = 0;
    assert_eq!(head(&mut queue, &mut dropped), Some(Timestamp::from_millis(7)));
    assert_eq!((dropped, queue.offset_to_commit()), (2, Some(2)));
}

#[test]
fn commits_behind_control_records_only_when_nothing_waits() {
    let mut queue = queue(WIDE);
    assert_eq!(queue.offset_to_commit(), None);
    queue.extend([fetched(5, 0, "k", "v")]);
    queue.note_fetched(8, Some(0));
    assert_eq!(queue.offset_to_commit(), None, "the record at 5 is not processed yet");
    let mut dropped = 0;
    head(&mut queue, &mut dropped);
    let (record, _) = queue.take_head().unwrap();
    queue.consume(&record);
    assert_eq!(queue.offset_to_commit(), Some(8));
}
