//! Joins of random histories against a model that knows nothing of stores.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use streams_test_driver::TopologyTestDriver;

use crate::prelude::*;

/// A record of a history; its place in it is its value.
#[derive(Debug, Clone)]
struct Event {
    left: bool,
    key: u8,
    time: i64,
    null: bool,
}

#[derive(Debug, Clone, Copy)]
struct Reach {
    before: i64,
    after: i64,
    grace: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Inner,
    Left,
    Outer,
}

/// A result: which records met, at what time it stands, and at which step it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Met {
    left: Option<usize>,
    right: Option<usize>,
    time: i64,
    step: usize,
}

impl Reach {
    /// Whether a left and a right record are near enough.
    fn allows(self, left: i64, right: i64) -> bool {
        (left - self.before..=left + self.after).contains(&right)
    }

    fn retention(self) -> i64 {
        self.before + self.after + self.grace
    }

    /// Until when, by event time, a record may meet a partner, without and with the grace period.
    fn end(self, event: &Event) -> (i64, i64) {
        let end = event.time + if event.left { self.after } else { self.before };
        (end, end + self.grace)
    }
}

/// Runs a history through the operator, and closes all windows at the end.
fn joined(events: &[Event], reach: Reach, kind: Kind) -> Vec<Met> {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<u8, Option<u32>>("left");
    let right = builder.stream::<u8, Option<u32>>("right");
    let millis = |millis: i64| Duration::from_millis(millis as u64);
    let windows = JoinWindows::of(millis(reach.before)).after(millis(reach.after)).grace(millis(reach.grace));
    let side = right.within(windows).with(StreamJoined::new().in_memory());
    fn shown(left: Option<&Option<u32>>, right: Option<&Option<u32>>) -> String {
        format!("{:?}", (left, right))
    }
    let out = match kind {
        Kind::Inner => left.join(side, move |left, right| shown(Some(left), Some(right))),
        Kind::Left => left.left_join(side, move |left, right| shown(Some(left), right)),
        Kind::Outer => left.outer_join(side, shown),
    };
    out.to("out");
    let mut driver = TopologyTestDriver::new(builder.build().unwrap()).unwrap();
    let topics = ["right", "left"].map(|topic| driver.input_topic::<u8, Option<u32>>(topic));
    let out = driver.output_topic::<u8, String>("out");
    let mut found = Vec::new();
    let end = 1_000_000;
    let closing = [true, false].map(|left| Event { left, key: u8::MAX, time: end, null: false });
    for (step, event) in events.iter().chain(&closing).enumerate() {
        let value = (!event.null).then_some(step as u32);
        topics[usize::from(event.left)].pipe_at(&mut driver, event.key, value, event.time).unwrap();
        for record in out.read_records(&mut driver).unwrap() {
            if record.key == u8::MAX {
                continue;
            }
            let sides: Vec<Option<usize>> = record
                .value
                .trim_matches(|c| c == '(' || c == ')')
                .split(", ")
                .map(|side| side.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok())
                .collect();
            let (left, right) = (sides[0], sides[1]);
            found.push(Met { left, right, time: record.timestamp.as_millis(), step });
        }
    }
    found
}

/// The pairs, in the order in which they are sent: each record meets the other side's earlier ones that are near enough
/// and not yet forgotten.
fn pairs(events: &[Event], reach: Reach) -> Vec<Met> {
    let mut clocks = [-1, -1];
    let mut found = Vec::new();
    for (step, event) in events.iter().enumerate().filter(|(_, event)| !event.null) {
        let clock = clocks[usize::from(!event.left)];
        let mut partners: Vec<(i64, usize)> = events[..step]
            .iter()
            .enumerate()
            .filter(|(_, other)| other.left != event.left && other.key == event.key && !other.null)
            .filter(|(_, other)| other.time > clock - reach.retention())
            .filter(|(_, other)| match event.left {
                true => reach.allows(event.time, other.time),
                false => reach.allows(other.time, event.time),
            })
            .map(|(place, other)| (other.time, place))
            .collect();
        partners.sort_unstable();
        found.extend(partners.into_iter().map(|(time, other)| {
            let (left, right) = if event.left { (step, other) } else { (other, step) };
            Met { left: Some(left), right: Some(right), time: time.max(event.time), step }
        }));
        let own = &mut clocks[usize::from(event.left)];
        *own = (*own).max(event.time);
    }
    found
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (any::<bool>(), 0u8..3, -40i64..30, prop::bool::weighted(0.1));
    prop::collection::vec(event, 0..60).prop_map(|steps| {
        let mut clock = 200;
        let make = |(left, key, step, null)| {
            // Time goes on by and by; some records come late.
            let time: i64 = clock + step;
            clock = clock.max(time);
            Event { left, key, time, null }
        };
        steps.into_iter().map(make).collect()
    })
}

