//! Interactive queries: reading the stores of a running application from outside its tasks.
//!
//! [`StreamsHandle::store`](crate::StreamsHandle::store) names a store and its type; a read then runs on one partition
//! of it, or on all that this instance has. Reads see the *committed* state unless they ask for the *latest*: committed
//! state is read from the database beside the task, which goes on meanwhile; the latest by the task itself between two
//! slices of its work. [`QueryOptions`] say what else an answer must be: as new as a [`Position`](crate::state::Position),
//! or from the task itself rather than from a standby's copy.
//!
//! Every answer is right for the position that it carries, or is a [`QueryError`] that says who to ask or that asking
//! again will help. The crate `streams-http` does both, over HTTP.
//!
//! After Kafka's interactive queries of both generations (KIP-67, KIP-535, KIP-796): where IQv2 has a type per kind of
//! query, a closure on the typed store does here.

mod error;
mod hosting;
mod metadata;
mod options;
mod page;
mod queries;
mod queryable_store;

pub use error::QueryError;
pub(crate) use hosting::{Hosting, Mailbox, StoreHost, TaskQuery};
pub use metadata::{KeyMetadata, StoreMetadata};
pub use options::{Answer, Consistency, QueryOptions};
pub(crate) use page::read_page;
pub use page::{OwnedEntry, Page};
pub(crate) use queries::{Queries, QueryParts};
pub use queryable_store::QueryableStore;
