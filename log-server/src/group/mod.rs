//! The group coordinator: who is in a group, which generation it is in, and how far it has read.
//!
//! The coordinator proper is a state machine without sockets, tasks or clocks:
//!
//! - [`classic`]: one group of the classic protocol (join, sync, heartbeat, leave);
//! - [`offsets`]: the committed offsets of one group, transactional ones included;
//! - [`coordinator`]: all groups; turns requests into [`effects`] and knows the next deadline;
//! - [`records`]: the records of `__consumer_offsets` in Apache Kafka's own schema.
//!
//! [`driver`] is the shell around it: it keeps the waiting requests and runs the timer; the records go through the
//! [`journal`](crate::journal).

pub(crate) mod classic;
pub(crate) mod config;
pub(crate) mod coordinator;
pub(crate) mod driver;
pub(crate) mod effects;
pub(crate) mod member;
pub(crate) mod offsets;
pub(crate) mod open;
pub(crate) mod records;
