//! Apache Kafka's own tool reads what the server wrote: segments, indexes, producer snapshots and the coordinators'
//! records. It needs `KAFKA_TOOL` (see CONTRIBUTING.md); without it the scenario says so and ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use kafka_protocol::messages::InitProducerIdRequest;

use crate::client::{Client, ServerProcess, batch, create_topic, produce_request};

const BATCHES: u64 = 200;
const RECORDS_PER_BATCH: u64 = 5;

#[test]
fn kafkas_own_tool_reads_the_files() {
    let Some(tool) = std::env::var_os("KAFKA_TOOL") else {
        println!("skipped: KAFKA_TOOL is not set");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let options = ["--topic-default", "segment.bytes=5000", "--topic-default", "index.interval.bytes=500"];
    // Half of it is recovered after a kill, half is closed cleanly.
    let mut producer_id = None;
    for half in 0..2 {
        let mut server = ServerProcess::start(directory.path(), &options);
        let mut client = Client::connect(server.address).expect("the server listens");
        let id = *producer_id.get_or_insert_with(|| {
            create_topic(&mut client, "numbers");
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            client.call(&request, 4).expect("an id is answered").producer_id.0
        });
        for at in half * BATCHES / 2..(half + 1) * BATCHES / 2 {
            let first = at * RECORDS_PER_BATCH;
            let records = batch(first..first + RECORDS_PER_BATCH, Some((id, first as i32)));
            let response = client.call(&produce_request("numbers", records), 9).expect("it is answered");
            assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        }
        if half == 0 {
            server.kill();
        } else {
            server.terminate();
        }
    }
    let partition = directory.path().join("numbers-0");
    let dump = |suffix: &str, options: &[&str]| dump_log(tool.as_ref(), &files(&partition, suffix), options);

    let segments = dump("log", &["--deep-iteration"]);
    let offsets = segments.lines().filter(|line| line.starts_with("| offset: ")).count() as u64;
    assert_eq!(offsets, BATCHES * RECORDS_PER_BATCH);
    assert!(!segments.contains("isvalid: false"), "{segments}");
    for suffix in ["index", "timeindex"] {
        let checked = dump(suffix, &["--index-sanity-check"]);
        assert_eq!(checked.matches("passed sanity check").count(), files(&partition, suffix).len());
        let verified = dump(suffix, &["--verify-index-only"]);
        assert!(!verified.contains("Mismatches") && !verified.contains("out of order"), "{verified}");
    }
    let snapshots = dump("snapshot", &[]);
    let last = BATCHES * RECORDS_PER_BATCH - 1;
    assert!(snapshots.contains(&format!("lastSequence: {last} lastOffset: {last}")), "{snapshots}");
}

fn files(partition: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(partition).expect("the partition is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == suffix)).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "there are .{suffix} files");
    files
}

fn dump_log(tool: &Path, files: &[PathBuf], options: &[&str]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let output = Command::new(tool)
        .args(["cli", "dump-log", "--files", &names.join(",")])
        .args(options)
        .output()
        .expect("the tool runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
