//! What came out, compared with what went in.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use streams_dsl::FetchedRecord;

use super::plan::{Plan, Program};
use super::readback::Reader;
use super::topology::{DATA, WINDOW, group_of, name, outputs};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

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

    fn note(&mut self, topic: &str, what: &str, key: &str, expected: i64, found: Option<i64>) {
        if self.examples.len() < EXAMPLES_MAX {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
            self.examples.push(format!("{topic} {key}: {what}, {expected} expected, {found} found"));
        }
    }

    /// Compares the final value of a count.
    fn count(&mut self, topic: &str, key: &str, expected: i64, found: Option<i64>) {
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
    fn value(&mut self, topic: &str, key: &str, expected: i64, found: Option<i64>) {
        if found != Some(expected) {
            self.wrong += 1;
            self.note(topic, "wrong", key, expected, found);
        }
    }
}

/// What the input asks for.
#[derive(Debug, Default)]
struct Expected {
    /// The values of each partition, in order.
    partitions: BTreeMap<i32, Vec<i64>>,
    counts: HashMap<String, i64>,
    sums: HashMap<String, i64>,
    minima: HashMap<String, i64>,
    group_counts: HashMap<String, i64>,
    group_maxima: HashMap<String, i64>,
    window_counts: HashMap<String, i64>,
    window_sums: HashMap<String, i64>,
    group_window_counts: HashMap<String, i64>,
}

impl Expected {
    fn add(&mut self, program: Program, partition: i32, key: &str, value: i64, at_ms: i64) {
        let group = group_of(value);
        match program {
            Program::Eos => {
                self.partitions.entry(partition).or_default().push(value);
                *self.counts.entry(key.to_owned()).or_default() += 1;
                *self.sums.entry(key.to_owned()).or_default() += value;
                let min = self.minima.entry(key.to_owned()).or_insert(i64::MAX);
                *min = value.min(*min);
                *self.group_counts.entry(group.clone()).or_default() += 1;
                let max = self.group_maxima.entry(group).or_insert(i64::MIN);
                *max = value.max(*max);
            }
            Program::Smoke => {
                let size_ms = WINDOW.as_millis() as i64;
                let start = at_ms - at_ms.rem_euclid(size_ms);
                *self.window_counts.entry(format!("{key}@{start}")).or_default() += 1;
                *self.window_sums.entry(format!("{key}@{start}")).or_default() += value;
                *self.group_window_counts.entry(format!("{group}@{start}")).or_default() += 1;
            }
        }
    }
}

/// The values of an output topic by key, or by key and window, in order.
type Series = HashMap<String, Vec<i64>>;

/// Reads input and outputs back and compares them. `sent` records were acknowledged.
pub(super) async fn judge(
    plan: &Plan,
    reader: &Reader,
    prefix: &str,
    sent: u64,
    figures: &mut Figures,
) -> Outcome<()> {
    let mut expected = Expected::default();
    let mut input = 0;
    reader
        .read(&name(prefix, DATA), |partition, record| {
            input += 1;
            let (key, value) = (text(record.key()), number(record.value()));
            expected.add(plan.program, partition, &key, value, record.timestamp().as_millis());
        })
        .await?;
    figures.input = input;
    figures.input_lost = sent.saturating_sub(input);
    for topic in outputs(plan.program) {
        if *topic == "echo" {
            let mut echo: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
            let each = |partition, record: &_| {
                echo.entry(partition).or_default().push(number(FetchedRecord::value(record)));
            };
            reader.read(&name(prefix, topic), each).await?;
            figures.output += echo.values().map(|values| values.len() as u64).sum::<u64>();
            compare_echo(&expected.partitions, &echo, plan.exactly_once(), figures);
            continue;
        }
        let mut series = Series::new();
        let windowed = plan.program == Program::Smoke;
        let each = |_, record: &_| {
            let key = FetchedRecord::key(record).unwrap_or_default();
            let key = if windowed { windowed_key(key) } else { text(Some(key)) };
            series.entry(key).or_default().push(number(FetchedRecord::value(record)));
        };
        reader.read(&name(prefix, topic), each).await?;
        figures.output += series.values().map(|values| values.len() as u64).sum::<u64>();
        compare(topic, &expected, &series, plan, figures);
    }
    Ok(())
}

