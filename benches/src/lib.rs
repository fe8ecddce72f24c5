//! The benchmark: the workloads of a Kafka Streams benchmark, with its command line, topics, formats and result, written
//! against this project. `benches/README.md` describes them.

mod arguments;
mod assignor;
mod bare_graph;
mod bare_task;
mod broker;
mod compare;
mod counters;
mod error;
mod guarantees;
mod inputs;
mod limits;
mod live;
mod load;
mod model;
pub mod operators;
mod process;
pub mod recovery;
mod restore;
mod run;
mod stalls;
mod suite;
mod takeover;
mod topologies;
mod verify;
mod watch;
mod workload;

pub use arguments::{
    Arguments, AssignorArguments, Command, CompareArguments, GuaranteeArguments, LimitArguments,
    LoadArguments, RunArguments, ScenarioArguments, ServeArguments, SuiteArguments, TakeoverArguments,
    VerifyArguments,
};
pub use assignor::assignor;
pub use bare_graph::BareGraph;
pub use bare_task::BareTask;
pub use broker::Broker;
pub use compare::compare;
pub use error::Error;
pub use guarantees::guarantees;
pub use inputs::{Inputs, Numbers, Record};
pub use limits::limits;
pub use load::load;
pub use process::{Process, size_of};
pub use run::run;
pub use suite::{serve, suite};
pub use takeover::takeover;
pub use verify::verify;
pub use workload::Workload;
