//! Requests sent without waiting are answered in their order, each produce when it is durable.

use log_server::{FsyncPolicy, LogServer, LogServerConfig};
use std::time::Duration;

use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::client::{Client, batch, create_topic, produce_request, read_all};

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for fsync in [FsyncPolicy::Always, FsyncPolicy::Interval(Duration::from_millis(5)), FsyncPolicy::Never] {
        let config = LogServerConfig::temporary().expect("a directory").fsync(fsync);
        let server = runtime.block_on(LogServer::start(config)).expect("the server starts");
        let mut client = Client::connect(server.address()).expect("the server listens");
        create_topic(&mut client, "numbers");
        const REQUESTS: u64 = 100;
        let first = client.next_correlation_id();
        for number in 0..REQUESTS {
            client.send(&produce_request("numbers", batch([number], None)), 9).expect("it is sent");
            client.send(&ApiVersionsRequest::default(), 2).expect("it is sent");
        }
        for number in 0..REQUESTS {
            let id = first + 2 * number as i32;
            let response = client.receive_as::<ProduceRequest>(9, id).expect("it is answered");
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, number as i64));
            client.receive_as::<ApiVersionsRequest>(2, id + 1).expect("it is answered");
        }
        let stored = read_all(&mut client, "numbers");
        assert_eq!(stored, (0..REQUESTS).map(|number| (number as i64, number)).collect::<Vec<_>>());
        drop(client);
        runtime.block_on(server.shutdown()).expect("the server stops");
    }
}