fn compare(topic: &str, expected: &Expected, series: &Series, plan: &Plan, figures: &mut Figures) {
    let exactly_once = plan.exactly_once();
    let last = |key: &str| series.get(key).and_then(|values| values.last()).copied();
    let counts = |counts: &HashMap<String, i64>, figures: &mut Figures| {
        for (key, expected) in counts {
            figures.count(topic, key, *expected, last(key));
            // Without a cache each count comes out once, in order.
            let values = series.get(key).map_or(&[][..], Vec::as_slice);
            if exactly_once && !(1..=*expected).eq(values.iter().copied()) {
                figures.wrong += 1;
                figures.note(topic, "records of the count", key, *expected, Some(values.len() as i64));
            }
        }
    };
    let values = |values: &HashMap<String, i64>, figures: &mut Figures| {
        values.iter().for_each(|(key, expected)| figures.value(topic, key, *expected, last(key)));
    };
    match topic {
        "cnt" => counts(&expected.counts, figures),
        "group-cnt" => counts(&expected.group_counts, figures),
        "window-cnt" => counts(&expected.window_counts, figures),
        "group-window-cnt" => counts(&expected.group_window_counts, figures),
        "min" => values(&expected.minima, figures),
        "group-max" => values(&expected.group_maxima, figures),
        // A duplicate changes a sum, so that nothing can be said of it at-least-once.
        "sum" if exactly_once => values(&expected.sums, figures),
        "window-sum" if exactly_once => values(&expected.window_sums, figures),
        _ => {}
    }
    let foreign = series.keys().filter(|key| {
        let known = match topic {
            "group-cnt" | "group-max" => expected.group_counts.contains_key(*key),
            "window-cnt" | "window-sum" => expected.window_counts.contains_key(*key),
            "group-window-cnt" => expected.group_window_counts.contains_key(*key),
            _ => expected.counts.contains_key(*key),
        };
        !known
    });
    figures.wrong += foreign.count() as u64;
}

/// Exactly-once the echo is the input; at-least-once it has all of it.
fn compare_echo(
    input: &BTreeMap<i32, Vec<i64>>,
    echo: &BTreeMap<i32, Vec<i64>>,
    exactly_once: bool,
    figures: &mut Figures,
) {
    for (partition, values) in input {
        let echoed = echo.get(partition).map_or(&[][..], Vec::as_slice);
        if values.as_slice() == echoed {
            continue;
        }
        let distinct: HashSet<i64> = echoed.iter().copied().collect();
        let missing: Vec<i64> = values.iter().copied().filter(|value| !distinct.contains(value)).collect();
        let repeated = echoed.len() - distinct.len();
        figures.lost += missing.len() as u64;
        figures.duplicated += repeated as u64;
        if let Some(value) = missing.first() {
            figures.note("echo", "missing", &format!("partition {partition}"), *value, None);
        }
        if exactly_once && missing.is_empty() && repeated == 0 {
            figures.wrong += 1;
            figures.note("echo", "order", &format!("partition {partition}"), values.len() as i64, None);
        }
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn number(bytes: Option<&[u8]>) -> i64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(i64::MIN, i64::from_be_bytes)
}

/// A windowed key: the key's own bytes, then the window's start.
fn windowed_key(bytes: &[u8]) -> String {
    let (key, start) = bytes.split_at(bytes.len().saturating_sub(size_of::<i64>()));
    format!("{}@{}", text(Some(key)), number(Some(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(echo: &[i64], guarantee: &str) -> Figures {
        let mut figures = Figures { guarantee: guarantee.to_owned(), input: 3, ..Figures::default() };
        let topic = |values: &[i64]| BTreeMap::from([(0, values.to_vec())]);
        compare_echo(&topic(&[7, 8, 9]), &topic(echo), guarantee != "at_least_once", &mut figures);
        figures
    }

    #[test]
    fn an_echo_is_the_input() {
        assert!(judged(&[7, 8, 9], "exactly_once_v2").is_right());
        assert_eq!(judged(&[7, 9], "exactly_once_v2").lost, 1);
        assert_eq!(judged(&[7, 8, 8, 9], "exactly_once_v2").duplicated, 1);
        assert!(!judged(&[7, 9, 8], "exactly_once_v2").is_right());
        assert!(judged(&[7, 8, 7, 8, 9], "at_least_once").is_right());
        assert!(!judged(&[7, 8, 7, 8], "at_least_once").is_right());
    }

    #[test]
    fn counts_go_up_one_by_one_and_never_back() {
        let judged = |values: &[i64], guarantee: &str| {
            let plan = Plan { guarantee: guarantee.to_owned(), ..Plan::default() };
            let mut figures = Figures { guarantee: guarantee.to_owned(), input: 3, ..Figures::default() };
            let mut expected = Expected::default();
            expected.counts.insert("k".to_owned(), 3);
            compare(
                "cnt",
                &expected,
                &Series::from([("k".to_owned(), values.to_vec())]),
                &plan,
                &mut figures,
            );
            figures
        };
        assert!(judged(&[1, 2, 3], "exactly_once_v2").is_right());
        assert_eq!(judged(&[1, 2, 2, 3], "exactly_once_v2").wrong, 1);
        assert!(judged(&[1, 2, 2, 3, 4], "at_least_once").is_right());
        assert_eq!(judged(&[1, 2, 3, 2], "at_least_once").lost, 1, "an older value came last");
    }
}
