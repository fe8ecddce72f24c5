//! Scenarios that run whole applications against a broker.
//!
//! Each scenario is a test in `tests/`; here is what they share: a broker, topics, a word count to run on it, and the
//! [`verifier`], which lets applications suffer.

mod broker;
mod global_lookup;
#[cfg(doctest)]
mod guide;
mod http_client;
pub mod queries;
mod scenario;
mod topics;
pub mod verifier;
mod word_count;

pub use broker::TestBroker;
pub use global_lookup::global_lookup;
pub use http_client::HttpClient;
pub use scenario::{LIMIT, WordCountScenario, until};
pub use topics::{Counts, Topics};
pub use word_count::{count_of, word_count};
