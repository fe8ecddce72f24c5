//! What is measured of stores and of the storage below them, under the names of Kafka Streams' metrics.

use std::time::Duration;

use metrics::Histogram;

/// Kafka Streams' group of these metrics, as Prometheus sees it.
const GROUP: &str = "kafka_streams_stream_state_metrics";

/// An operation of a store whose time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOperation {
    /// `get-latency`: a look-up of one key.
    Get,
    /// `put-latency`: a write of one key, or a change in place.
    Put,
    /// `delete-latency`.
    Delete,
    /// `range-latency`: the beginning of a scan of a store without windows.
    Range,
    /// `fetch-latency`: a look-up, or the beginning of a scan, in a store with windows.
    Fetch,
    /// `flush-latency`: what a cache holds back is written.
    Flush,
    /// `restore-latency`: a batch of changelog records is put into the store.
    Restore,
}

/// Every operation with its name.
const OPERATIONS: [(StoreOperation, &str); 7] = [
    (StoreOperation::Get, "get"),
    (StoreOperation::Put, "put"),
    (StoreOperation::Delete, "delete"),
    (StoreOperation::Range, "range"),
    (StoreOperation::Fetch, "fetch"),
    (StoreOperation::Flush, "flush"),
    (StoreOperation::Restore, "restore"),
];

/// How long the operations of one store take, in nanoseconds as in Kafka Streams. A store is given them where
/// `metrics.recording.level` is `DEBUG`; without them it does not look at the time.
#[derive(Debug, Clone)]
pub struct StoreSensors([Histogram; OPERATIONS.len()]);

impl StoreSensors {
    /// The sensors of a store in a task.
    pub fn new(task: &str, store: &str) -> Self {
        StoreSensors(OPERATIONS.map(|(_, operation)| {
            let labels = [("task_id", task.to_owned()), ("store", store.to_owned())];
            metrics::histogram!(format!("{GROUP}_{operation}_latency"), &labels)
        }))
    }

    /// Notes an operation and how long it took.
    pub fn note(&self, operation: StoreOperation, took: Duration) {
        self.0[operation as usize].record(took.as_nanos() as f64);
    }
}

/// A figure that the storage below a store tells: of one keyspace, to be summed over those of a store, or of all
/// databases of the process together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StorageFigure {
    /// Kafka Streams' name of the metric, with underscores.
    pub name: &'static str,
    /// Its value now.
    pub value: f64,
}

/// The full name of a storage figure's metric.
pub(crate) fn storage_metric(figure: &str) -> String {
    format!("{GROUP}_{figure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_place() {
        for (place, (operation, _)) in OPERATIONS.iter().enumerate() {
            assert_eq!(*operation as usize, place);
        }
    }
}
