//! Random keys through any instance's HTTP service while instances come and go: each answer must be right, or say that asking
//! again will help.

mod instance;
mod plan;
mod run;
mod storm;

pub use instance::{QueriedOptions, run_queried};
pub use plan::{QueryFigures, QueryPlan};
pub use run::query;
