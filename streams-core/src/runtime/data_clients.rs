//! From the application's settings to those of each client.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::task_settings::production_policy;
use crate::client::wire::WireConfig;
use crate::client::{ClientProperties, DataProducer, RefusalJudge, UndeliveredRecord, Verdict};
use crate::config::{ProcessingGuarantee, StreamsConfig};
use crate::error::Error;
use crate::processor::{DeadLetter, FailedDelivery, ProductionPolicy, Respond};
use crate::task::dead_letter_headers;

/// Longest wait for one connection to a broker; the start's own limit lies above it.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// One try to get a transactional id from its coordinator.
const INIT_TRANSACTIONS_MAX: Duration = Duration::from_secs(5);
/// The part of `transaction.timeout.ms` after which a transaction is committed whatever else is going on.
const TRANSACTION_SHARE: f64 = 0.6;

/// Which of the data clients of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// Reads the inputs.
    Main,
    /// Reads changelogs.
    Restore,
    /// Writes outputs and changelogs.
    Producer,
}

/// The properties of a data client; `name` tells it from its siblings.
pub(super) fn properties(config: &StreamsConfig, kind: ClientKind, name: &str) -> ClientProperties {
    let id = format!("{}-{name}", config.effective_client_id());
    let mut properties = ClientProperties::new(&config.bootstrap_servers, id);
    if kind != ClientKind::Producer {
        let isolation = match config.guarantee {
            ProcessingGuarantee::AtLeastOnce => "read_uncommitted",
            ProcessingGuarantee::ExactlyOnce => "read_committed",
        };
        properties = properties.with("isolation.level", isolation);
    }
    let maps = match kind {
        ClientKind::Main => vec![&config.consumer],
        ClientKind::Restore => vec![&config.consumer, &config.restore_consumer],
        ClientKind::Producer => vec![&config.producer],
    };
    let bounded = kind == ClientKind::Producer && config.guarantee == ProcessingGuarantee::AtLeastOnce;
    properties.delivery_timeout_max = bounded.then(|| delivery_limit(config));
    maps.into_iter().flatten().fold(properties, |properties, (key, value)| properties.with(key, value))
}

/// How long a record may wait in a producer at-least-once. A record is handed over only while the session lasts for this long
/// ([`Lease`](crate::membership::Lease)), so that librdkafka has sent it or dropped it before another instance can own its task:
/// also when the process stands still meanwhile, for librdkafka looks at the time before it sends. (Exactly-once the broker fences.)
pub(super) fn delivery_limit(config: &StreamsConfig) -> Duration {
    config.session_timeout / 2
}

/// The settings of the client for the group and for topics.
///
/// # Errors
/// When the settings of TLS or SASL cannot be used.
pub(super) fn wire(config: &StreamsConfig) -> Result<WireConfig, Error> {
    let mut properties = ClientProperties::new(&config.bootstrap_servers, config.effective_client_id());
    properties.properties = config.admin.clone();
    let mut wire = properties.wire()?;
    wire.request_timeout = config.request_timeout;
    wire.connect_timeout = wire.connect_timeout.min(CONNECT_TIMEOUT_MAX);
    Ok(wire)
}

/// Makes a worker's producers, one after the other.
pub(super) struct ProducerMaker {
    properties: ClientProperties,
    /// With exactly-once: the same after a restart, so that what a former producer left open is given up at once.
    transactional_id: Option<String>,
    /// What is to become of records that the broker refuses; none where they are failures, as in a transaction, which they end.
    judge: Option<Arc<RefusalJudge>>,
    /// How long a record may wait in the producer.
    pub(super) delivery_limit: Duration,
}

impl ProducerMaker {
    /// For the worker of the global stores, which has dead letters to send at most and no transactions.
    pub(super) fn of_global(config: &StreamsConfig) -> Self {
        ProducerMaker {
            properties: properties(config, ClientKind::Producer, "global"),
            transactional_id: None,
            judge: None,
            delivery_limit: delivery_limit(config),
        }
    }

    /// For the worker number `index` of the process `process`.
    pub(super) fn new(config: &StreamsConfig, index: usize, process: Uuid) -> Self {
        let exactly_once = config.guarantee == ProcessingGuarantee::ExactlyOnce;
        ProducerMaker {
            properties: properties(config, ClientKind::Producer, &format!("worker-{index}")),
            transactional_id: exactly_once.then(|| format!("{}-{process}-{index}", config.application_id)),
            judge: Some(production_policy(config))
                .filter(|policy| !exactly_once && policy.may_pass_over())
                .map(|policy| refusal_judge(policy, &config.application_id)),
            delivery_limit: delivery_limit(config),
        }
    }

    /// Starts a producer, in a transaction where there are any.
    ///
    /// # Errors
    /// When a property cannot be used, or the transaction's coordinator does not answer.
    pub(super) async fn make(&self) -> Result<Arc<DataProducer>, Error> {
        let producer = DataProducer::start(&self.properties, self.transactional_id.as_deref())?;
        if let Some(judge) = &self.judge {
            producer.judge_refusals_by(Arc::clone(judge));
        }
        if self.transactional_id.is_some() {
            producer.init_transactions(INIT_TRANSACTIONS_MAX).await?;
            producer.begin_transaction()?;
        }
        Ok(Arc::new(producer))
    }

    /// How long a transaction may go on without a commit: most of what the coordinator allows.
    pub(super) fn transaction_limit(&self) -> Option<Duration> {
        self.transactional_id
            .as_ref()
            .map(|_| self.properties.transaction_timeout().mul_f64(TRANSACTION_SHARE))
    }
}

impl std::fmt::Debug for ProducerMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerMaker")
            .field("properties", &self.properties)
            .field("transactional_id", &self.transactional_id)
            .finish_non_exhaustive()
    }
}

/// Asks the policy about records that the broker refuses. Those of changelogs are never passed over: the store would have what no
/// other instance can restore.
fn refusal_judge(policy: ProductionPolicy, application_id: &str) -> Arc<RefusalJudge> {
    let own = format!("{application_id}-");
    Arc::new(move |record: &UndeliveredRecord<'_>| {
        if record.topic.starts_with(&own) && record.topic.ends_with("-changelog") {
            return Verdict::Fail;
        }
        let error = record.error();
        let response = policy.respond(&FailedDelivery {
            topic: record.topic,
            partition: Some(record.partition),
            key: record.key,
            value: record.value,
            unserialized: None,
            error: &error,
            record: None,
            attempt: 0,
        });
        match response {
            Respond::Fail | Respond::Retry => Verdict::Fail,
            Respond::Continue => Verdict::PassOver,
            Respond::DeadLetter(topic) => {
                let mut headers = record.headers.clone();
                // One that comes back from the dead-letter topic has them already.
                if *record.topic != *topic {
                    let message = error.to_string();
                    let letter = DeadLetter {
                        topic: Arc::clone(&topic),
                        exception: "ProductionError",
                        message,
                        node: None,
                    };
                    dead_letter_headers(&mut headers, &letter, None, None);
                }
                Verdict::SendTo { topic, headers }
            }
        }
    })
}
