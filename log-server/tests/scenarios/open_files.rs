//! A shell that allows few open files does not keep clients out.

use kafka_protocol::messages::ApiVersionsRequest;

use crate::client::{Client, ServerProcess};

const LIMIT: usize = 64;

#[test]
fn more_clients_connect_than_the_shell_allows_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let limited = format!("ulimit -Sn {LIMIT}; exec \"$0\" \"$@\"");
    let server = ServerProcess::start_by(&["sh", "-c", &limited], directory.path(), &[]);
    let mut clients = Vec::new();
    for _ in 0..2 * LIMIT {
        let mut client = Client::connect(server.address).expect("the server listens");
        let answer = client.call(&ApiVersionsRequest::default(), 0).expect("it is answered");
        assert_eq!(answer.error_code, 0);
        clients.push(client);
    }
    drop(clients);
    server.terminate();
}
