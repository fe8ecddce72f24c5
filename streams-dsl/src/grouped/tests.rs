//! Windows of random histories against models that follow the definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use state_stores::{Window, Windowed};
use streams_core::task::TaskConfig;
use streams_core::time::Timestamp;
use streams_test_driver::{DriverConfig, TopologyTestDriver};

use crate::{
    EmitStrategy, KTable, Materialized, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows, Windows,
};

/// Long enough for no record of a test to be late.
const LONG: Duration = Duration::from_secs(100);

/// A record: key and time. Its value is its place in the history.
type History = Vec<(u8, i64)>;

/// The places of a window's records, by key and window.
type Content = BTreeMap<(u8, i64, i64), BTreeSet<usize>>;

fn histories(times: std::ops::Range<i64>) -> impl Strategy<Value = History> {
    prop::collection::vec((0u8..2, times), 1..40)
}

fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis as u64)
}

/// An update of a windowed table: key, start, end, and the text of what is in it; none where it was deleted.
type Update = ((u8, i64, i64), Option<String>);

fn add(_: &u8, value: String, list: String) -> String {
    format!("{list}{value} ")
}

/// What a windowed table sends for a history, and how many records were dropped.
struct Run {
    updates: Vec<Update>,
    dropped: u64,
}

/// Sends a history through a table, with a cache or without. With `interval` results wait for that long by the wall
/// clock, which moves by a millisecond with each record.
fn run(
    history: &[(u8, i64)],
    cached: bool,
    interval: Duration,
    table: impl FnOnce(&StreamsBuilder) -> KTable<Windowed<u8>, String>,
) -> Run {
    let builder = StreamsBuilder::new();
    table(&builder)
        .to_stream()
        .map(|key, value| {
            let text = format!("{} {} {}", key.key, key.window.start, key.window.end);
            (text, value)
        })
        .to("out");
    let max_cache_bytes = if cached { 1 << 20 } else { 0 };
    let task = TaskConfig { max_cache_bytes, emit_interval: interval, ..TaskConfig::default() };
    let config = DriverConfig { task, ..DriverConfig::default() };
    let mut driver =
        TopologyTestDriver::with_config(builder.build().expect("it is whole"), config).expect("it starts");
    let input = driver.input_topic::<u8, String>("in");
    for (place, &(key, time)) in history.iter().enumerate() {
        input.pipe_at(&mut driver, key, place.to_string(), time).expect("it is taken in");
        driver.advance_wall_clock(Duration::from_millis(1)).expect("nothing waits for the clock");
    }
    let out = driver.output_topic::<String, Option<String>>("out");
    let updates = out.read_key_values(&mut driver).expect("it can be read");
    let updates = updates.into_iter().map(|(key, value)| (numbers(&key), value)).collect();
    Run { updates, dropped: driver.counters().dropped }
}

fn numbers(text: &str) -> (u8, i64, i64) {
    let mut numbers = text.split(' ').map(|number| number.parse::<i64>().expect("a number"));
    let mut next = || numbers.next().expect("there are three");
    (next() as u8, next(), next())
}

/// The latest content of each window, each record of which must be there once.
fn content(updates: &[Update]) -> Content {
    let mut content = Content::new();
    for (window, value) in updates {
        let Some(value) = value else {
            content.remove(window);
            continue;
        };
        let places: Vec<usize> =
            value.split_whitespace().map(|place| place.parse().expect("a place")).collect();
        let unique: BTreeSet<usize> = places.iter().copied().collect();
        assert_eq!(unique.len(), places.len(), "a record is in {window:?} twice: {value}");
        content.insert(*window, unique);
    }
    content
}

fn in_memory() -> Materialized<u8, String> {
    Materialized::named("t").in_memory()
}

fn sliding(b: &StreamsBuilder, windows: SlidingWindows, emit: EmitStrategy) -> KTable<Windowed<u8>, String> {
    let grouped = b.stream::<u8, String>("in").group_by_key();
    grouped.windowed_by(windows).emit_strategy(emit).aggregate_with(String::new, add, in_memory())
}

fn timed(b: &StreamsBuilder, windows: TimeWindows, emit: EmitStrategy) -> KTable<Windowed<u8>, String> {
    let grouped = b.stream::<u8, String>("in").group_by_key();
    grouped.windowed_by(windows).emit_strategy(emit).aggregate_with(String::new, add, in_memory())
}

fn sessions(b: &StreamsBuilder, windows: SessionWindows, emit: EmitStrategy) -> KTable<Windowed<u8>, String> {
    let grouped = b.stream::<u8, String>("in").group_by_key();
    let merge = |_: &u8, one: String, other: String| one + &other;
    grouped.windowed_by(windows).emit_strategy(emit).aggregate_with(String::new, add, merge, in_memory())
}

