//! The HTTP service of an application: queries of its state wherever they land, metrics, health, status, topology.
//!
//! One line turns it on: [`StartWithHttp::start_with_http`] instead of `start`. It listens on the loopback unless told
//! otherwise.
//!
//! | path | what it answers |
//! | --- | --- |
//! | `/stores` | the stores, their partitions and who has them |
//! | `/stores/{store}/keys/{key}` | the value of a key, or its windows, sessions, versions (`from`, `to`, `as_of` in ms) |
//! | `/stores/{store}/entries` | entries of all partitions, in pages (`start`, `end`, `prefix`, `from`, `to`, `reverse`, `limit`, `cursor`) |
//! | `/metrics` | Prometheus' text form |
//! | `/health`, `/health/ready` | 200 while the application lives, or while all its tasks run; else 503 |
//! | `/status` | JSON: state, tasks, owners, lag, restores, stores, last errors |
//! | `/topology`, `/topology/mermaid` | Kafka Streams' `describe()`, a flowchart |
//!
//! Keys and values are JSON where their serde has such a form ([`Serde::to_json`](streams_core::serdes::Serde::to_json)), else
//! `{"base64": "…"}`. A query goes to whichever instance has the partition, as the group's leader has told; ranges are
//! gathered from all of them. While a partition moves or is restored the service asks again until `timeout_ms` has passed;
//! then the answer is a 503 that says why: an answer is right, or is none. With `standbys=true` a standby's copy answers
//! where the owner does not, and the answer says so. With `latest=true` it sees uncommitted writes as well. `position` takes
//! what an earlier answer had as its position: the answer is at least as new.

mod cursor;
mod encoded;
mod error;
mod health;
mod metrics;
mod options;
mod partition_read;
mod partitions;
mod peers;
mod routes;
mod service;
mod shown;
mod start;
mod status;
mod store_query;
mod topology;

pub use error::ServiceError;
pub use options::HttpOptions;
pub use service::HttpService;
pub use start::{Served, StartWithHttp};
