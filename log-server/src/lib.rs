//! A single-node log server that speaks the Kafka wire protocol.
//!
//! It runs as the program `log-server` or inside another program:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use log_server::{LogServer, LogServerConfig};
//!
//! let server = LogServer::start(LogServerConfig::temporary()?).await?;
//! println!("clients connect to {}", server.address());
//! server.shutdown().await?;
//! # Ok::<(), log_server::Error>(())
//! # }).unwrap();
//! ```
//!
//! # A request's way
//! 1. `server` listens, `doorkeeper` lets connections in (limits, TLS) and hands them to `connection`, which cuts frames
//!    from the stream. `session` is what handlers see of a connection: who is at its other end.
//! 2. `api` finds the frame's API in its one table, checks that the client has logged in if it must, checks the body's
//!    form (`protocol::Shape`), decodes it and calls the handler; there is one file per API.
//! 3. The handler asks its `RequestContext` whether the client may do that (`security`), and works on the `Broker`:
//!    topics (`topics`) and their partition logs (`log`), groups (`group`), transactions (`txn`).
//! 4. Answers leave in the order of the requests; a produce request's answer waits until its records are
//!    durable, while the next requests of the same connection are already being worked on.
//!
//! # Who may connect
//! It listens on a loopback address without login, unless told otherwise: any other address needs a listener whose
//! clients log in (SASL) or show certificates, or [`LogServerConfig::insecure`]. Users are those of the configuration
//! and those that Kafka's tools add; access control lists are checked once an authorizer is configured.
//! [`Limits`] keeps slow and hostile clients from starving the others.
//!
//! # What survives
//! [`FsyncPolicy`] (`--fsync`) says when records are forced to the disk. A crash of the process alone loses nothing that was
//! acknowledged, whatever the policy. A power cut loses nothing with `always`, the last interval with `interval`, and what
//! the operating system had not written yet with `never`.
//!
//! What `always` costs depends on the disk: one sync serves all requests that wait for it, so it is felt by few small
//! requests, and hardly by many or large ones. Measured with `acks=all` on two cores and a disk that others used as well, as
//! a guide to the proportions only:
//!
//! | load | `never` | `always` |
//! | --- | --- | --- |
//! | 2 connections, requests of 900 KiB, four in flight each | 294–367 MB/s | 149–186 MB/s |
//! | 2 connections, requests of 60 KiB, four in flight each | 271–305 MB/s | 169–196 MB/s |
//! | 1 connection, requests of 60 KiB, four in flight | 190 MB/s | 35 MB/s |
//! | transactions of one record, one after the other | 89 per second | 55 per second |
//!
//! When the disk is full, producers get KAFKA_STORAGE_ERROR, reads go on, and writes do as soon as there is space. When
//! a sync fails, nobody knows what the disk holds: the partition refuses writes until a restart has recovered it, and goes on
//! serving what was durable.
//!
//! After an unclean stop every segment from the recovery point on is scanned, cut at the first batch that is not sound, and
//! its indexes are built anew; a new leader epoch tells consumers. After a clean stop only the last batches are looked at.
//! A batch that was damaged later is never served: readers get CORRUPT_MESSAGE at its offset, the log says where it is, and
//! `log-server verify` finds all of them; records before and in other segments stay readable.
//!
//! # What is left out
//! - Fetch sessions (every fetch request stands for itself), Produce 13 (topic ids), quotas, delegation tokens, KIP-848
//!   and KIP-1071 groups; SASL by GSSAPI and OAUTHBEARER; one certificate serves all listeners and is read at the start.
//! - Several nodes: replication factor 1 is the only one. Point clients at Apache Kafka for more.
//! - The limit of open files: the program raises it to what the user may have (`ulimit -Hn`), the library leaves it. A
//!   partition takes one, a closed segment three, a connection one.
//! - `file.delete.delay.ms`, `flush.*`, `preallocate` and the settings of tiered storage are accepted without effect;
//!   compression levels are the codecs' own defaults.
//! - A batch's timestamps are bounded only if a topic asks for it: records of the past and the future are stored.

mod api;
mod broker;
mod clock;
mod config;
mod connection;
mod disk;
mod doorkeeper;
mod error;
mod group;
mod http;
mod inspect;
mod journal;
mod listener;
mod log;
mod memory;
mod metrics;
mod moment;
mod newcomers;
mod protocol;
mod records;
mod security;
mod server;
mod session;
mod topics;
mod txn;

pub use config::{FsyncPolicy, Limits, LogServerConfig, Property, read_properties};
pub use error::Error;
pub use inspect::{VerifyReport, dump_segment, verify_data_dir};
pub use listener::{Listener, SecurityProtocol};
pub use security::{ClientAuth, SaslMechanism, TlsConfig};
pub use server::LogServer;
