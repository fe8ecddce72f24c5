//! An application of Kafka Streams and one of ours continue each other's work, on a log server.
//!
//! `ANCHOR_DIR` names the folder of Kafka Streams' benchmark; without it the test says so and passes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn each_continues_what_the_other_began() {
    if std::env::var_os("ANCHOR_DIR").is_none() {
        eprintln!("ANCHOR_DIR is not set: not run");
        return;
    }
    let bench = env!("CARGO_BIN_EXE_bench");
    let mut server = Command::new(bench)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the log server starts");
    let mut line = String::new();
    let output = server.stdout.take().expect("its output is piped");
    BufReader::new(output).read_line(&mut line).expect("it says where it listens");
    let address = line.trim().strip_prefix("ready ").expect("it says where it listens").to_owned();
    let answer = Command::new(bench)
        .args(["takeover", "--bootstrap", &address, "--records", "20_000", "wordcount"])
        .output()
        .expect("the benchmark runs");
    drop(server.stdin.take());
    server.wait().expect("the server ends with its input");
    let (text, faults) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    assert!(answer.status.success(), "{text}{faults}");
    assert_eq!(text.matches("\"right\":true").count(), 2, "{text}{faults}");
}
