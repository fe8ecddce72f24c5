//! kill -9 under load: every acknowledged record is there after the restart, in order, once.

use std::sync::mpsc::channel;

use crate::client::{Client, ServerProcess, batch, create_topic, produce_request, read_all};
use kafka_protocol::messages::InitProducerIdRequest;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often the server is killed, unless `LOG_SERVER_ROUNDS` says otherwise.
const ROUNDS: u32 = 10;
const RECORDS_PER_BATCH: u64 = 5;

#[test]
fn nothing_acknowledged_is_lost_repeated_or_reordered() {
    let seed = std::env::var("LOG_SERVER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_130_101);
    println!("seed {seed} (LOG_SERVER_SEED)");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    // Small segments, so that kills also hit rolls.
    let options = ["--topic-default", "segment.bytes=20000", "--topic-default", "index.interval.bytes=500"];
    let mut next = 0u64;
    let mut producer_id = None;
    let rounds =
        std::env::var("LOG_SERVER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let mut server = ServerProcess::start(directory.path(), &options);
        let mut client = Client::connect(server.address).expect("the server listens");
        let id = *producer_id.get_or_insert_with(|| {
            create_topic(&mut client, "numbers");
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            client.call(&request, 4).expect("an id is answered").producer_id.0
        });
        let stored = read_all(&mut client, "numbers");
        check(&stored, next, round);

        let kill_after = random.random_range(1..200);
        let (go, wait) = channel::<()>();
        let killer = std::thread::spawn(move || {
            wait.recv().expect("the producer lives");
            server.kill();
        });
        // The first batch repeats the one whose fate the last kill left open: the server must recognise it.
        for acknowledged in 0.. {
            if acknowledged == kill_after {
                go.send(()).expect("the killer lives");
            }
            let records = batch(next..next + RECORDS_PER_BATCH, Some((id, next as i32)));
            match client.call(&produce_request("numbers", records), 9) {
                Err(_) => break,
                Ok(response) => {
                    let partition = &response.responses[0].partition_responses[0];
                    assert_eq!(partition.error_code, 0, "round {round} at {next}");
                    assert_eq!(partition.base_offset, next as i64, "round {round}");
                    next += RECORDS_PER_BATCH;
                }
            }
        }
        killer.join().expect("the killer ends");
    }
    let server = ServerProcess::start(directory.path(), &options);
    let mut client = Client::connect(server.address).expect("the server listens");
    check(&read_all(&mut client, "numbers"), next, rounds);
    println!("{rounds} kills, {next} records acknowledged");
    drop(client);
    server.terminate();
}

/// All acknowledged numbers are there, each at its own offset; one more batch may be.
fn check(stored: &[(i64, u64)], acknowledged: u64, round: u32) {
    assert!(stored.len() as u64 >= acknowledged, "round {round}: {} of {acknowledged}", stored.len());
    assert!(stored.len() as u64 <= acknowledged + RECORDS_PER_BATCH, "round {round}");
    for (at, (offset, value)) in stored.iter().enumerate() {
        assert_eq!((*offset, *value), (at as i64, at as u64), "round {round}");
    }
}
