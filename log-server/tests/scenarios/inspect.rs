//! The sub-commands that look at a data directory find what is there, and what is wrong with it.

use std::net::SocketAddr;

use log_server::{LogServer, LogServerConfig, dump_segment, verify_data_dir};

use crate::client::{Client, batch, create_topic, produce_request};

fn fill(address: SocketAddr) {
    let mut client = Client::connect(address).expect("the server listens");
    create_topic(&mut client, "numbers");
    for number in 0..20 {
        let response =
            client.call(&produce_request("numbers", batch([number], None)), 9).expect("it is answered");
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
}

#[test]
fn a_sound_directory_has_no_faults_and_a_flipped_bit_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = LogServerConfig::new(directory.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = LogServer::start(config).await.expect("the server starts");
        let address = server.address();
        tokio::task::spawn_blocking(move || fill(address)).await.expect("the client ends");
        server.shutdown().await.expect("the server stops");
    });

    let report = verify_data_dir(directory.path()).expect("the directory can be read");
    assert!(report.faults.is_empty(), "{report:?}");
    assert!(report.batches >= 20);

    let segment = directory.path().join("numbers-0/00000000000000000000.log");
    let mut text = Vec::new();
    dump_segment(&segment, true, &mut text).expect("the segment can be read");
    let text = String::from_utf8(text).expect("it is text");
    assert_eq!(text.lines().filter(|line| line.starts_with("batch ")).count(), 20);
    assert!(text.contains("record offset=19 "), "{text}");

    let mut bytes = std::fs::read(&segment).expect("the segment can be read");
    let in_last_value = bytes.len() - 3;
    bytes[in_last_value] ^= 1;
    std::fs::write(&segment, bytes).expect("the segment can be written");
    let report = verify_data_dir(directory.path()).expect("the directory can be read");
    assert_eq!(report.faults.len(), 1);
    assert_eq!(report.faults[0].0, segment);
    assert!(dump_segment(&segment, false, &mut Vec::new()).is_err());
}
