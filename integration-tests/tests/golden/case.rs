//! A recorded run, as its file has it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) seed: u64,
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) serdes: BTreeMap<String, TopicSerdes>,
    pub(crate) topology_describe: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) stores: BTreeMap<String, Store>,
    pub(crate) dropped_records_total: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TopicSerdes {
    pub(crate) key: String,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(rename = "in")]
    pub(crate) input: Option<Input>,
    pub(crate) advance_wall_clock_ms: Option<u64>,
    pub(crate) out: Vec<Sent>,
    #[serde(default)]
    pub(crate) side: Vec<String>,
    #[serde(default)]
    pub(crate) internal: Option<Vec<Internal>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Input {
    pub(crate) topic: String,
    pub(crate) key: Value,
    pub(crate) value: Value,
    pub(crate) ts: i64,
    pub(crate) headers: Vec<(String, Option<String>)>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Sent {
    pub(crate) topic: String,
    pub(crate) key: Value,
    pub(crate) value: Value,
    pub(crate) ts: i64,
    pub(crate) headers: Vec<(String, Option<String>)>,
    pub(crate) key_hex: Option<String>,
    pub(crate) value_hex: Option<String>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct Internal {
    pub(crate) topic: String,
    pub(crate) key_hex: Option<String>,
    pub(crate) value_hex: Option<String>,
    pub(crate) ts: Option<i64>,
    pub(crate) headers_hex: Vec<(String, Option<String>)>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Store {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) entries: Vec<Value>,
}

impl Case {
    pub(crate) fn read(file: &Path) -> Case {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str)
    }
}
