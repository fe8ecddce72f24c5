//! Random keys through either instance while another one comes and goes: an answer is right, or says that asking again
//! will help.

use std::path::Path;

use integration_tests::queries::{QueryPlan, query};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_right_or_can_be_tried_again_while_tasks_move() {
    let plan = QueryPlan { queries: 2_000, rate: 400, keys: 500, ..QueryPlan::default() };
    let figures = query(&plan, Path::new(env!("CARGO_BIN_EXE_verifier"))).await.unwrap();
    let told = serde_json::to_string(&figures).unwrap();
    println!("{told}");
    let retriable: u64 = figures.retriable.values().sum();
    assert_eq!((figures.wrong, figures.right + retriable), (0, plan.queries), "{told}");
    assert!(figures.rebalances > 0 && figures.right > retriable, "{told}");
}
