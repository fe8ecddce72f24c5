//! What came out, compared with what went in.

use std::collections::{BTreeMap, HashMap, HashSet};

use streams_dsl::FetchedRecord;

use super::expected::Expected;
use super::figures::Figures;
use super::plan::{Plan, Program};
use super::readback::Reader;
use super::topology::{DATA, name, outputs};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

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
        "window-final" => compare_finals(expected, series, figures),
        _ => {}
    }
    let foreign = series.keys().filter(|key| {
        let known = match topic {
            "group-cnt" | "group-max" => expected.group_counts.contains_key(*key),
            "window-cnt" | "window-sum" => expected.window_counts.contains_key(*key),
            "group-window-cnt" => expected.group_window_counts.contains_key(*key),
            "window-final" => expected.finals.contains_key(*key),
            _ => expected.counts.contains_key(*key),
        };
        !known
    });
    figures.wrong += foreign.count() as u64;
}

/// The result of each closed window comes out, once and right; that of an open one does not. At-least-once it may come again, and larger.
fn compare_finals(expected: &Expected, series: &Series, figures: &mut Figures) {
    for (key, window) in &expected.finals {
        let found = series.get(key).map_or(&[][..], Vec::as_slice);
        if !expected.is_closed(window) {
            if let Some(early) = found.first() {
                figures.wrong += 1;
                figures.note("window-final", "not closed yet", key, window.count, Some(*early));
            }
            continue;
        }
        figures.count("window-final", key, window.count, found.iter().max().copied());
        figures.duplicated += found.len().saturating_sub(1) as u64;
    }
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
    fn a_window_has_one_final_result_when_it_is_closed() {
        let mut expected = Expected::default();
        // The first window is closed by the last event, the second one is not.
        for at_ms in [10_200, 10_900, 9_100, 14_100] {
            expected.add(Program::Smoke, 3, "k", 1, at_ms);
        }
        let judged = |results: &[(&str, i64)], guarantee: &str| {
            let mut figures = Figures { guarantee: guarantee.to_owned(), input: 4, ..Figures::default() };
            let mut series = Series::new();
            for (key, count) in results {
                series.entry((*key).to_owned()).or_default().push(*count);
            }
            compare_finals(&expected, &series, &mut figures);
            figures
        };
        let (once, some) = ("exactly_once_v2", "at_least_once");
        assert!(judged(&[("k@9000", 1)], once).is_right());
        assert_eq!(judged(&[], some).lost, 1);
        assert_eq!(judged(&[("k@9000", 0)], some).lost, 1, "too small");
        assert_eq!(judged(&[("k@9000", 1), ("k@9000", 1)], once).duplicated, 1);
        assert!(judged(&[("k@9000", 1), ("k@9000", 2)], some).is_right());
        assert_eq!(judged(&[("k@9000", 1), ("k@10000", 2)], some).wrong, 1, "too early");
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
