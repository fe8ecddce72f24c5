//! Where bytes are kept: RocksDB or memory.

mod memory;
mod read_only;
mod rocks;
mod rocks_figures;
mod rocks_load;
mod rocks_options;

pub use memory::InMemory;
pub(crate) use memory::is_empty;
pub(crate) use read_only::ReadOnly;
pub use rocks::RocksDb;
