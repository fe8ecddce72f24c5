//! The verifier: an application under faults, and the proof that its results are right all the same.
//!
//! In the manner of Apache Kafka's system tests (`EosTestClient`, `SmokeTestClient` and their drivers). A [`Plan`] says what
//! runs; [`verify`] starts a broker and several processes of the [`application`](run_application), feeds them, kills, stops and cuts
//! them off by a schedule that follows from the seed, and compares in the end what came out with what went in.

mod application;
mod broker_process;
mod chaos;
pub mod elastic;
mod expected;
mod figures;
mod fleet;
mod input;
mod interception;
mod plan;
mod process;
mod proxy;
mod readback;
mod run;
mod site;
mod status_report;
mod topology;
mod verdict;

pub(crate) use application::end_with_the_starter;
pub use application::{Application, ApplicationOptions, run_application};
pub use broker_process::{BrokerOptions, BrokerProcess, run_broker};
pub use figures::Figures;
pub use plan::{Fault, Plan, Program};
pub use process::Process;
pub use run::verify;
pub use site::SiteOptions;
