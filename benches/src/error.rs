//! What can go wrong in a benchmark.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A fault of a run, a load or a check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// librdkafka's own.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The broker refused to create or delete a topic.
    #[error("topic `{topic}` could not be {doing}: {code}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's answer.
        code: RDKafkaErrorCode,
        /// What was asked for.
        doing: &'static str,
    },
    /// An input topic is missing.
    #[error("there is no topic `{topic}`; fill it first with `bench load`")]
    NoInput {
        /// Its name.
        topic: String,
    },
    /// A record of an output topic cannot be read.
    #[error("topic `{topic}`, partition {partition}, offset {offset}: {why}")]
    Output {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// What is wrong with it.
        why: String,
    },
    /// The run did not end in time.
    #[error(
        "ran past --timeout of {seconds} s: {records} records in, {inner_done} of {inner_sent} through the repartition topic"
    )]
    Timeout {
        /// The limit in seconds.
        seconds: u64,
        /// Input records processed.
        records: u64,
        /// Records read from the repartition topic.
        inner_done: u64,
        /// Records sent there.
        inner_sent: u64,
    },
    /// A scenario got stuck.
    #[error("after {seconds} s still waiting until {waiting_for}")]
    Stuck {
        /// What was waited for.
        waiting_for: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The file system's.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// A program that was called failed.
    #[error("`{line}` ended with {status}: {output}")]
    Child {
        /// Its command line.
        line: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// A topic cannot be fetched.
    #[error("topic `{topic}` cannot be fetched: {source}")]
    Fetch {
        /// The topic.
        topic: String,
        /// Why.
        source: Box<streams_dsl::client::ClientError>,
    },
    /// The log server's.
    #[error(transparent)]
    LogServer(#[from] log_server::Error),
    /// The streams failed.
    #[error(transparent)]
    Streams(Box<streams_dsl::Error>),
    /// A processor failed.
    #[error(transparent)]
    Processor(#[from] streams_dsl::processor::ProcessorError),
    /// A task failed.
    #[error(transparent)]
    Task(#[from] Box<streams_dsl::task::TaskError>),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] streams_dsl::state::StoreError),
    /// The streams ended by themselves.
    #[error("the streams ended before the input did")]
    Ended,
    /// The workload has no direct computation to compare with.
    #[error("the workload `{0}` cannot be verified")]
    NotVerifiable(crate::Workload),
}

impl Error {
    /// The exit code of the program: 4 where time has run out, 3 where the streams have failed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Timeout { .. } => 4,
            Error::Streams(_) | Error::Ended => 3,
            _ => 1,
        }
    }
}

impl From<streams_dsl::Error> for Error {
    fn from(error: streams_dsl::Error) -> Self {
        Error::Streams(Box::new(error))
    }
}

impl From<streams_dsl::ConfigError> for Error {
    fn from(error: streams_dsl::ConfigError) -> Self {
        streams_dsl::Error::from(error).into()
    }
}

impl From<streams_dsl::task::TaskError> for Error {
    fn from(error: streams_dsl::task::TaskError) -> Self {
        Box::new(error).into()
    }
}

impl From<streams_dsl::topology::TopologyError> for Error {
    fn from(error: streams_dsl::topology::TopologyError) -> Self {
        streams_dsl::Error::from(error).into()
    }
}
