//! What the server counts, and how Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;

use crate::broker::Broker;
use crate::group::classic::GroupState;

/// The bounds of the latency histogram, in microseconds.
const LATENCY_BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// The counters of one server. They only grow, and are changed without order between them.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests by API key.
    requests: BTreeMap<i16, Latencies>,
    /// Requests that could not be answered: the connection was closed.
    pub(crate) faults: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
    /// Connections that were closed at once, for there were too many.
    pub(crate) connections_refused: AtomicU64,
    pub(crate) logins: AtomicU64,
    pub(crate) failed_logins: AtomicU64,
}

/// How long the requests of an API took.
#[derive(Debug, Default)]
struct Latencies {
    /// Requests up to each bound, and those above the last.
    counts: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

/// Times one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    api_key: i16,
    begun: Instant,
}

impl Stopwatch {
    /// A request of that API that came whole at that time.
    pub(crate) fn start(api_key: i16, begun: Instant) -> Self {
        Stopwatch { api_key, begun }
    }
}

impl Metrics {
    /// Counters at zero.
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Metrics {
            requests: ApiKey::iter().map(|key| (key as i16, Latencies::default())).collect(),
            faults: zero(),
            bytes_in: zero(),
            bytes_out: zero(),
            connections_opened: zero(),
            connections_closed: zero(),
            connections_refused: zero(),
            logins: zero(),
            failed_logins: zero(),
        }
    }

    /// Counts a request whose answer is there.
    pub(crate) fn count_request(&self, watch: Stopwatch) {
        let Some(latencies) = self.requests.get(&watch.api_key) else { return };
        let elapsed_us = u64::try_from(watch.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let place = LATENCY_BOUNDS_US.partition_point(|bound| *bound < elapsed_us);
        latencies.counts[place].fetch_add(1, Ordering::Relaxed);
        latencies.total_us.fetch_add(elapsed_us, Ordering::Relaxed);
    }

    fn render_requests(&self, page: &mut Page) {
        let named =
            |key: &i16| ApiKey::try_from(*key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"));
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        page.family("log_server_requests_total", "counter", "Requests by API.");
        for (key, latencies) in &self.requests {
            let total: u64 = latencies.counts.iter().map(load).sum();
            if total == 0 {
                continue;
            }
            page.sample("log_server_requests_total", &[("api", &named(key))], total);
        }
        let family = "log_server_request_seconds";
        page.family(
            family,
            "histogram",
            "Time from a whole request to its answer, with what it had to wait for.",
        );
        for (key, latencies) in &self.requests {
            let (api, mut total) = (named(key), 0);
            if latencies.counts.iter().all(|count| load(count) == 0) {
                continue;
            }
            for (place, count) in latencies.counts.iter().enumerate() {
                total += load(count);
                let bound = LATENCY_BOUNDS_US.get(place).map(|bound| seconds(*bound));
                let bound = bound.unwrap_or_else(|| "+Inf".to_owned());
                page.sample(&format!("{family}_bucket"), &[("api", &api), ("le", &bound)], total);
            }
            page.sample(&format!("{family}_sum"), &[("api", &api)], seconds(load(&latencies.total_us)));
            page.sample(&format!("{family}_count"), &[("api", &api)], total);
        }
    }
}

fn seconds(micros: u64) -> String {
    Duration::from_micros(micros).as_secs_f64().to_string()
}

impl Broker {
    /// The metrics in Prometheus' text format 0.0.4.
    pub(crate) fn render_metrics(&self) -> String {
        let metrics = self.metrics();
        let mut page = Page(String::new());
        metrics.render_requests(&mut page);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let opened = load(&metrics.connections_opened);
        let totals = [
            (
                "log_server_request_faults_total",
                "Requests that closed their connection.",
                load(&metrics.faults),
            ),
            ("log_server_bytes_in_total", "Bytes of requests.", load(&metrics.bytes_in)),
            ("log_server_bytes_out_total", "Bytes of answers.", load(&metrics.bytes_out)),
            ("log_server_connections_opened_total", "Connections accepted.", opened),
            (
                "log_server_connections_refused_total",
                "Connections closed for there were too many.",
                load(&metrics.connections_refused),
            ),
            ("log_server_logins_total", "Successful logins.", load(&metrics.logins)),
            ("log_server_failed_logins_total", "Failed logins.", load(&metrics.failed_logins)),
        ];
        for (name, help, value) in totals {
            page.family(name, "counter", help);
            page.sample(name, &[], value);
        }
        let partitions: usize = self.topics().all().iter().map(|topic| topic.partitions().len()).sum();
        let gauges = [
            (
                "log_server_connections",
                "Open connections.",
                opened.saturating_sub(load(&metrics.connections_closed)),
            ),
            (
                "log_server_request_memory_bytes",
                "Memory of large requests.",
                self.request_memory().taken_bytes() as u64,
            ),
            (
                "log_server_response_memory_bytes",
                "Memory of fetched records.",
                self.response_memory().taken_bytes() as u64,
            ),
            ("log_server_uptime_seconds", "Time since the start.", self.uptime().as_secs()),
            ("log_server_topics", "Topics.", self.topics().all().len() as u64),
            ("log_server_partitions", "Partitions.", partitions as u64),
        ];
        for (name, help, value) in gauges {
            page.family(name, "gauge", help);
            page.sample(name, &[], value);
        }
        self.render_groups(&mut page);
        self.render_partitions(&mut page);
        page.0
    }

    fn render_groups(&self, page: &mut Page) {
        let groups = self.groups().list();
        page.family("log_server_groups", "gauge", "Groups by state.");
        for state in [
            GroupState::Empty,
            GroupState::PreparingRebalance,
            GroupState::CompletingRebalance,
            GroupState::Stable,
        ] {
            let count = groups.iter().filter(|group| group.state == state).count();
            page.sample("log_server_groups", &[("state", &state.to_string())], count as u64);
        }
        page.family(
            "log_server_open_transactions",
            "gauge",
            "Transactions that are neither committed nor aborted.",
        );
        let transactions = self.transactions().list();
        let open = transactions.iter().filter(|(_, transaction)| transaction.started_ms >= 0).count();
        page.sample("log_server_open_transactions", &[], open as u64);
    }

    fn render_partitions(&self, page: &mut Page) {
        let families = [
            ("log_server_partition_start_offset", "First offset of the partition."),
            ("log_server_partition_end_offset", "Offset after the last visible record."),
            ("log_server_partition_bytes", "Bytes of the partition's segments."),
            ("log_server_partition_failed", "1 after a disk error, until the server is restarted."),
        ];
        let topics = self.topics().all();
        for (place, (name, help)) in families.into_iter().enumerate() {
            page.family(name, "gauge", help);
            for topic in &topics {
                for log in topic.partitions().iter() {
                    let marks = log.watermarks();
                    let value = match place {
                        0 => u64::try_from(marks.log_start).unwrap_or(0),
                        1 => u64::try_from(marks.high).unwrap_or(0),
                        2 => log.size_bytes(),
                        _ => u64::from(marks.failed),
                    };
                    let partition = log.partition().to_string();
                    page.sample(name, &[("topic", &topic.name), ("partition", &partition)], value);
                }
            }
        }
    }

    /// Whether all partitions take records.
    ///
    /// # Errors
    /// A sentence that names a partition that does not.
    pub(crate) fn check_health(&self) -> Result<(), String> {
        if self.shutdown_token().is_cancelled() {
            return Err("the server is stopping".to_owned());
        }
        for topic in self.topics().all() {
            if let Some(log) = topic.partitions().iter().find(|log| log.watermarks().failed) {
                return Err(format!(
                    "topic {} partition {} had a disk error; repair the disk and restart the server",
                    topic.name,
                    log.partition()
                ));
            }
        }
        Ok(())
    }
}

/// A page of metrics. Label values here are names of topics, states and APIs, which need no escaping.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
