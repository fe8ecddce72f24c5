//! Random orders of requests, writes, failures and restarts.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Action {
    Init { keeps_epoch: bool },
    Add { producer: usize, partition: i32 },
    End { producer: usize, is_commit: bool, bumps: bool },
    Write { fails: bool },
    Mark { fails: bool },
    Pass { seconds: u64 },
    Restart { leaks: bool },
}

fn action() -> impl Strategy<Value = Action> {
    let producer = 0..3_usize;
    prop_oneof![
        2 => any::<bool>().prop_map(|keeps_epoch| Action::Init { keeps_epoch }),
        4 => (producer.clone(), 0..3_i32).prop_map(|(producer, partition)| Action::Add { producer, partition }),
        3 => (producer, any::<bool>(), any::<bool>())
            .prop_map(|(producer, is_commit, bumps)| Action::End { producer, is_commit, bumps }),
        6 => proptest::bool::weighted(0.1).prop_map(|fails| Action::Write { fails }),
        4 => proptest::bool::weighted(0.2).prop_map(|fails| Action::Mark { fails }),
        1 => (0..90_u64).prop_map(|seconds| Action::Pass { seconds }),
        1 => any::<bool>().prop_map(|leaks| Action::Restart { leaks }),
    ]
}

proptest! {
    /// Whatever happens: one step at a time, epochs only rise, no producer but the newest is served, a decision is
    /// never turned round, and in the end every request is answered and nothing is left open.
    #[test]
    fn every_order_of_events_keeps_transactions_whole(actions in proptest::collection::vec(action(), 1..100)) {
        let mut bench = Bench::new();
        let mut producers = vec![bench.producer()];
        let mut lost = 0;
        let mut newest = producers[0];
        for action in actions {
            let pick = |index: usize| producers[index % producers.len()];
            match action {
                Action::Init { keeps_epoch } => {
                    let expected = keeps_epoch.then_some(newest);
                    bench.init(expected);
                }
                Action::Add { producer, partition } => {
                    bench.add(pick(producer), partition);
                }
                Action::End { producer, is_commit, bumps: false } => {
                    bench.end(pick(producer), is_commit);
                }
                Action::End { producer, is_commit, bumps: true } => {
                    bench.end_and_bump(pick(producer), is_commit);
                }
                Action::Write { fails } => {
                    bench.write(if fails { Err(ErrorCode::KafkaStorageError) } else { Ok(()) });
                }
                Action::Mark { fails } => {
                    bench.mark(if fails { Err(ErrorCode::KafkaStorageError) } else { Ok(()) });
                }
                Action::Pass { seconds } => bench.pass(Duration::from_secs(seconds)),
                Action::Restart { leaks } => {
                    if leaks {
                        bench.leak_markers();
                    }
                    let decided = bench.current().state.prepared();
                    bench.restart();
                    prop_assert!(decided.is_none() || bench.current().state.prepared() == decided);
                    // Whoever waited has lost its connection.
                    lost = usize::try_from(bench.tickets).unwrap() - bench.answered.len();
                }
            }
            let current = bench.current().producer;
            prop_assert!(current.epoch >= newest.epoch, "epochs only rise");
            newest = current;
            if !producers.contains(&newest) {
                producers.push(newest);
            }
            for producer in producers.iter().filter(|producer| **producer != newest) {
                for partition in 0..3 {
                    prop_assert!(!bench.coordinator.is_participant(*producer, "t", partition), "fenced");
                }
            }
            let entry = &bench.coordinator.ids["x"];
            prop_assert!(entry.step.is_some() || entry.waiting.is_empty(), "nobody waits for nothing");
            prop_assert!(entry.step.is_some() || entry.current.state.prepared().is_none(), "decided is under way");
            let is_open = entry.current.state == TransactionState::Ongoing;
            prop_assert!(!is_open || entry.step.is_some() || entry.deadline.is_some(), "open ones time out");
        }
        for _ in 0..4 {
            bench.settle();
            bench.pass(TIMEOUT);
        }
        bench.settle();
        prop_assert_eq!(bench.answered.len() + lost, usize::try_from(bench.tickets).unwrap());
        prop_assert_ne!(bench.current().state, TransactionState::Ongoing);
        prop_assert!(bench.coordinator.ids["x"].step.is_none());
        let before = bench.current().clone();
        bench.restart();
        // A lost COMPLETE record only has the markers written again.
        bench.settle();
        prop_assert_eq!(bench.current().state, before.state);
        prop_assert_eq!(bench.current().producer, before.producer);
    }
}
