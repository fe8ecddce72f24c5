//! Records that cannot be read and closures that panic, and what becomes of them and of all others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use streams_dsl::FetchedRecord;
use streams_dsl::client::FetchedMessage;

use super::ground::Ground;
use super::options::ElasticOptions;
use super::pauses::{Pauses, longest};
use super::steady_input::SteadyInput;
use crate::verifier::application::Application;
use crate::verifier::status_report::{StatusLine, now_ms};
use crate::verifier::topology::{DATA, DEAD, DOUBLED, DOUBLES, POISONED};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long the start may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// Counters are told four times a second, and when there is nothing to do.
const TOLD_LIMIT: Duration = Duration::from_secs(5);
const TOLD_LOOK: Duration = Duration::from_millis(20);
/// Every so many records of a poisoned partition there is one that cannot be read.
const UNREADABLE_EVERY: u64 = 100;
/// Which of them.
const UNREADABLE: u64 = 50;
/// What is left of its value.
const UNREADABLE_BYTES: usize = 3;
/// Of so long spans the longest pauses are taken.
const SPAN_MS: i64 = 1_000;

/// Options of `poison`.
#[derive(Debug, Clone, Args)]
pub struct PoisonOptions {
    /// What runs. The application is this command's own.
    #[command(flatten)]
    pub elastic: ElasticOptions,
    /// How long records are sent, in seconds.
    #[arg(long, default_value_t = 20)]
    pub load_s: u64,
}

impl Default for PoisonOptions {
    fn default() -> Self {
        PoisonOptions { elastic: ElasticOptions::default(), load_s: 20 }
    }
}

/// The figures of `poison`.
#[derive(Debug, Default, Clone, Serialize)]
pub struct PoisonFigures {
    /// The options' seed.
    pub seed: u64,
    /// `processing.guarantee`.
    pub guarantee: String,
    /// `log-server`, or `given`.
    pub broker: String,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// Records of the input; every second partition has poison.
    pub input: u64,
    /// Records that could not be read: 1 % of a poisoned partition.
    pub unreadable: u64,
    /// Records at which a closure panicked: 0.1 %.
    pub panicked: u64,
    /// Records that the tasks say they have dropped.
    pub dropped: u64,
    /// Dead letters that have all they should: the original bytes, the place, the error, the node where there is one.
    pub dead_letters: u64,
    /// Dead letters that are missing, incomplete, or came twice.
    pub wrong_letters: u64,
    /// Good records without a result, with more than one, or with a wrong count.
    pub wrong_results: u64,
    /// Errors that tasks met, rebalances, and instances that failed.
    pub disturbances: u64,
    /// Pauses in the output of the partitions with poison, of each second.
    pub poisoned: Pauses,
    /// Pauses in the output of the others.
    pub clean: Pauses,
    /// Some of what is wrong.
    pub examples: Vec<String>,
    /// All counts are exact, and nothing was disturbed.
    pub right: bool,
}

/// The value of a record: every second partition has some that are too short, and some that a closure panics at.
pub(super) fn poisoned(partition: usize, number: u64) -> Vec<u8> {
    let value = value_of(partition, number).to_be_bytes();
    let length = if is_unreadable(partition, number) { UNREADABLE_BYTES } else { value.len() };
    value[..length].to_vec()
}

fn has_poison(partition: usize) -> bool {
    partition % 2 == 1
}

/// The number; those of partitions without poison never panic.
fn value_of(partition: usize, number: u64) -> i64 {
    if has_poison(partition) { number as i64 } else { number as i64 * 1_000 }
}

fn is_unreadable(partition: usize, number: u64) -> bool {
    has_poison(partition) && number % UNREADABLE_EVERY == UNREADABLE
}

fn panics(partition: usize, number: u64) -> bool {
    !is_unreadable(partition, number) && value_of(partition, number) % 1_000 == POISONED
}

