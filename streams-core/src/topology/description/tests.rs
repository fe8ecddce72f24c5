use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::hash_order;
use crate::fixture::{choosing_sink, pass, sink, source, store};
use crate::topology::{Topics, Topology, TopologyBuilder};

/// A node as a description prints it.
#[derive(Debug, Default)]
struct Printed {
    kind: String,
    what: Vec<String>,
    parents: Vec<String>,
    /// The number of its sub-topology: they count in the order in which their nodes were added.
    part: u32,
    global: bool,
}

/// What stands between the first `open` and the last `close`.
fn between<'a>(line: &'a str, open: &str, close: &str) -> &'a str {
    line.split_once(open).and_then(|(_, rest)| rest.rsplit_once(close)).map_or("", |(inner, _)| inner)
}

fn list(text: &str) -> Vec<String> {
    text.split(", ").filter(|name| !name.is_empty() && *name != "none").map(str::to_owned).collect()
}

/// Reads a description back: names, kinds, topics, stores and parents.
fn read(text: &str) -> BTreeMap<String, Printed> {
    let mut nodes: BTreeMap<String, Printed> = BTreeMap::new();
    let (mut current, mut part, mut global) = (String::new(), 0, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("Sub-topology: ") {
            part += 1;
            global = line.contains("for global store");
        } else if let Some((kind, rest)) =
            line.split_once(": ").filter(|(kind, _)| ["Source", "Processor", "Sink"].contains(kind))
        {
            current = rest.split(' ').next().unwrap_or_default().to_owned();
            let what = match kind {
                "Sink" if line.contains("extractor class") => Vec::new(),
                "Sink" => vec![between(line, "(topic: ", ")").to_owned()],
                "Source" if !line.contains("topics: [") => vec![between(line, "(topics: ", ")").to_owned()],
                _ => list(between(line, ": [", "]")),
            };
            let kind = if kind == "Source" && !line.contains("topics: [") { "Pattern" } else { kind };
            let node = Printed { kind: kind.to_owned(), what, parents: Vec::new(), part, global };
            nodes.insert(current.clone(), node);
        } else if let Some(parents) = line.strip_prefix("<-- ") {
            nodes.get_mut(&current).expect("a node comes first").parents = list(parents);
        }
    }
    nodes
}

/// Builds a topology that is described by the text.
fn rebuild(nodes: &BTreeMap<String, Printed>) -> Topology {
    let mut builder = TopologyBuilder::new();
    let mut stores: BTreeSet<&String> = BTreeSet::new();
    let mut added: Vec<(&String, &Printed)> = nodes.iter().collect();
    added.sort_by_key(|(_, node)| node.part);
    for (name, node) in added {
        let what: Vec<&str> = node.what.iter().map(String::as_str).collect();
        match node.kind.as_str() {
            "Source" if node.global => {
                let processor = nodes
                    .iter()
                    .find(|(_, other)| other.parents.contains(name))
                    .expect("a processor keeps the store");
                builder.add_global_store(
                    store(&processor.1.what[0]),
                    (name.as_str(), source(&what)),
                    (processor.0.as_str(), pass()),
                );
            }
            "Processor" if node.global => {}
            "Source" => drop(builder.add_source(name.as_str(), source(&what))),
            "Pattern" => {
                let mut spec = source(&[]);
                spec.topics = Topics::Matching(what[0].to_owned());
                builder.add_source(name.as_str(), spec);
            }
            "Processor" => {
                let spec = pass().with_stores(what.iter().map(|store| Arc::from(*store)));
                builder.add_processor(name.as_str(), &node.parents, spec);
                stores.extend(&node.what);
            }
            _ => {
                let spec = what.first().map_or_else(choosing_sink, |topic| sink(topic));
                builder.add_sink(name.as_str(), &node.parents, spec);
            }
        }
    }
    for name in stores {
        builder.add_store(store(name), &[] as &[&str]);
    }
    builder.build().unwrap_or_else(|error| panic!("{error}"))
}

/// Sub-topologies as Kafka prints them: three places in front of the first, no empty line behind that of a global
/// store.
const STREAM_GLOBAL_JOIN: &str = "Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [s])
      --> KSTREAM-LEFTJOIN-0000000003
    Processor: KSTREAM-LEFTJOIN-0000000003 (stores: [])
      --> KSTREAM-SINK-0000000004
      <-- KSTREAM-SOURCE-0000000000
    Sink: KSTREAM-SINK-0000000004 (topic: out)
      <-- KSTREAM-LEFTJOIN-0000000003

  Sub-topology: 1 for global store (will not generate tasks)
    Source: KSTREAM-SOURCE-0000000001 (topics: [g])
      --> KTABLE-SOURCE-0000000002
    Processor: KTABLE-SOURCE-0000000002 (stores: [g])
      --> none
      <-- KSTREAM-SOURCE-0000000001
";

const OWN_COUNT_JOIN: &str = "Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in2, in1])
      --> KSTREAM-LEFTJOIN-0000000002, KSTREAM-AGGREGATE-0000000001
    Processor: KSTREAM-LEFTJOIN-0000000002 (stores: [c])
      --> KSTREAM-SINK-0000000003
      <-- KSTREAM-SOURCE-0000000000
    Processor: KSTREAM-AGGREGATE-0000000001 (stores: [c])
      --> none
      <-- KSTREAM-SOURCE-0000000000
    Sink: KSTREAM-SINK-0000000003 (extractor class: per-record function)
      <-- KSTREAM-LEFTJOIN-0000000002

";

#[test]
fn descriptions_come_back() {
    for text in [STREAM_GLOBAL_JOIN, OWN_COUNT_JOIN] {
        assert_eq!(rebuild(&read(text)).describe(), text);
    }
}

#[test]
fn buckets_order_a_java_set() {
    let order = |keys: &[&str]| hash_order(keys).into_iter().map(|index| keys[index].to_owned()).collect();
    let order: &dyn Fn(&[&str]) -> Vec<String> = &order;
    assert_eq!(order(&["in1", "in2"]), ["in2", "in1"]);
    assert_eq!(order(&["b", "a"]), ["a", "b"]);
    assert_eq!(order(&["j-Buffer", "t"]), ["t", "j-Buffer"]);
}

/// Every description of the reference's own, where its corpus is at hand (`GOLDEN_DIR`).
#[test]
fn descriptions_of_the_corpus_come_back() {
    let Some(folder) = std::env::var_os("GOLDEN_DIR") else { return };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(Path::new(&folder)).expect("the corpus is readable") {
        let path = entry.expect("an entry is readable").path();
        if !path.to_string_lossy().ends_with("seed1.json") {
            continue;
        }
        let run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let text = run["topology_describe"].as_str().expect("a run has a description").to_owned();
        texts.insert(path.display().to_string(), text);
    }
    assert!(!texts.is_empty(), "no runs in {}", Path::new(&folder).display());
    let wrong: Vec<String> = texts
        .iter()
        .filter_map(|(path, text)| {
            let described = rebuild(&read(text)).describe();
            (described != *text).then(|| format!("{path}\n{described}\ninstead of\n{text}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}
