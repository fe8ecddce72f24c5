//! Replaying a run and comparing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use streams_dsl::task::{DeserializationPolicy, TaskConfig};
use streams_dsl::topology::Topology;
use streams_dsl::{Header, Headers, StreamsBuilder, Timestamp, TopologyConfig};
use streams_test_driver::{DriverConfig, ProducedRecord, TopologyTestDriver};

use crate::case::{Case, Input, Internal, Sent, Step};
use crate::topologies;
use crate::values;
use crate::versions;

/// What peek, for_each and the like note during a step.
#[derive(Clone, Default)]
pub(crate) struct Side(Arc<Mutex<Vec<String>>>);

impl Side {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.lock().expect("nobody panics while noting").push(text.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics while noting"))
    }
}

/// Replays a run; the answer tells the first difference.
pub(crate) fn run(case: &Case) -> Result<(), String> {
    let side = Side::default();
    let topology = topology(case, &side)?;
    let described = topology.describe();
    if described != case.topology_describe {
        return Err(format!(
            "describe() is\n{described}\nbut the reference says\n{}",
            case.topology_describe
        ));
    }
    let mut driver =
        TopologyTestDriver::with_config(topology, driver_config(case)).map_err(|error| error.to_string())?;
    for (number, step) in case.steps.iter().enumerate() {
        replay_step(case, step, &mut driver, &side)
            .map_err(|difference| format!("step {number}: {difference}"))?;
    }
    compare_stores(case, &mut driver)?;
    compare_dropped(case, &driver)
}

pub(crate) fn topology(case: &Case, side: &Side) -> Result<Topology, String> {
    if let Some(build) = topologies::find_raw(&case.case) {
        return Ok(build());
    }
    let builder = StreamsBuilder::new();
    let build = topologies::find(&case.case).ok_or("no topology of this name")?;
    build(&builder, side);
    let config: TopologyConfig = case
        .setting("topology.optimization")
        .unwrap_or("none")
        .parse()
        .map_err(|error| format!("{error}"))?;
    builder.build_with(config).map_err(|error| error.to_string())
}

fn driver_config(case: &Case) -> DriverConfig {
    let number = |key: &str| {
        case.config.get(key).and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()))
    };
    let continues = case
        .setting("deserialization.exception.handler")
        .is_some_and(|handler| handler.ends_with("LogAndContinueExceptionHandler"));
    DriverConfig {
        application_id: case.setting("application.id").unwrap_or("golden").to_owned(),
        wall_clock: Timestamp::from_millis(number("wall_clock_start_ms").unwrap_or_default()),
        task: TaskConfig {
            max_cache_bytes: number("statestore.cache.max.bytes").unwrap_or_default() as usize,
            emit_interval: Duration::ZERO,
            deserialization: if continues {
                DeserializationPolicy::Continue
            } else {
                DeserializationPolicy::Fail
            },
            ..TaskConfig::default()
        },
    }
}

fn replay_step(case: &Case, step: &Step, driver: &mut TopologyTestDriver, side: &Side) -> Result<(), String> {
    match (&step.input, step.advance_wall_clock_ms) {
        (Some(input), _) => pipe(case, input, driver)?,
        (None, Some(millis)) => {
            driver.advance_wall_clock(Duration::from_millis(millis)).map_err(|error| error.to_string())?;
        }
        (None, None) => return Err("neither a record nor a time".to_owned()),
    }
    let with_bytes = step.internal.is_some();
    let sent: Vec<Sent> =
        driver.take_sent().iter().map(|record| readable(case, record, step, with_bytes)).collect();
    if sent != step.out {
        return Err(format!("sent\n{}\nbut the reference sent\n{}", list(&sent), list(&step.out)));
    }
    let internal = driver.take_internal();
    if let Some(expected) = &step.internal {
        compare_internal(&internal, expected)?;
    }
    let noted = side.take();
    if noted != step.side {
        return Err(format!("noted {noted:?}, but the reference noted {:?}", step.side));
    }
    Ok(())
}

fn pipe(case: &Case, input: &Input, driver: &mut TopologyTestDriver) -> Result<(), String> {
    let serdes = case.serdes.get(&input.topic).ok_or("an input topic without serdes")?;
    let headers = input.headers.iter().map(|(name, value)| Header {
        name: name.as_str().into(),
        value: value.as_ref().map(|value| Bytes::copy_from_slice(value.as_bytes())),
    });
    let (key, value) = (values::encode(&serdes.key, &input.key), values::encode(&serdes.value, &input.value));
    driver
        .pipe_bytes(&input.topic, key, value, Timestamp::from_millis(input.ts), headers.collect())
        .map_err(|error| error.to_string())
}

fn readable(case: &Case, record: &ProducedRecord, step: &Step, with_bytes: bool) -> Sent {
    let serdes = case.serdes.get(&*record.topic);
    let read = |serde: Option<&String>, bytes: &Option<Bytes>| {
        values::decode(serde.map_or("string", String::as_str), bytes.as_deref())
    };
    // Some runs give bytes of outputs only where there are any.
    let with_bytes =
        with_bytes || step.out.iter().any(|sent| sent.key_hex.is_some() || sent.value_hex.is_some());
    let as_hex =
        |bytes: &Option<Bytes>| bytes.as_ref().filter(|_| with_bytes).map(|bytes| values::hex(bytes));
    Sent {
        topic: record.topic.to_string(),
        key: read(serdes.map(|serdes| &serdes.key), &record.key),
        value: read(serdes.map(|serdes| &serdes.value), &record.value),
        ts: record.timestamp.map_or(-1, Timestamp::as_millis),
        headers: texts(&record.headers),
        key_hex: as_hex(&record.key),
        value_hex: as_hex(&record.value),
    }
}