/// Runs it; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on.
pub async fn poison(options: &PoisonOptions, verifier: &Path) -> Outcome<PoisonFigures> {
    let mut elastic = options.elastic.clone();
    elastic.application = Application::Poison;
    let mut ground = Ground::prepare(&elastic, verifier, 1).await?;
    for handler in ["deserialization", "processing"] {
        ground.fleet.set(0, format!("{handler}.exception.handler=continue"));
    }
    ground.fleet.set(0, format!("errors.dead.letter.queue.topic.name={}", ground.topic(DEAD)));
    ground.fleet.start(0)?;
    ground.until_settled(1, SETTLE_LIMIT).await?;
    let before = ground.members().pop().unwrap_or_default();
    let begin_ms = now_ms();
    ground.begin_load();
    tokio::time::sleep(Duration::from_secs(options.load_s)).await;
    let (end_ms, begun) = (now_ms(), ground.begun);
    let (input, left) = ground.end_load().await?;
    let mut figures = PoisonFigures {
        seed: elastic.seed,
        guarantee: elastic.guarantee.clone(),
        broker: elastic.broker_name(),
        input: input.records(),
        ..PoisonFigures::default()
    };
    for (partition, sent) in input.sent.iter().enumerate() {
        figures.unreadable += (0..*sent).filter(|number| is_unreadable(partition, *number)).count() as u64;
        figures.panicked += (0..*sent).filter(|number| panics(partition, *number)).count() as u64;
    }
    let bad = figures.unreadable + figures.panicked;
    let now = until_told(&ground, bad).await;
    figures.dropped = now.dropped;
    figures.examples = [left, ground.end_instances().await?].concat();
    let errors = now.errors - before.errors + figures.examples.len();
    figures.disturbances = errors as u64 + u64::from(now.generation != before.generation);
    check_letters(&ground, &input, &mut figures).await?;
    check_doubles(&ground, &input, (begin_ms, end_ms), &mut figures).await?;
    check_counts(&ground, &input, &mut figures).await?;
    figures.seconds = begun.elapsed().as_secs_f64();
    figures.right = figures.unreadable > 0
        && figures.panicked > 0
        && (figures.dropped, figures.dead_letters) == (bad, bad)
        && figures.wrong_letters + figures.wrong_results + figures.disturbances == 0;
    Ok(figures)
}

/// What the instance says when it has told of so many dropped records, or after a while.
async fn until_told(ground: &Ground, dropped: u64) -> StatusLine {
    let begun = Instant::now();
    loop {
        let line = ground.members().pop().unwrap_or_default();
        if line.dropped >= dropped || begun.elapsed() > TOLD_LIMIT {
            return line;
        }
        tokio::time::sleep(TOLD_LOOK).await;
    }
}

/// Each record that was passed over has one dead letter, with its own bytes and where it came from.
async fn check_letters(ground: &Ground, input: &SteadyInput, figures: &mut PoisonFigures) -> Outcome<()> {
    let topic = ground.topic(DATA);
    let mut letters: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    let mut wrong = 0;
    let mut example = None;
    ground
        .reader()
        .read(&ground.topic(DEAD), |_, letter| match place_of(letter, &topic, input) {
            Some(place) => *letters.entry(place).or_default() += 1,
            None => {
                wrong += 1;
                example = Some(format!("a dead letter is not whole: {:?}", letter.headers()));
            }
        })
        .await?;
    for (partition, sent) in input.sent.iter().enumerate() {
        for number in (0..*sent).filter(|it| is_unreadable(partition, *it) || panics(partition, *it)) {
            match letters.remove(&(partition, number)) {
                Some(1) => figures.dead_letters += 1,
                _ => wrong += 1,
            }
        }
    }
    figures.wrong_letters = wrong + letters.len() as u64;
    figures.examples.extend(example);
    Ok(())
}

