//! Cases of the group `stream-stream join`.

use streams_dsl::prelude::*;

use super::{Text, cases, input, joined, text};
use crate::replay::Side;

cases![
    ss_inner,
    ss_inner_asymmetric,
    ss_inner_after_only,
    ss_left,
    ss_left_asymmetric,
    ss_left_cached,
    ss_outer,
    ss_outer_asymmetric,
    ss_self_join,
    ss_inner_rekeyed,
    ss_join_three,
];

type Stream = KStream<Text, Text>;

fn sides(b: &StreamsBuilder) -> (Stream, Stream) {
    (b.stream("left"), b.stream("right"))
}

fn windows(before_ms: u64, after_ms: u64, grace_ms: u64) -> JoinWindows {
    let [before, after, grace] = [before_ms, after_ms, grace_ms].map(Duration::from_millis);
    JoinWindows::of(before).after(after).grace(grace)
}

fn both(left: &Text, right: &Text) -> Text {
    Some(joined(left.as_deref(), right.as_deref()))
}

fn with_key(key: &Text, left: Option<&Text>, right: Option<&Text>) -> Text {
    let [left, right] = [left, right].map(|side| side.and_then(Option::as_deref));
    Some(format!("{}:{}", text(key), joined(left, right)))
}

fn ss_inner(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    left.join(right.within(windows(5_000, 5_000, 0)), both).named("j").to("out");
}

fn ss_inner_asymmetric(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    let joiner = |key: &Text, left: &Text, right: &Text| with_key(key, Some(left), Some(right));
    left.join_with_key(right.within(windows(2_000, 6_000, 4_000)), joiner).named("j").to("out");
}

fn ss_inner_after_only(b: &StreamsBuilder, _: &Side) {
    let (left, right) = sides(b);
    left.join(right.within(windows(0, 8_000, 1_000)), both).named("j").to("out");
}

fn left_join(b: &StreamsBuilder, windows: JoinWindows) {
    let (left, right) = sides(b);
    let joiner = |key: &Text, left: &Text, right: Option<&Text>| with_key(key, Some(left), right);
    left.left_join_with_key(right.within(windows), joiner).named("j").to("out");
}

fn ss_left(b: &StreamsBuilder, _: &Side) {
    left_join(b, windows(5_000, 5_000, 0));
}

fn ss_left_asymmetric(b: &StreamsBuilder, _: &Side) {
    left_join(b, windows(1_000, 6_000, 3_000));
}

fn ss_left_cached(b: &StreamsBuilder, _: &Side) {
    left_join(b, windows(5_000, 5_000, 0));
}

fn outer_join(b: &StreamsBuilder, windows: JoinWindows) {
    let (left, right) = sides(b);
    left.outer_join_with_key(right.within(windows), with_key).named("j").to("out");
}

fn ss_outer(b: &StreamsBuilder, _: &Side) {
    outer_join(b, windows(5_000, 5_000, 2_000));
}

fn ss_outer_asymmetric(b: &StreamsBuilder, _: &Side) {
    outer_join(b, windows(7_000, 2_000, 1_000));
}

fn ss_self_join(b: &StreamsBuilder, _: &Side) {
    let stream = input(b);
    stream.join(stream.within(windows(3_000, 3_000, 1_000)), both).named("j").to("out");
}

/// The last digit of a text, modulo 3.
fn third(_: &Text, value: &Text) -> Text {
    let digit = value.as_deref()?.chars().last().and_then(|last| last.to_digit(10)).unwrap_or_default();
    Some((digit % 3).to_string())
}

fn ss_inner_rekeyed(b: &StreamsBuilder, _: &Side) {
    // In the order of the reference's numbers: each side's key is selected right behind its source.
    let left = b.stream::<Text, Text>("left").select_key(third);
    let right = b.stream::<Text, Text>("right").select_key(third);
    let joiner = |key: &Text, left: &Text, right: &Text| with_key(key, Some(left), Some(right));
    left.join_with_key(right.within(windows(8_000, 8_000, 0)), joiner).named("j").to("out");
}

fn ss_join_three(b: &StreamsBuilder, _: &Side) {
    let (first, second) = (b.stream::<Text, Text>("a"), b.stream::<Text, Text>("b"));
    let six = windows(6_000, 6_000, 2_000);
    let two = first.join(second.within(six), both).named("j1");
    let third = b.stream::<Text, Text>("c");
    let all = two.left_join(third.within(six), |left, right| {
        Some(joined(left.as_deref(), right.and_then(Option::as_deref)))
    });
    all.named("j2").to("out");
}