fn texts(headers: &Headers) -> Vec<(String, Option<String>)> {
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|header| (header.name.to_string(), header.value.as_ref().map(text))).collect()
}

/// Compares records of internal topics, topic by topic: their order across topics says nothing.
fn compare_internal(records: &[ProducedRecord], expected: &[Internal]) -> Result<(), String> {
    let mut ours: BTreeMap<String, Vec<Internal>> = BTreeMap::new();
    for record in records {
        let header = |header: &Header| (header.name.to_string(), header.value.as_deref().map(values::hex));
        ours.entry(record.topic.to_string()).or_default().push(Internal {
            topic: record.topic.to_string(),
            key_hex: record.key.as_deref().map(values::hex),
            value_hex: record.value.as_deref().map(values::hex),
            ts: record.timestamp.map(Timestamp::as_millis),
            headers_hex: record.headers.iter().map(header).collect(),
        });
    }
    let mut theirs: BTreeMap<String, Vec<Internal>> = BTreeMap::new();
    for record in expected {
        theirs.entry(record.topic.clone()).or_default().push(record.clone());
    }
    if ours != theirs {
        return Err(format!("internal topics got\n{ours:#?}\nbut the reference's got\n{theirs:#?}"));
    }
    Ok(())
}

fn compare_stores(case: &Case, driver: &mut TopologyTestDriver) -> Result<(), String> {
    // With caches on, the reference's window stores show entries that retention hides elsewhere.
    let cached = case.setting("cache") == Some("on");
    for (name, store) in &case.stores {
        let compared = !store.kind.starts_with("opaque") && store.kind != "absent" && !cached;
        // Subscriptions of foreign-key joins hold wrappers, compared through their changelogs.
        let wrapped = store.entries.iter().any(|entry| entry["key"].get("hex").is_some());
        if !compared || wrapped {
            continue;
        }
        match &*store.kind {
            "versioned" => versions::compare(case, name, &store.entries, driver)?,
            _ => compare_store(name, &store.entries, driver)?,
        }
    }
    Ok(())
}

fn compare_store(name: &str, expected: &[Value], driver: &mut TopologyTestDriver) -> Result<(), String> {
    let mut ours: Vec<(Value, Vec<u8>)> = Vec::new();
    let mut failed = None;
    let waiting = expected.iter().any(is_waiting);
    let found = driver.visit_store(name, |store| {
        let visited = store.visit_entries(&mut |entry| {
            if waiting {
                return ours.push((json!(values::hex(entry.key)), entry.value.to_vec()));
            }
            let key = String::from_utf8_lossy(entry.key).into_owned();
            let mut shown = match entry.window {
                Some((start, end)) => {
                    json!({ "key": { "key": key, "start": start.as_millis(), "end": end.as_millis() } })
                }
                None => json!({ "key": key }),
            };
            if let Some(timestamp) = entry.timestamp {
                shown["ts"] = timestamp.as_millis().into();
            }
            ours.push((shown, entry.value.to_vec()));
        });
        failed = visited.err();
    });
    if !found {
        return Err(format!("there is no store {name}"));
    }
    if let Some(error) = failed {
        return Err(format!("store {name}: {error}"));
    }
    let theirs: Vec<(Value, Value)> = expected.iter().map(split_entry).collect();
    let equal = ours.len() == theirs.len()
        && ours
            .iter()
            .zip(&theirs)
            .all(|((entry, bytes), (expected, value))| entry == expected && values::fits(value, bytes));
    if equal {
        return Ok(());
    }
    let ours: Vec<String> =
        ours.iter().map(|(entry, bytes)| format!("{entry} {}", values::hex(bytes))).collect();
    Err(format!("store {name} holds\n{}\nbut the reference's holds\n{expected:#?}", ours.join("\n")))
}

/// An entry without its value, and the value.
fn split_entry(entry: &Value) -> (Value, Value) {
    if is_waiting(entry) {
        return waiting_entry(entry);
    }
    let mut rest = entry.clone();
    let value = rest.as_object_mut().and_then(|fields| fields.shift_remove("value")).unwrap_or_default();
    // Values without a time, where the reference's reading shows one.
    if rest["ts"] == -1
        && let Some(fields) = rest.as_object_mut()
    {
        fields.shift_remove("ts");
    }
    (rest, value)
}

/// Whether an entry is a record of a join that waits for a partner.
fn is_waiting(entry: &Value) -> bool {
    entry["key"].get("side").is_some()
}

/// A waiting record's key in hexadecimal, and its value behind the byte of its side.
fn waiting_entry(entry: &Value) -> (Value, Value) {
    let (key, value) = (&entry["key"], &entry["value"]);
    let side = u8::from(key["side"] == "left");
    let mut bytes = key["ts"].as_i64().unwrap_or_default().to_be_bytes().to_vec();
    bytes.push(side);
    bytes.extend_from_slice(key["key"].as_str().unwrap_or_default().as_bytes());
    let value = match value.get("left").or_else(|| value.get("right")) {
        Some(Value::String(text)) => text.clone(),
        other => other.map(Value::to_string).unwrap_or_default(),
    };
    (json!(values::hex(&bytes)), json!(format!("{}{value}", char::from(side))))
}

fn compare_dropped(case: &Case, driver: &TopologyTestDriver) -> Result<(), String> {
    let dropped = driver.counters().dropped;
    if dropped == case.dropped_records_total {
        return Ok(());
    }
    Err(format!("{dropped} records were dropped, but {} by the reference", case.dropped_records_total))
}

fn list(records: &[Sent]) -> String {
    records.iter().map(|record| format!("  {record:?}\n")).collect()
}
