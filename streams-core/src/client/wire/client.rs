//! The client: brokers found by role, connections kept by address, retries within a time limit.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::WireConfig;
use super::connection::Connection;
use super::error::WireError;
use super::metadata::{BrokerAddress, ClusterMetadata};
use super::retry::{Backoff, jittered};
use crate::record::TopicPartition;

/// A Kafka client for admin requests and group membership. Clones share connections.
#[derive(Clone)]
pub struct WireClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: WireConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// One slot an address; its own lock lets one caller connect while the others wait for the same connection.
    slots: HashMap<String, Arc<tokio::sync::Mutex<Slot>>>,
    /// Addresses of the brokers last heard of, asked before the bootstrap servers.
    brokers: Vec<String>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// Failed attempts in a row.
    failures: u32,
    /// When the next attempt may be made.
    not_before: Option<Instant>,
}

impl WireClient {
    /// A client that connects when first used; needs a tokio runtime then.
    pub fn new(config: WireConfig) -> Self {
        Self { shared: Arc::new(Shared { config, state: Mutex::default() }) }
    }

    /// The client's settings.
    pub fn config(&self) -> &WireConfig {
        &self.shared.config
    }

    /// An open connection to `address` (`host:port`), shared with all who ask for the same.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn connect(&self, address: &str) -> Result<Connection, WireError> {
        let slot = Arc::clone(self.state().slots.entry(address.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        if let Some(not_before) = slot.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        match Connection::open(address, &self.shared.config).await {
            Ok(connection) => {
                *slot = Slot { connection: Some(connection.clone()), ..Slot::default() };
                Ok(connection)
            }
            Err(error) => {
                slot.connection = None;
                slot.not_before = Some(Instant::now() + self.pause_after(slot.failures));
                slot.failures = slot.failures.saturating_add(1);
                Err(error)
            }
        }
    }

    /// A connection to any broker that answers.
    pub(super) async fn any_broker(&self) -> Result<Connection, WireError> {
        let mut addresses = self.state().brokers.clone();
        for server in &self.shared.config.bootstrap_servers {
            if !addresses.contains(server) {
                addresses.push(server.clone());
            }
        }
        let mut tried = Vec::new();
        for address in &addresses {
            match self.connect(address).await {
                Ok(connection) => return Ok(connection),
                Err(error @ (WireError::Authentication { .. } | WireError::Unsupported { .. })) => {
                    return Err(error);
                }
                Err(error) => tried.push(error.to_string()),
            }
        }
        let tried = if tried.is_empty() { "bootstrap.servers is empty".to_owned() } else { tried.join("; ") };
        Err(WireError::NoBroker { tried })
    }

    /// A connection to the broker that creates topics.
    pub(super) async fn controller(&self) -> Result<Connection, WireError> {
        let cluster = self.metadata(Some(&[])).await?;
        match cluster.brokers.get(&cluster.controller_id) {
            Some(controller) => self.connect(&controller.address()).await,
            // Brokers without a controller to name pass the request on themselves.
            None => self.any_broker().await,
        }
    }

    /// Sorts `partitions` by the broker that leads them.
    pub(super) async fn leaders(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(BrokerAddress, Vec<TopicPartition>)>, WireError> {
        let mut topics: Vec<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        let cluster = self.metadata(Some(&topics)).await?;
        let mut by_leader: Vec<(BrokerAddress, Vec<TopicPartition>)> = Vec::new();
        for partition in partitions {
            let Some(leader) = cluster.leader(partition) else {
                let topic = partition.topic.to_string();
                return Err(WireError::NoLeader { topic, partition: partition.partition });
            };
            match by_leader.iter_mut().find(|(broker, _)| broker == leader) {
                Some((_, led)) => led.push(partition.clone()),
                None => by_leader.push((leader.clone(), vec![partition.clone()])),
            }
        }
        Ok(by_leader)
    }

    /// Runs `attempt` until it succeeds, fails for good, or `api_timeout` has passed.
    // Not `AsyncFn`: the compiler cannot show that the future of a call with one is `Send`.
    pub(super) async fn retrying<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, WireError>
    where
        F: Future<Output = Result<T, WireError>>,
    {
        let mut backoff = Backoff::new(&self.shared.config);
        loop {
            match attempt().await {
                Err(error) if error.is_retriable() || error.is_misrouted() => {
                    tracing::debug!(%error, "request failed, trying again");
                    if !backoff.pause().await {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    /// Keeps the addresses of the brokers for later requests.
    pub(super) fn remember(&self, cluster: &ClusterMetadata) {
        if !cluster.brokers.is_empty() {
            self.state().brokers = cluster.brokers.values().map(BrokerAddress::address).collect();
        }
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let config = &self.shared.config;
        jittered(config.retry_backoff.saturating_mul(1 << failures.min(10)).min(config.retry_backoff_max))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WireClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireClient").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
