//! What a task measures, under the names that Kafka Streams' metrics have in Prometheus: `kafka_streams_<type>_<metric>`.
//!
//! Handles are made once per task, so whoever wants the figures installs a recorder before the application starts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram};

use crate::record::{FetchedRecord, TopicPartition};
use crate::state::{StateStore, storage_metric};
use crate::task::{StreamTask, TaskCounters};
use crate::time::Timestamp;

/// How often stores are looked at.
const STORES_INTERVAL: Duration = Duration::from_secs(5);

/// The metrics of one task.
pub(super) struct TaskMetrics {
    process: Counter,
    process_latency: Histogram,
    dropped: Counter,
    punctuate: Counter,
    enforced: Counter,
    buffered: Gauge,
    lag: Gauge,
    commit: Counter,
    inputs: Vec<InputMetrics>,
    stores: Vec<StoreMetrics>,
    stores_at: Option<Instant>,
    counted: TaskCounters,
}

struct InputMetrics {
    records: Counter,
    bytes: Counter,
    e2e_latency: Histogram,
    lag: Gauge,
}

struct StoreMetrics {
    labels: [(&'static str, String); 3],
    entries: Gauge,
    uncommitted_bytes: Gauge,
    cache_bytes: Gauge,
    /// What the storage below tells, by its name.
    storage: BTreeMap<&'static str, Gauge>,
}

impl StoreMetrics {
    fn note(&mut self, store: &dyn StateStore) {
        self.entries.set(store.approximate_len() as f64);
        self.uncommitted_bytes.set(store.uncommitted_bytes() as f64);
        self.cache_bytes.set(store.cache_bytes() as f64);
        let database = store.database();
        let mut sums: BTreeMap<&'static str, f64> = BTreeMap::new();
        for figure in store.keyspaces().into_iter().flat_map(|keyspace| database.figures(keyspace)) {
            *sums.entry(figure.name).or_default() += figure.value;
        }
        sums.extend(database.shared_figures().into_iter().map(|figure| (figure.name, figure.value)));
        let labels = &self.labels;
        for (name, value) in sums {
            let gauge = || metrics::gauge!(storage_metric(name), labels);
            self.storage.entry(name).or_insert_with(gauge).set(value);
        }
    }

    fn gauges(&self) -> impl Iterator<Item = &Gauge> {
        [&self.entries, &self.uncommitted_bytes, &self.cache_bytes].into_iter().chain(self.storage.values())
    }
}

impl TaskMetrics {
    /// The metrics of a task that a worker's thread runs; `sources` names the source node of each input.
    pub(super) fn new<M: FetchedRecord>(thread: &str, task: &StreamTask<M>, sources: &[Arc<str>]) -> Self {
        let labels = [("thread_id", thread.to_owned()), ("task_id", task.id().to_string())];
        let input = |(partition, source): (&TopicPartition, &Arc<str>)| {
            let [thread, task] = labels.clone();
            let topic = [thread, task, ("topic", partition.topic.to_string())];
            let [thread, task] = labels.clone();
            let node = [thread, task, ("processor_node_id", source.to_string())];
            let [_, task] = labels.clone();
            let place = [
                task,
                ("topic", partition.topic.to_string()),
                ("partition", partition.partition.to_string()),
            ];
            InputMetrics {
                records: metrics::counter!(
                    "kafka_streams_stream_topic_metrics_records_consumed_total",
                    &topic
                ),
                bytes: metrics::counter!("kafka_streams_stream_topic_metrics_bytes_consumed_total", &topic),
                e2e_latency: metrics::histogram!(
                    "kafka_streams_stream_processor_node_metrics_record_e2e_latency",
                    &node
                ),
                lag: metrics::gauge!("kafka_consumer_fetch_manager_metrics_records_lag", &place),
            }
        };
        let store = |store: &dyn StateStore| {
            let [thread, task] = labels.clone();
            let labels = [thread, task, ("store", store.name().to_owned())];
            StoreMetrics {
                entries: metrics::gauge!("kafka_streams_stream_state_metrics_estimate_num_keys", &labels),
                uncommitted_bytes: metrics::gauge!(
                    "kafka_streams_stream_state_metrics_uncommitted_bytes",
                    &labels
                ),
                cache_bytes: metrics::gauge!("kafka_streams_stream_state_metrics_cache_bytes", &labels),
                storage: BTreeMap::new(),
                labels,
            }
        };
        metrics::counter!("kafka_streams_stream_thread_metrics_task_created_total", "thread_id" => thread.to_owned())
            .increment(1);
        TaskMetrics {
            process: metrics::counter!("kafka_streams_stream_task_metrics_process_total", &labels),
            process_latency: metrics::histogram!(
                "kafka_streams_stream_task_metrics_process_latency",
                &labels
            ),
            dropped: metrics::counter!("kafka_streams_stream_task_metrics_dropped_records_total", &labels),
            punctuate: metrics::counter!("kafka_streams_stream_task_metrics_punctuate_total", &labels),
            enforced: metrics::counter!(
                "kafka_streams_stream_task_metrics_enforced_processing_total",
                &labels
            ),
            buffered: metrics::gauge!("kafka_streams_stream_task_metrics_active_buffer_count", &labels),
            lag: metrics::gauge!("kafka_streams_stream_task_metrics_records_lag", &labels),
            commit: metrics::counter!("kafka_streams_stream_task_metrics_commit_total", &labels),
            inputs: task.inputs().iter().zip(sources).map(input).collect(),
            stores: task.stores().iter().map(|it| store(it.as_ref())).collect(),
            stores_at: None,
            counted: TaskCounters::default(),
        }
    }

    /// Notes a fetched batch.
    pub(super) fn note_fetched(&self, input: usize, records: usize, bytes: usize) {
        let Some(input) = self.inputs.get(input) else { return };
        input.records.increment(records as u64);
        input.bytes.increment(bytes as u64);
    }

    /// Notes a slice of work that has processed something: how long it took, and how old its last record was then.
    pub(super) fn note_slice(&self, took: Duration, last: Option<(usize, Timestamp)>, now: Timestamp) {
        self.process_latency.record(took.as_secs_f64() * 1e3);
        let Some((input, time)) = last else { return };
        if let Some(input) = self.inputs.get(input) {
            input.e2e_latency.record(now.as_millis().saturating_sub(time.as_millis()).max(0) as f64);
        }
    }

    pub(super) fn note_commit(&self) {
        self.commit.increment(1);
    }

    /// Notes the lag of each input where it is known.
    pub(super) fn note_lags(&self, lags: impl Iterator<Item = Option<i64>>) {
        let mut sum = 0;
        for (input, lag) in self.inputs.iter().zip(lags) {
            let Some(lag) = lag else { continue };
            input.lag.set(lag as f64);
            sum += lag;
        }
        self.lag.set(sum as f64);
    }

    /// Notes what the task has counted, and now and then how large its stores are.
    pub(super) fn note_counters<M: FetchedRecord>(&mut self, counters: TaskCounters, task: &StreamTask<M>) {
        let before = std::mem::replace(&mut self.counted, counters);
        self.process.increment(counters.processed - before.processed);
        self.dropped.increment(counters.dropped - before.dropped);
        self.punctuate.increment(counters.punctuations - before.punctuations);
        self.enforced.increment(counters.enforced - before.enforced);
        self.buffered.set(task.buffered_records() as f64);
        if self.stores_at.is_some_and(|at| at.elapsed() < STORES_INTERVAL) {
            return;
        }
        self.stores_at = Some(Instant::now());
        for (shown, store) in self.stores.iter_mut().zip(task.stores()) {
            shown.note(store.as_ref());
        }
    }
}

impl Drop for TaskMetrics {
    fn drop(&mut self) {
        // What is another instance's now is no lag of this one.
        let gauges =
            [&self.buffered, &self.lag].into_iter().chain(self.inputs.iter().map(|input| &input.lag));
        let stores = self.stores.iter().flat_map(StoreMetrics::gauges);
        gauges.chain(stores).for_each(|gauge| gauge.set(0.0));
    }
}

impl std::fmt::Debug for TaskMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TaskMetrics")
    }
}
