//! How long an output stood still.

use serde::Serialize;

/// Figures of a set of pauses, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pauses {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50_ms: i64,
    /// 99 of 100 are not longer.
    pub p99_ms: i64,
    /// The longest.
    pub max_ms: i64,
}

impl Pauses {
    /// The figures of these pauses.
    pub fn of(mut pauses: Vec<i64>) -> Self {
        pauses.sort_unstable();
        let rank = |percent: usize| (pauses.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |percent: usize| pauses.get(rank(percent)).copied().unwrap_or_default();
        Pauses { count: pauses.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

/// The longest time without a moment, among those that touch the span from `begin` to `end`. `moments` rise.
pub(super) fn longest(moments: &[i64], begin: i64, end: i64) -> i64 {
    let first = moments.partition_point(|moment| *moment <= begin);
    let mut before = first.checked_sub(1).map_or(begin, |number| moments[number]);
    let mut longest = 0;
    for moment in &moments[first..] {
        longest = longest.max(moment - before);
        before = *moment;
        if *moment >= end {
            return longest;
        }
    }
    longest.max(end - before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_may_begin_before_the_span_and_end_behind_it() {
        let moments = [0, 10, 20, 320, 330, 340];
        assert_eq!(longest(&moments, 25, 30), 300);
        assert_eq!(longest(&moments, 325, 335), 10);
        assert_eq!(longest(&moments, 0, 340), 300);
        assert_eq!(longest(&moments, 335, 940), 600, "nothing came any more");
        assert_eq!(longest(&[], 100, 150), 50);
    }

    #[test]
    fn percentiles_are_measured_values() {
        let figures = Pauses::of((1..=200).rev().collect());
        assert_eq!(figures, Pauses { count: 200, p50_ms: 100, p99_ms: 198, max_ms: 200 });
        assert_eq!(Pauses::of(vec![7]), Pauses { count: 1, p50_ms: 7, p99_ms: 7, max_ms: 7 });
        assert_eq!(Pauses::of(Vec::new()), Pauses::default());
    }
}
