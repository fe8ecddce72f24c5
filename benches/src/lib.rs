//! The benchmark: the workloads of a Kafka Streams benchmark, with its command line, topics, formats and result, written
//! against this project. `benches/README.md` describes them.

mod arguments;
mod broker;
mod error;
mod inputs;
mod limits;
mod load;
mod process;
mod verify;
mod workload;

pub use arguments::{
    Arguments, Command, LimitArguments, LoadArguments, RunArguments, SuiteArguments, VerifyArguments,
};
pub use broker::Broker;
pub use error::Error;
pub use inputs::{Inputs, Numbers, Record};
pub use limits::limits;
pub use load::load;
pub use process::{Process, size_of};
pub use verify::verify;
pub use workload::Workload;