/// Sliding windows by their definition: one that ends at each record, one that begins just behind it if anything is in
/// it; none begins before 0.
fn sliding_by_definition(history: &[(u8, i64)], difference: i64) -> Content {
    let mut windows = Content::new();
    for &(key, time) in history {
        for start in [(time - difference).max(0), time + 1] {
            let span = start..=start + difference;
            let inside =
                history.iter().enumerate().filter(|(_, other)| other.0 == key && span.contains(&other.1));
            let places: BTreeSet<usize> = inside.map(|(place, _)| place).collect();
            if !places.is_empty() {
                windows.insert((key, start, start + difference), places);
            }
        }
    }
    windows
}

/// Sessions step by step, over a list of them.
fn sessions_by_definition(history: &[(u8, i64)], gap: i64, grace: i64) -> (Content, u64) {
    let (mut live, mut dropped) = (Content::new(), 0);
    let (mut stream_time, mut latest_end) = (-1, -1);
    for (place, &(key, time)) in history.iter().enumerate() {
        stream_time = stream_time.max(time);
        let joins = |&(other, start, end): &(u8, i64, i64)| {
            let kept = end > latest_end - gap - grace;
            other == key && kept && end >= time - gap && start <= time + gap
        };
        let joined: Vec<_> = live.keys().copied().filter(joins).collect();
        let start = joined.iter().map(|session| session.1).min().unwrap_or(time).min(time);
        let end = joined.iter().map(|session| session.2).max().unwrap_or(time).max(time);
        if end < stream_time - gap - grace {
            dropped += 1;
            continue;
        }
        let mut places = BTreeSet::from([place]);
        for session in joined {
            places.extend(live.remove(&session).expect("it is live"));
        }
        live.insert((key, start, end), places);
        latest_end = latest_end.max(end);
        // One that ends where the retention begins is sent on, but a store in memory takes it no more, as in Kafka.
        dropped += u64::from(end <= latest_end - gap - grace);
    }
    (live, dropped)
}

/// What must leave when windows are closed: what on-update windows hold in the end, of those that are closed.
fn closed(updates: &[Update], is_closed: impl Fn(i64) -> bool) -> Content {
    let mut content = content(updates);
    content.retain(|window, _| is_closed(window.2));
    content
}

