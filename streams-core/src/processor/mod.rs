//! The Processor API and the graph of nodes that a task runs.

mod context;
mod error;
mod failure;
mod graph;
mod node;
mod output;
mod partitioner;
mod policy;
mod production;
mod punctuation;
mod shared;
mod sink;
mod source;
mod wrapper;

pub use context::{InitContext, ProcessorContext};
pub use error::{ProcessorError, ProcessorErrorKind, RecordPart};
pub(crate) use failure::{DeadLetter, panic_message};
pub use failure::{FailedStep, ProcessingHandler, ProcessingPolicy, RETRIES_MAX, Respond};
pub use graph::{NodeContext, ProcessorGraph};
pub(crate) use node::processor_node;
pub use node::{Node, NodeFactory, RecordType, slot_of};
pub use output::{Output, OutputRecord, OutputView, RecordArena, StoredRecord};
pub use partitioner::{PartitionCounts, Partitioner, StreamPartitioner, murmur2, partition_for_key};
pub use policy::Policy;
pub use production::{FailedDelivery, ProductionHandler, ProductionPolicy};
pub use punctuation::{PunctuationId, PunctuationSchedule, PunctuationType};
pub use shared::{GlobalStore, OuterRecord, Shared, StoreHandle};
pub use sink::{SinkNode, SinkTopic, TopicChooser};
pub use source::{CustomExtractor, SourceDecoder, SourceError, SourceNode, Timed, TimestampExtractor};
pub use wrapper::ProcessorWrapper;

use crate::time::Timestamp;

/// A step of a topology: takes a record, may read and write stores, may forward records.
///
/// It is made by a factory, `Fn(&mut InitContext) -> Result<P, ProcessorError>`, which asks the context for its
/// stores and punctuations, so that no field is ever without its value.
pub trait Processor<KIn, VIn, KOut, VOut>: Send {
    /// Handles one record.
    ///
    /// # Errors
    /// Whatever stands in the way; the task's processing handler decides what follows.
    fn process(
        &mut self,
        record: crate::record::Record<KIn, VIn>,
        context: &mut ProcessorContext<'_, '_, KOut, VOut>,
    ) -> Result<(), ProcessorError>;

    /// Handles a punctuation that was asked for by [`InitContext::schedule`] or [`ProcessorContext::schedule`];
    /// `time` is stream time or wall-clock time, by the punctuation's type.
    ///
    /// # Errors
    /// As [`Processor::process`].
    fn punctuate(
        &mut self,
        _punctuation: PunctuationId,
        _time: Timestamp,
        _context: &mut ProcessorContext<'_, '_, KOut, VOut>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Releases what the processor holds outside the task.
    fn close(&mut self) {}
}
