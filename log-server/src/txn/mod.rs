//! The transaction coordinator: which producer may use a transactional id, and how its transaction ends.
//!
//! As with groups, the coordinator proper has no sockets, tasks or clocks:
//!
//! - [`transaction`]: one transactional id and its states;
//! - [`coordinator`]: all of them; one step at a time per id, requests meanwhile wait their turn;
//! - [`records`]: the records of `__transaction_state` in Apache Kafka's own schema.
//!
//! [`driver`] is the shell around it; it lets nothing into a transaction that is about to end.
//!
//! A transaction ends in two rounds of the disk: the decision (PREPARE) first, then the markers in all partitions.
//! The client is answered after them, and what its next transaction writes finds nothing left to be done, so there
//! is no CONCURRENT_TRANSACTIONS to retry. The COMPLETE record goes along with whatever is written next: without
//! it a restart writes the markers once more, which changes nothing.

pub(crate) mod config;
pub(crate) mod coordinator;
pub(crate) mod driver;
mod marking;
pub(crate) mod records;
pub(crate) mod transaction;
