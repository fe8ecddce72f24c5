//! What the server counts, and how Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_protocol::messages::ApiKey;

use crate::broker::Broker;

/// The counters of one server. They only grow, and are changed without order between them.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests by API key.
    requests: BTreeMap<i16, AtomicU64>,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
}

impl Metrics {
    /// Counters at zero, for these API keys.
    pub(crate) fn new(api_keys: impl Iterator<Item = i16>) -> Self {
        Metrics {
            requests: api_keys.map(|key| (key, AtomicU64::new(0))).collect(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            connections_opened: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
        }
    }

    /// Counts a request.
    pub(crate) fn count_request(&self, api_key: i16) {
        if let Some(count) = self.requests.get(&api_key) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Broker {
    /// The metrics in Prometheus' text format 0.0.4.
    pub(crate) fn render_metrics(&self) -> String {
        let metrics = self.metrics();
        let mut page = Page(String::new());
        page.family("log_server_requests_total", "counter", "Requests by API.");
        for (key, count) in &metrics.requests {
            let name = ApiKey::try_from(*key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"));
            page.sample("log_server_requests_total", &[("api", &name)], count.load(Ordering::Relaxed));
        }
        let opened = metrics.connections_opened.load(Ordering::Relaxed);
        let closed = metrics.connections_closed.load(Ordering::Relaxed);
        let totals = [
            ("log_server_bytes_in_total", "Bytes of requests.", metrics.bytes_in.load(Ordering::Relaxed)),
            ("log_server_bytes_out_total", "Bytes of answers.", metrics.bytes_out.load(Ordering::Relaxed)),
            ("log_server_connections_opened_total", "Connections accepted.", opened),
        ];
        for (name, help, value) in totals {
            page.family(name, "counter", help);
            page.sample(name, &[], value);
        }
        page.family("log_server_connections", "gauge", "Open connections.");
        page.sample("log_server_connections", &[], opened.saturating_sub(closed));
        self.render_partitions(&mut page);
        page.0
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

/// A page of metrics. Label values here are names of topics and APIs, which need no escaping.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
