//! The direct computation that a workload's output is compared with.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::arguments::VerifyArguments;
use crate::inputs::{Inputs, WORDS_PER_LINE};
use crate::load::print;
use crate::{Broker, Error, Workload};

const MINUTE_MS: i64 = 60_000;
const SURGE_WINDOW_MS: i64 = 5 * MINUTE_MS;
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// The last value of a key, as far as the workload fixes it.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Text(String),
    Count(i64),
    Fares { count: u64, mean: f64 },
    Spend { count: u64, sum_cents: u64, limit_cents: u64 },
}

/// Compares the last value of every key of an output topic with a direct computation; prints one JSON line and says
/// whether they agree. How many updates came before the last is free.
///
/// # Errors
/// When the topic is missing, cannot be read to its end, or holds a record that cannot be read.
pub fn verify(arguments: &VerifyArguments) -> Result<bool, Error> {
    let want = expected(arguments.workload, &Inputs::new(arguments.seed), arguments.records)?;
    let (got, records) = last_values(arguments)?;
    let wrong = want.iter().filter(|(key, answer)| got.get(*key) != Some(answer)).count();
    let extra = got.keys().filter(|key| !want.contains_key(*key)).count();
    let ok = wrong == 0 && extra == 0;
    print(format_args!(
        "{{\"verify\":\"{}\",\"output_records\":{records},\"keys\":{},\"expected_keys\":{},\"wrong_or_missing\":{wrong},\"extra\":{extra},\
         \"ok\":{ok}}}",
        arguments.workload,
        got.len(),
        want.len(),
    ));
    Ok(ok)
}

fn expected(workload: Workload, inputs: &Inputs, n: u64) -> Result<HashMap<String, Answer>, Error> {
    let mut want = HashMap::new();
    match workload {
        Workload::Passthrough => {
            let even = (0..n).step_by(2);
            want.extend(even.map(|i| (i.to_string(), Answer::Text(inputs.page(i).to_ascii_uppercase()))));
        }
        Workload::Wordcount => {
            let mut counts: HashMap<usize, i64> = HashMap::new();
            for i in 0..n {
                for k in 0..WORDS_PER_LINE {
                    *counts.entry(inputs.word(i, k)).or_default() += 1;
                }
            }
            want.extend(counts.into_iter().map(|(word, count)| (format!("w{word}"), Answer::Count(count))));
        }
        Workload::Surge => want = fares(inputs, n),
        Workload::Fraud => want = overspent(inputs, n),
        Workload::Join => {
            let joined = (0..n).filter(|i| inputs.shipped(*i) && inputs.ship_delay(*i) <= MINUTE_MS);
            want.extend(joined.map(|i| (format!("o{i}"), Answer::Count(inputs.ship_delay(i)))));
        }
        Workload::Keys => want.extend((0..n).map(|i| (format!("k{i}"), Answer::Count(1)))),
        Workload::Live | Workload::LiveCount | Workload::Latest | Workload::KeysAndPages => {
            return Err(Error::NotVerifiable(workload));
        }
    }
    Ok(want)
}

fn fares(inputs: &Inputs, n: u64) -> HashMap<String, Answer> {
    let mut sums: HashMap<(u64, i64), (u64, u64)> = HashMap::new();
    for i in 0..n {
        let ts = inputs.ride_ts(i, n);
        let newest = ts.div_euclid(MINUTE_MS) * MINUTE_MS;
        let mut window = newest;
        while window > ts - SURGE_WINDOW_MS {
            let sum = sums.entry((inputs.ride_area(i), window)).or_default();
            *sum = (sum.0 + 1, sum.1 + inputs.ride_fare(i));
            window -= MINUTE_MS;
        }
    }
    let answer = |((area, window), (count, cents)): ((u64, i64), (u64, u64))| {
        (format!("a{area}@{window}"), Answer::Fares { count, mean: cents as f64 / 100.0 / count as f64 })
    };
    sums.into_iter().map(answer).collect()
}

fn overspent(inputs: &Inputs, n: u64) -> HashMap<String, Answer> {
    let mut sums: HashMap<(u64, i64), (u64, u64)> = HashMap::new();
    for i in 0..n {
        let window = inputs.payment_ts(i, n) / MINUTE_MS * MINUTE_MS;
        let sum = sums.entry((inputs.payment_card(i), window)).or_default();
        *sum = (sum.0 + 1, sum.1 + inputs.payment_amount(i));
    }
    let answer = |((card, window), (count, sum_cents)): ((u64, i64), (u64, u64))| {
        let limit_cents = inputs.profile_limit(card);
        let spend = Answer::Spend { count, sum_cents, limit_cents };
        (sum_cents > limit_cents).then(|| (format!("c{card}@{window}"), spend))
    };
    sums.into_iter().filter_map(answer).collect()
}

/// Reads a topic from its beginning to its end of committed records.
fn last_values(arguments: &VerifyArguments) -> Result<(HashMap<String, Answer>, u64), Error> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &arguments.bootstrap)
        .set("group.id", "bench-verify")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut open = Broker::connect(&arguments.bootstrap)?.ends(&arguments.output)?.len();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..open {
        assignment.add_partition_offset(&arguments.output, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut got, mut records, mut heard) = (HashMap::new(), 0, Instant::now());
    while open > 0 {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                records += 1;
                heard = Instant::now();
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                got.insert(key, answer(arguments.workload, &message)?);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) if heard.elapsed() > SILENCE_LIMIT => return Err(error.into()),
            None if heard.elapsed() > SILENCE_LIMIT => {
                return Err(Error::NoInput { topic: arguments.output.clone() });
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok((got, records))
}

fn answer(workload: Workload, message: &BorrowedMessage<'_>) -> Result<Answer, Error> {
    let fault = |why: String| Error::Output {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        why,
    };
    let bytes = message.payload().ok_or_else(|| fault("no value".to_owned()))?;
    match workload {
        Workload::Passthrough => Ok(Answer::Text(String::from_utf8_lossy(bytes).into_owned())),
        Workload::Wordcount | Workload::Keys => {
            let count = bytes.try_into().map_err(|_| fault(format!("{} bytes for a count", bytes.len())))?;
            Ok(Answer::Count(i64::from_be_bytes(count)))
        }
        _ => {
            let json: serde_json::Value =
                serde_json::from_slice(bytes).map_err(|error| fault(error.to_string()))?;
            let number = |field: &str| {
                json[field].as_u64().ok_or_else(|| fault(format!("no number `{field}` in {json}")))
            };
            match workload {
                Workload::Surge => {
                    let mean =
                        json["avg_fare"].as_f64().ok_or_else(|| fault(format!("no `avg_fare` in {json}")))?;
                    Ok(Answer::Fares { count: number("count")?, mean })
                }
                Workload::Fraud => Ok(Answer::Spend {
                    count: number("count")?,
                    sum_cents: number("sum_cents")?,
                    limit_cents: number("limit_cents")?,
                }),
                _ => Ok(Answer::Count(number("delay_ms")? as i64)),
            }
        }
    }
}
