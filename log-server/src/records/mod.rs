//! Record batches of format 2 (KIP-98): headers, records, compression; pure functions over bytes.
//!
//! The server stores batches as it received them and rarely looks at the records in them, so reading borrows
//! from the batch and nothing is decoded that is not asked for.

mod batch_builder;
mod batch_header;
mod compression;
mod rebuilt_batch;
mod record;
mod varint;

pub(crate) use batch_builder::{BatchBuilder, NewRecord};
pub(crate) use batch_header::{
    BATCH_HEADER_BYTES, BatchError, BatchHeader, NO_PRODUCER_ID, NO_SEQUENCE, next_sequence,
};
pub(crate) use compression::Compression;
pub(crate) use rebuilt_batch::RebuiltBatch;
pub(crate) use record::{Record, RecordError, Records};

#[cfg(test)]
mod tests;