fn reach() -> impl Strategy<Value = Reach> {
    (0i64..40, 0i64..40, 0i64..20).prop_map(|(before, after, grace)| Reach { before, after, grace })
}

/// Checks the results that have one side only.
fn check_unmatched(
    events: &[Event],
    reach: Reach,
    matched: &[Met],
    unmatched: &[Met],
    kind: Kind,
) -> Result<(), TestCaseError> {
    let mut clock_at = Vec::new();
    for event in events {
        clock_at.push(clock_at.last().copied().unwrap_or(-1).max(event.time));
    }
    let clock = |step: usize| clock_at.get(step).copied().unwrap_or(1_000_000);
    let mut sent: HashMap<usize, Vec<&Met>> = HashMap::new();
    for result in unmatched {
        let Some(place) = result.left.or(result.right) else {
            return Err(TestCaseError::fail("a result without any record"));
        };
        sent.entry(place).or_default().push(result);
    }
    for (step, event) in events.iter().enumerate() {
        let results = sent.remove(&step).unwrap_or_default();
        let kept = !event.null && (kind == Kind::Outer || (kind == Kind::Left && event.left));
        let (end, end_with_grace) = reach.end(event);
        let first = matched
            .iter()
            .filter(|met| met.left == Some(step) || met.right == Some(step))
            .map(|met| met.step)
            .min();
        // What comes too late to wait leaves at once, whatever may still come.
        let at_once = kept && first != Some(step) && end < clock(step);
        let in_time = first.is_some_and(|first| first == step || clock(first) <= end_with_grace);
        let (least, most) = match (kept, at_once, in_time) {
            (false, ..) => (0, 0),
            (true, true, _) => (1, 1),
            (true, false, true) => (0, 0),
            // Somebody met it after its time: by then it may have left, or not yet.
            (true, false, false) => (usize::from(first.is_none()), 1),
        };
        prop_assert!((least..=most).contains(&results.len()), "record {step} left {results:?}");
        for result in results {
            prop_assert_eq!(result.time, event.time);
            let left_late = clock(result.step) > end_with_grace;
            prop_assert!(
                if at_once { result.step == step } else { left_late },
                "record {step} left too early"
            );
        }
    }
    prop_assert!(sent.is_empty());
    Ok(())
}

/// A stream joined with itself, in one store or in two: key, value and time of each result, step by step.
fn joined_with_itself(events: &[Event], reach: Reach, one_store: bool) -> Vec<(usize, u8, String, i64)> {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<u8, Option<u32>>("in");
    let millis = |millis: i64| Duration::from_millis(millis as u64);
    let windows = JoinWindows::of(millis(reach.before)).after(millis(reach.after)).grace(millis(reach.grace));
    let side = stream.within(windows).with(StreamJoined::new().in_memory());
    stream.join(side, |left, right| format!("{left:?} {right:?}")).to("out");
    let config = TopologyConfig::default().single_store_self_join(one_store);
    let mut driver = TopologyTestDriver::new(builder.build_with(config).unwrap()).unwrap();
    let topic = driver.input_topic::<u8, Option<u32>>("in");
    let out = driver.output_topic::<u8, String>("out");
    let mut found = Vec::new();
    for (step, event) in events.iter().enumerate() {
        let value = (!event.null).then_some(step as u32);
        topic.pipe_at(&mut driver, event.key, value, event.time).unwrap();
        let records = out.read_records(&mut driver).unwrap().into_iter();
        found.extend(records.map(|record| (step, record.key, record.value, record.timestamp.as_millis())));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_self_join_answers_alike_with_one_store_and_with_two(events in events(), reach in reach()) {
        // A record that is too late for the store meets itself in one of both only, as in Kafka Streams.
        let mut clock = -1;
        let in_time: Vec<Event> = events
            .into_iter()
            .filter(|event| {
                clock = clock.max(event.time);
                event.time > clock - reach.retention() + 1
            })
            .collect();
        prop_assert_eq!(joined_with_itself(&in_time, reach, true), joined_with_itself(&in_time, reach, false));
    }

    #[test]
    fn a_join_finds_what_a_model_without_stores_finds(
        events in events(), reach in reach(), kind in prop::sample::select(vec![Kind::Inner, Kind::Left, Kind::Outer]),
    ) {
        let found = joined(&events, reach, kind);
        let (matched, unmatched): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|met| met.left.is_some() && met.right.is_some());
        prop_assert_eq!(&matched, &pairs(&events, reach));
        check_unmatched(&events, reach, &matched, &unmatched, kind)?;
    }
}
