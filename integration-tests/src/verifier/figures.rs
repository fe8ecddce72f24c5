//! The figures of a run.

use std::collections::BTreeMap;

use serde::Serialize;

/// Examples of each kind of fault that are told.
const EXAMPLES_MAX: usize = 5;

/// The figures of a run.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Figures {
    /// The plan's seed.
    pub seed: u64,
    /// `eos` or `smoke`.
    pub program: String,
    /// `processing.guarantee`.
    pub guarantee: String,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<String, u64>,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// Records of the input.
    pub input: u64,
    /// Records of all output topics.
    pub output: u64,
    /// Records of the input that the broker acknowledged and does not have.
    pub input_lost: u64,
    /// Results that are missing, or too small.
    pub lost: u64,
    /// Results that came more than once, or are too large. At-least-once they are allowed.
    pub duplicated: u64,
    /// Results that are none of that, and not right.
    pub wrong: u64,
    /// Not everything was processed in time.
    pub stuck: bool,
    /// Instances that ended by themselves, or would not end.
    pub failures: Vec<String>,
    /// Some of the results that are not right.
    pub examples: Vec<String>,
}

impl Figures {
    /// Whether the guarantee was kept.
    pub fn is_right(&self) -> bool {
        let exactly_once = self.guarantee != "at_least_once";
        let kept = self.input_lost == 0 && self.lost == 0 && self.wrong == 0 && !self.stuck;
        kept && self.failures.is_empty() && self.input > 0 && (self.duplicated == 0 || !exactly_once)
    }

    pub(super) fn note(&mut self, topic: &str, what: &str, key: &str, expected: i64, found: Option<i64>) {
        if self.examples.len() < EXAMPLES_MAX {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            self.examples.push(format!("{topic} {key}: {what}, {expected} expected, {found} found"));
        }
    }

    /// Compares the final value of a count.
    pub(super) fn count(&mut self, topic: &str, key: &str, expected: i64, found: Option<i64>) {
        match found {
            Some(found) if found == expected => {}
            Some(found) if found > expected => {
                self.duplicated += 1;
                self.note(topic, "too large", key, expected, Some(found));
            }
            found => {
                self.lost += 1;
                self.note(topic, "too small", key, expected, found);
            }
        }
    }

    /// Compares the final value of something that duplicates do not change.
    pub(super) fn value(&mut self, topic: &str, key: &str, expected: i64, found: Option<i64>) {
        if found != Some(expected) {
            self.wrong += 1;
            self.note(topic, "wrong", key, expected, found);
        }
    }
}
