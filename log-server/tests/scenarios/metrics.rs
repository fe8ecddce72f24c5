//! What a monitoring system sees.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use log_server::{LogServer, LogServerConfig};

use crate::client::{Client, batch, create_topic, produce_request};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the metrics listen");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    answer
}

#[test]
fn metrics_and_health_are_served() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = LogServerConfig::temporary()
        .expect("a directory")
        .metrics_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = runtime.block_on(LogServer::start(config)).expect("the server starts");
    let metrics = server.metrics_address().expect("metrics are on");
    let mut client = Client::connect(server.address()).expect("the server listens");
    create_topic(&mut client, "numbers");
    client.call(&produce_request("numbers", batch(0..7, None)), 9).expect("it is answered");
    let page = get(metrics, "/metrics");
    for line in [
        "log_server_requests_total{api=\"Produce\"} 1",
        "log_server_connections 1",
        "log_server_partition_end_offset{topic=\"numbers\",partition=\"0\"} 7",
        "log_server_partition_failed{topic=\"numbers\",partition=\"0\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in {page}");
    }
    assert!(get(metrics, "/health").starts_with("HTTP/1.1 200 OK"));
    assert!(get(metrics, "/else").starts_with("HTTP/1.1 404"));
    drop(client);
    runtime.block_on(server.shutdown()).expect("the server stops");
}
