//! Where bytes are kept: RocksDB or memory.

mod memory;
mod rocks;
mod rocks_options;

pub use memory::InMemory;
pub(crate) use memory::is_empty;
pub use rocks::RocksDb;