/// All of them, once each.
fn check_closed(emitted: &[Update], expected: &Content) {
    let windows: BTreeSet<_> = emitted.iter().map(|(window, _)| *window).collect();
    assert_eq!(windows.len(), emitted.len(), "a window has left twice: {emitted:?}");
    assert_eq!(content(emitted), *expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_record_falls_in_exactly_the_sliding_windows_that_contain_it(
        history in histories(0..120), difference in 0i64..40, cached: bool,
    ) {
        let windows = SlidingWindows::of_time_difference(ms(difference)).grace(LONG);
        let run = run(&history, cached, Duration::ZERO, |b| sliding(b, windows, EmitStrategy::OnWindowUpdate));
        prop_assert_eq!(run.dropped, 0);
        prop_assert_eq!(content(&run.updates), sliding_by_definition(&history, difference));
    }

    /// Of one key: as in Kafka Streams a store's clock is that of all its keys, and at the default retention another key's
    /// window may hide the one that a record begins from.
    #[test]
    fn without_late_records_no_grace_is_needed(
        mut history in histories(0..120), difference in 0i64..40, cached: bool,
    ) {
        history.iter_mut().for_each(|record| record.0 = 0);
        history.sort_by_key(|record| record.1);
        let windows = SlidingWindows::of_time_difference(ms(difference)).no_grace();
        let run = run(&history, cached, Duration::ZERO, |b| sliding(b, windows, EmitStrategy::OnWindowUpdate));
        prop_assert_eq!(run.dropped, 0);
        prop_assert_eq!(content(&run.updates), sliding_by_definition(&history, difference));
    }

    #[test]
    fn sessions_are_those_of_the_model(
        history in histories(0..200), gap in 1i64..15, grace in 0i64..60, cached: bool,
    ) {
        let windows = SessionWindows::of_inactivity_gap(ms(gap)).grace(ms(grace));
        let run = run(&history, cached, Duration::ZERO, |b| sessions(b, windows, EmitStrategy::OnWindowUpdate));
        let (live, dropped) = sessions_by_definition(&history, gap, grace);
        prop_assert_eq!(content(&run.updates), live);
        prop_assert_eq!(run.dropped, dropped);
    }

    #[test]
    fn without_late_records_sessions_do_not_depend_on_the_order(
        history in histories(0..200), gap in 1i64..15, cached: bool,
    ) {
        let windows = SessionWindows::of_inactivity_gap(ms(gap)).grace(LONG);
        let run = run(&history, cached, Duration::ZERO, |b| sessions(b, windows, EmitStrategy::OnWindowUpdate));
        let mut sorted: Vec<_> = history.iter().enumerate().map(|(place, &(key, time))| (key, time, place)).collect();
        sorted.sort_unstable();
        let mut expected = Content::new();
        for (key, time, place) in sorted {
            let last = expected.keys().next_back().copied().filter(|last| last.0 == key && last.2 >= time - gap);
            let (start, mut places) = match last {
                Some(last) => (last.1, expected.remove(&last).expect("it is there")),
                None => (time, BTreeSet::new()),
            };
            places.insert(place);
            expected.insert((key, start, time), places);
        }
        prop_assert_eq!(content(&run.updates), expected);
    }

    /// Jumps that put whole windows out of the store's reach are among the times, and the store keeps no window for
    /// longer than it must.
    #[test]
    fn every_closed_window_leaves_once_whatever_the_interval(
        history in histories(0..900_000), size in 1i64..100_000, parts in 1i64..4, grace in 0i64..100_000,
        interval in 0u64..20, kind in 0..3, cached: bool,
    ) {
        let mut history = history;
        // A last record, so late in the wall clock's and in event time that all others' windows are closed.
        history.extend(std::iter::repeat_n((9, 5_000_000), 25));
        let interval = Duration::from_millis(interval);
        let last = 5_000_000;
        let (updates, emitted, expected) = match kind {
            0 => {
                let windows = TimeWindows::of_size(ms(size)).advance_by(ms((size / parts).max(1))).grace(ms(grace));
                let table = |emit| move |b: &StreamsBuilder| timed(b, windows, emit);
                let updates = run(&history, cached, interval, table(EmitStrategy::OnWindowUpdate)).updates;
                let emitted = run(&history, cached, interval, table(EmitStrategy::OnWindowClose)).updates;
                let expected = closed(&updates, |end| end <= last - grace);
                (updates, emitted, expected)
            }
            1 => {
                let windows = SlidingWindows::of_time_difference(ms(size)).grace(ms(grace));
                let table = |emit| move |b: &StreamsBuilder| sliding(b, windows, emit);
                let updates = run(&history, cached, interval, table(EmitStrategy::OnWindowUpdate)).updates;
                let emitted = run(&history, cached, interval, table(EmitStrategy::OnWindowClose)).updates;
                let expected = closed(&updates, |end| end < last - grace);
                (updates, emitted, expected)
            }
            _ => {
                let windows = SessionWindows::of_inactivity_gap(ms(size)).grace(ms(grace));
                let table = |emit| move |b: &StreamsBuilder| sessions(b, windows, emit);
                let updates = run(&history, cached, interval, table(EmitStrategy::OnWindowUpdate)).updates;
                let emitted = run(&history, cached, interval, table(EmitStrategy::OnWindowClose)).updates;
                let expected = closed(&updates, |end| end < last - grace - size);
                (updates, emitted, expected)
            }
        };
        prop_assert!(updates.len() >= expected.len());
        check_closed(&emitted, &expected);
    }
}

#[test]
fn a_window_ends_where_its_kind_says() {
    let history = [(1, 1_000), (1, 4_000)];
    let grace = |windows: crate::WithoutGrace<SlidingWindows>| windows.grace(LONG);
    let windows = grace(SlidingWindows::of_time_difference(ms(2_000)));
    let sliding = run(&history, false, Duration::ZERO, |b| sliding(b, windows, EmitStrategy::OnWindowUpdate));
    assert_eq!(sliding.updates[0].0, (1, 0, 2_000));
    assert_eq!(sliding.updates[1].0, (1, 2_000, 4_000));
    let windows = SessionWindows::of_inactivity_gap(ms(3_000)).no_grace();
    let sessions =
        run(&history, false, Duration::ZERO, |b| sessions(b, windows, EmitStrategy::OnWindowUpdate));
    let (key, start, end) = sessions.updates[2].0;
    assert_eq!((key, Window::new(start, end)), (1, Window::new(1_000, 4_000)));
}

/// The first 30 ms of every 100 ms.
#[derive(Debug)]
struct Openings;

impl Windows for Openings {
    fn windows_for(&self, timestamp: Timestamp, visit: &mut dyn FnMut(Window)) {
        let start = timestamp.as_millis() / 100 * 100;
        if timestamp.as_millis() < start + 30 {
            visit(Window::new(start, start + 30));
        }
    }

    fn size(&self) -> Duration {
        ms(30)
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn windows_of_ones_own_may_leave_gaps_and_wait_for_their_end() {
    let history = [(1, 5), (1, 29), (1, 30), (2, 120), (1, 99), (1, 400), (1, 430)];
    let table = |emit| {
        move |b: &StreamsBuilder| {
            let grouped = b.stream::<u8, String>("in").group_by_key();
            grouped.windowed_by(Openings).emit_strategy(emit).aggregate_with(String::new, add, in_memory())
        }
    };
    let updated = run(&history, false, Duration::ZERO, table(EmitStrategy::OnWindowUpdate)).updates;
    let by_record = [((1, 0, 30), "0 "), ((1, 0, 30), "0 1 "), ((2, 100, 130), "3 "), ((1, 400, 430), "5 ")];
    let text = |(window, text): ((u8, i64, i64), &str)| (window, Some(text.to_owned()));
    assert_eq!(updated, by_record.map(text));
    let closed = run(&history, false, Duration::ZERO, table(EmitStrategy::OnWindowClose)).updates;
    assert_eq!(closed, [by_record[1], by_record[2], by_record[3]].map(text));
}
