//! Looking at a data directory without serving it.

mod dump;
mod verify;

pub use dump::dump_segment;
pub use verify::{VerifyReport, verify_data_dir};
