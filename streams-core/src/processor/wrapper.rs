//! Code around every processor of a topology.

use std::fmt::Debug;
use std::sync::Arc;

use super::node::NodeFactory;

/// Wraps the processors of a topology, those of the DSL included, for instance to measure or to trace them
/// (`processor.wrapper.class`, KIP-1112).
///
/// A wrapped factory makes a [`Node`](super::Node) that calls the inner one's methods; it must hand on the slot and
/// the context as they are.
pub trait ProcessorWrapper: Send + Sync + Debug {
    /// The factory to use for the processor node `node` instead of `inner`; `inner` itself leaves it as it is.
    fn wrap(&self, node: &str, inner: Arc<dyn NodeFactory>) -> Arc<dyn NodeFactory>;
}