/// The partition and offset that a dead letter tells, if all that it holds is as it should be.
fn place_of(letter: &FetchedMessage, topic: &str, input: &SteadyInput) -> Option<(usize, u64)> {
    let headers = letter.headers();
    let text = |name: &str| {
        let value = headers.last(&format!("__streams.errors.{name}"))?.value.clone()?;
        String::from_utf8(value.to_vec()).ok()
    };
    let partition: usize = text("partition")?.parse().ok()?;
    // Nothing else is in the topic, so the offset is the record's number.
    let number: u64 = text("offset")?.parse().ok()?;
    let keys = input.keys.get(partition)?;
    let told = text("topic")? == topic && !text("exception")?.is_empty() && !text("task")?.is_empty();
    let cause = match is_unreadable(partition, number) {
        true => !text("message")?.is_empty(),
        false => text("message")?.contains("cannot be doubled") && !text("node")?.is_empty(),
    };
    let same = letter.value() == Some(&poisoned(partition, number)[..])
        && letter.key() == Some(keys[number as usize % keys.len()].as_bytes());
    (told && cause && same).then_some((partition, number))
}

/// The good records of each partition come out once and in order, without pauses.
async fn check_doubles(
    ground: &Ground,
    input: &SteadyInput,
    (begin_ms, end_ms): (i64, i64),
    figures: &mut PoisonFigures,
) -> Outcome<()> {
    let mut doubles: Vec<Vec<(i64, i64)>> = vec![Vec::new(); input.sent.len()];
    let each = |partition: i32, record: &FetchedMessage| {
        let value = record.value().and_then(|value| value.try_into().ok()).map_or(-1, i64::from_be_bytes);
        doubles[partition as usize].push((value, record.timestamp().as_millis()));
    };
    ground.reader().read(&ground.topic(DOUBLED), each).await?;
    let (mut clean, mut poisoned) = (Vec::new(), Vec::new());
    for (partition, doubles) in doubles.iter().enumerate() {
        let expected = (0..input.sent[partition])
            .filter(|number| !is_unreadable(partition, *number) && !panics(partition, *number))
            .map(|number| value_of(partition, number) * 2);
        if !expected.clone().eq(doubles.iter().map(|(value, _)| *value)) {
            let (expected, found): (BTreeSet<i64>, BTreeSet<i64>) =
                (expected.collect(), doubles.iter().map(|(value, _)| *value).collect());
            let differ = expected.symmetric_difference(&found).count() + (doubles.len() - found.len());
            figures.wrong_results += differ.max(1) as u64;
            figures.examples.push(format!("partition {partition}: {differ} results are not as expected"));
        }
        let moments: Vec<i64> = doubles.iter().map(|(_, at_ms)| *at_ms).collect();
        let spans = (begin_ms + SPAN_MS..end_ms - SPAN_MS).step_by(SPAN_MS as usize);
        let pauses = spans.map(|begin_ms| longest(&moments, begin_ms, begin_ms + SPAN_MS));
        if has_poison(partition) { poisoned.extend(pauses) } else { clean.extend(pauses) }
    }
    (figures.clean, figures.poisoned) = (Pauses::of(clean), Pauses::of(poisoned));
    Ok(())
}

/// Each key's last count is that of its good records.
async fn check_counts(ground: &Ground, input: &SteadyInput, figures: &mut PoisonFigures) -> Outcome<()> {
    let mut counts: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    let each = |_, record: &FetchedMessage| {
        let count = record.value().and_then(|value| value.try_into().ok()).map_or(-1, i64::from_be_bytes);
        counts.insert(record.key().unwrap_or_default().to_vec(), count);
    };
    ground.reader().read(&ground.topic(DOUBLES), each).await?;
    for (partition, keys) in input.keys.iter().enumerate() {
        let mut expected = vec![0_i64; keys.len()];
        for number in 0..input.sent[partition] {
            let good = !is_unreadable(partition, number) && !panics(partition, number);
            expected[number as usize % keys.len()] += i64::from(good);
        }
        for (key, expected) in keys.iter().zip(expected) {
            let found = counts.get(key.as_bytes()).copied().unwrap_or_default();
            figures.wrong_results += u64::from(found != expected);
        }
    }
    Ok(())
}
