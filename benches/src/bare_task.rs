//! A topology's one task without what stands around it: bytes in, bytes out, no client.

use std::path::PathBuf;
use std::sync::Arc;

use streams_dsl::processor::PartitionCounts;
use streams_dsl::record::{OwnedRecord, TopicPartition};
use streams_dsl::state::ReadOnlyStores;
use streams_dsl::task::{Gathered, StreamTask, TaskConfig, TaskSetup};
use streams_dsl::time::Timestamp;
use streams_dsl::topology::{ApplicationTopology, TaskId, Topology};

use crate::Error;

/// The task of a topology without stores, to be fed with records as the fetch brings them: what a record costs from its
/// bytes in the queue to the bytes for the producer.
#[derive(Debug)]
pub struct BareTask {
    task: StreamTask<OwnedRecord>,
    gathered: Gathered,
}

impl BareTask {
    /// Opens the task that reads one partition of `topic`.
    ///
    /// # Errors
    /// When no source has the topic.
    pub fn new(topology: Topology, topic: &str) -> Result<Self, Error> {
        let mut task = StreamTask::open(TaskSetup {
            id: TaskId::new(0, 0),
            application: Arc::new(ApplicationTopology::new(Arc::new(topology), "bench")),
            inputs: vec![TopicPartition::new(topic, 0)],
            state_dir: PathBuf::new(),
            globals: ReadOnlyStores::default(),
            partition_counts: PartitionCounts::default(),
            config: TaskConfig::default(),
        })?;
        task.start(Timestamp::ZERO, &[None])?;
        Ok(BareTask { task, gathered: Gathered::default() })
    }

    /// Queues a batch, processes it and takes its output out; answers how many records came out.
    ///
    /// # Errors
    /// Those of the task.
    pub fn process(&mut self, records: Vec<OwnedRecord>) -> Result<usize, Error> {
        let batch = records.len();
        self.task.add_records(0, records);
        self.task.process(Timestamp::ZERO, batch)?;
        self.gathered = self.task.gather(std::mem::take(&mut self.gathered));
        Ok(self.gathered.len())
    }
}
