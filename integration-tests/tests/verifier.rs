//! Short runs of the verifier: nothing is lost and, exactly-once, nothing counts twice, whatever happens to the processes.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use integration_tests::verifier::elastic::{
    ElasticOptions, FailoverOptions, PoisonOptions, RollingOptions, ScaleOptions, SettleOptions, fail_over,
    poison, rolling_restart, scale, settle,
};
use integration_tests::verifier::{Application, Fault, Plan, Program, verify};

const VERIFIER: &str = env!("CARGO_BIN_EXE_verifier");

async fn holds(plan: Plan) {
    let figures = verify(&plan, Path::new(VERIFIER)).await.unwrap();
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

/// A load that a debug build on a busy machine bears.
fn light(application: Application, guarantee: &str) -> ElasticOptions {
    let guarantee = guarantee.to_owned();
    ElasticOptions { application, guarantee, partitions: 6, rate: 300, ..ElasticOptions::default() }
}

fn is_right(figures: &impl serde::Serialize, right: bool) {
    let told = serde_json::to_string(figures).unwrap();
    println!("{told}");
    assert!(right, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_lose_and_repeat_nothing_while_instances_come_and_go() {
    let elastic = light(Application::Tally, "at_least_once");
    // How long partitions stand still is measured by an optimised build; here it is only bounded.
    let options = ScaleOptions { elastic, cycles: 1, stay_ms: 1_000, kept_ms: 5_000, moved_ms: 5_000 };
    let figures = scale(&options, Path::new(VERIFIER)).await.unwrap();
    is_right(&figures, figures.right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn static_members_restart_without_a_rebalance() {
    let elastic = light(Application::Tally, "exactly_once_v2");
    let elastic = ElasticOptions { session_ms: 20_000, ..elastic };
    let options = RollingOptions { elastic, cycles: 1, stay_ms: 200, ..RollingOptions::default() };
    let figures = rolling_restart(&options, Path::new(VERIFIER)).await.unwrap();
    is_right(&figures, figures.right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_go_on_with_the_tasks_of_a_killed_instance() {
    let elastic = light(Application::Relay, "exactly_once_v2");
    let options = FailoverOptions {
        elastic,
        kills: 1,
        resumed_ms: 15_000,
        returned_ms: 15_000,
        ..FailoverOptions::default()
    };
    let figures = fail_over(&options, Path::new(VERIFIER)).await.unwrap();
    is_right(&figures, figures.right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_members_share_many_tasks() {
    let elastic = ElasticOptions { partitions: 60, keys: 2, ..light(Application::Relay, "at_least_once") };
    let options = SettleOptions { elastic, members: 6, processes: 2, settled_ms: 30_000 };
    let figures = settle(&options, Path::new(VERIFIER)).await.unwrap();
    is_right(&figures, figures.right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_counted_exactly_and_disturbs_nobody() {
    let elastic = ElasticOptions { rate: 2_000, ..light(Application::Poison, "at_least_once") };
    let figures = poison(&PoisonOptions { elastic, load_s: 4 }, Path::new(VERIFIER)).await.unwrap();
    is_right(&figures, figures.right);
}
