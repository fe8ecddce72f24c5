//! Short runs of the verifier: nothing is lost and, exactly-once, nothing counts twice, whatever happens to the processes.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use integration_tests::verifier::{Fault, Plan, Program, verify};

async fn holds(plan: Plan) {
    let figures = verify(&plan, Path::new(env!("CARGO_BIN_EXE_verifier"))).await.unwrap();
    let told = serde_json::to_string(&figures).unwrap();
    println!("{told}");
    assert!(figures.is_right(), "{told}");
}

fn short(seed: u64, rounds: usize, faults: &[Fault]) -> Plan {
    let pause_ms = vec![300, 1_500];
    Plan { seed, rounds, faults: faults.to_vec(), rate: 500, keys: 300, pause_ms, ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_holds_while_instances_and_the_broker_are_killed() {
    holds(short(11, 8, &[Fault::Kill, Fault::Broker])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_loses_nothing_when_an_instance_outlives_its_session() {
    let plan = short(12, 4, &[Fault::Stop, Fault::Kill]);
    holds(Plan { guarantee: "at_least_once".to_owned(), ..plan }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_whole_behind_lines_that_break() {
    let plan = short(13, 6, &[Fault::Cut, Fault::Half, Fault::Delay, Fault::Leave]);
    holds(Plan { program: Program::Smoke, ..plan }).await;
}
