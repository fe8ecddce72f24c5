//! State stores: key-value, window and session stores on RocksDB and in memory.
//!
//! [`Stores`] names each kind of store and answers with its [`Builder`]. A store is typed, and is made of layers, the
//! same for all kinds: a cache of typed values, the uncommitted writes, the task's database. A hot key's updates stay
//! in the cache, where they cost neither serialization nor allocation; bytes are made once per flush.

mod backend;
mod buffer_value;
mod builder;
mod change;
mod change_buffer;
#[cfg(test)]
mod commit_cycle;
mod join_buffer;
mod key_value;
mod layers;
mod query;
mod record_buffer;
mod session;
mod stores;
mod versioned;
mod window;
mod windowed;
mod windowed_serde;

pub use backend::{InMemory, RocksDb};
pub use buffer_value::BufferedContext;
pub use builder::Builder;
pub use change::{StoreChange, ValueAndTimestamp};
pub use change_buffer::{BufferedChange, ChangeBuffer};
pub use join_buffer::{JoinBuffer, JoinSide, Unmatched, WaitingKey, WaitingTime, WaitingValue};
pub use key_value::{KeyValueStore, KeyValues, TimestampedKeyValueStore};
pub use query::{QueryKeyValue, QuerySession, QueryVersioned, QueryWindow};
pub use record_buffer::{BufferedRecord, RecordBuffer};
pub use session::SessionStore;
pub use stores::Stores;
pub use versioned::{VersionedKeyValueStore, VersionedPut, VersionedRecord};
pub use window::{TimestampedWindowStore, WindowEntries, WindowStore};
pub use windowed::{Window, Windowed};
pub use windowed_serde::{SessionWindowed, TimeWindowed};
