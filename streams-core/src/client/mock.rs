//! librdkafka's own mock cluster, for the tests of the data clients.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::{ClientProperties, DataProducer, Enqueued};
use crate::record::Headers;
use crate::time::Timestamp;

/// Longest wait for anything.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

pub(super) type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A broker with a topic `t`.
pub(super) fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock cluster starts");
    cluster.create_topic("t", partitions, 1).expect("it takes a topic");
    cluster
}

pub(super) fn properties(cluster: &Cluster) -> ClientProperties {
    ClientProperties::new(cluster.bootstrap_servers(), "test")
}

/// Sends records with keys `k<number>`, two headers, and times from 1,000 ms on.
pub(super) async fn produce(cluster: &Cluster, partition: i32, from: i64, to: i64) {
    let producer = DataProducer::start(&properties(cluster), None).expect("a producer starts");
    let topic = producer.topic(&"t".into()).expect("the name is legal");
    for number in from..to {
        let key = format!("k{number}");
        let mut headers = Headers::new();
        headers.add("n", Some(Bytes::copy_from_slice(key.as_bytes())));
        headers.add("n", None);
        let at = Timestamp::from_millis(1_000 + number);
        let sent = topic.send(partition, at, Some(key.as_bytes()), Some(b"value"), &headers);
        assert_eq!(sent.expect("it is taken"), Enqueued::Taken);
    }
    producer.flush(LIMIT).await.expect("everything is acknowledged");
    assert_eq!(producer.in_flight(), 0);
}
