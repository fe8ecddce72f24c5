//! Nodes of the plan.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streams_core::processor::RecordType;

use super::lower::Lowering;
use super::name::{Name, Names};

/// A node of the plan; parents come before their children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(super) u32);

/// What a node does, as far as the plan itself has to know.
#[derive(Debug)]
pub(crate) enum NodeTag {
    /// Anything that the plan need not tell apart.
    Plain,
    /// A stream's source: two of the same topics become one.
    Source {
        /// The topics, or the pattern.
        topics: String,
        /// What it forwards.
        output: RecordType,
    },
    /// A repartition topic: a filter and a sink in front of it, a source behind it.
    Repartition(RepartitionName),
    /// It may change keys: what needs them in their partition repartitions behind it.
    KeyChanging,
    /// It changes values, or is the user's own: a repartition behind it cannot move in front of it.
    ValueChanging,
    /// Two streams made one.
    Merge,
    /// A join that lets records without a key pass (left and outer ones): repartitions in front of it keep them.
    RelaxedJoin,
}

/// The names that a repartition brings. All derive from one base: the name that the user gave, the store's, or the
/// stream's; where that is a generated `KSTREAM-…` name, the three nodes have generated names as well.
#[derive(Debug, Clone)]
pub(crate) struct RepartitionName {
    pub(crate) base: Name,
    /// Generated names of sink, filter, source: in the order in which Kafka Streams takes the numbers.
    pub(crate) generated: [Arc<str>; 3],
    /// Whether an optimised topology may put one topic in place of this one and others: the user did not ask for it.
    pub(crate) mergeable: bool,
}

/// A repartition's names, resolved.
#[derive(Debug, Clone)]
pub(crate) struct RepartitionNodes {
    pub(crate) topic: Arc<str>,
    pub(crate) filter: Arc<str>,
    pub(crate) sink: Arc<str>,
    pub(crate) source: Arc<str>,
}

const TOPIC_SUFFIX: &str = "-repartition";

impl RepartitionName {
    pub(super) fn resolve(&self, names: &Names) -> RepartitionNodes {
        let base = self.base.resolve(names);
        let topic: Arc<str> =
            if base.ends_with(TOPIC_SUFFIX) { base.clone() } else { format!("{base}{TOPIC_SUFFIX}").into() };
        if is_generated(&base) {
            let [sink, filter, source] = self.generated.clone();
            return RepartitionNodes { topic, filter, sink, source };
        }
        let part = |part: &str| format!("{topic}-{part}").into();
        RepartitionNodes { filter: part("filter"), sink: part("sink"), source: part("source"), topic }
    }
}

/// Whether a name has the form of a generated one, `KSTREAM…-` and ten digits.
fn is_generated(name: &str) -> bool {
    name.starts_with("KSTREAM")
        && name
            .rsplit_once('-')
            .is_some_and(|(_, number)| number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// One node: it lowers to one node of the topology, or to the three of a repartition.
pub(crate) struct PlanNode {
    /// Its name in the topology; for a repartition that of its source.
    pub(crate) name: Name,
    /// What forwards to it.
    pub(crate) parents: Vec<NodeId>,
    /// What it is.
    pub(crate) tag: NodeTag,
    /// How long behind their ends the windows that it makes are closed; none where it makes none.
    pub(crate) window_grace: Option<Duration>,
    /// Adds it, and the stores it brings, to the topology.
    pub(crate) lower: Box<dyn Fn(&mut Lowering<'_>)>,
}

impl PlanNode {
    /// A node that needs no telling apart.
    pub(crate) fn new(
        name: Name,
        parents: impl Into<Vec<NodeId>>,
        lower: impl Fn(&mut Lowering<'_>) + 'static,
    ) -> Self {
        PlanNode {
            name,
            parents: parents.into(),
            tag: NodeTag::Plain,
            window_grace: None,
            lower: Box::new(lower),
        }
    }

    /// The same with a tag.
    pub(crate) fn tagged(self, tag: NodeTag) -> Self {
        PlanNode { tag, ..self }
    }
}

impl fmt::Debug for PlanNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanNode")
            .field("name", &self.name)
            .field("parents", &self.parents)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}
