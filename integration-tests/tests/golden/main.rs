//! The DSL against Kafka Streams' own answers, record by record.
//!
//! `GOLDEN_DIR` names the folder with the recorded runs (`CASE.seedN.json`); without it a small copy in `data/` is
//! used. Each run is replayed on the test driver; compared are outputs after every step, records of internal topics
//! where the run has them, the final stores and `describe()`. Cases in `known_gaps.txt` may fail, and must: the list
//! only shrinks.

mod case;
mod end_to_end;
mod replay;
mod topologies;
mod values;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use case::Case;

const KNOWN_GAPS: &str = include_str!("known_gaps.txt");

#[test]
fn every_recorded_run_is_equalled() {
    let dir = std::env::var_os("GOLDEN_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data"), PathBuf::from);
    let only = std::env::var("GOLDEN_CASE").ok();
    let files = case_files(&dir);
    assert!(!files.is_empty(), "no recorded runs in {}", dir.display());
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    let mut cases: BTreeSet<String> = BTreeSet::new();
    for file in files {
        let case = Case::read(&file);
        if only.as_ref().is_some_and(|only| *only != case.case) {
            continue;
        }
        cases.insert(case.case.clone());
        if let Err(difference) = replay::run(&case) {
            failures.entry(case.case.clone()).or_insert_with(|| format!("seed {}: {difference}", case.seed));
        }
    }
    let gaps: BTreeSet<String> = KNOWN_GAPS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    for (case, difference) in failures.iter().filter(|(case, _)| !gaps.contains(*case)) {
        println!("FAILED {case}: {difference}");
    }
    println!("cases passed / total: {} / {}", cases.len() - failures.len(), cases.len());
    let unexpected: Vec<&String> = failures.keys().filter(|case| !gaps.contains(*case)).collect();
    assert!(unexpected.is_empty(), "differ from the reference: {unexpected:?}");
    let closed: Vec<&String> =
        gaps.intersection(&cases).filter(|case| !failures.contains_key(*case)).collect();
    assert!(closed.is_empty(), "no longer differ, take them out of known_gaps.txt: {closed:?}");
}

fn case_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".seed")))
        .collect();
    files.sort();
    files
}
