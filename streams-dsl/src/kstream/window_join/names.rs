//! What a windowed join's nodes and stores are called.

use super::super::join::JoinKind;
use crate::options::StreamJoined;
use crate::plan::{Name, OperatorId, Place};

/// The names, by the rules of `KStreamImplJoin`.
pub(super) struct JoinNames {
    pub(super) this_window: Name,
    pub(super) other_window: Name,
    pub(super) this_join: Name,
    pub(super) other_join: Name,
    pub(super) merge: Name,
    pub(super) this_store: Name,
    pub(super) other_store: Name,
    /// Of the store of records that wait for a partner; inner joins have none.
    pub(super) buffer: Name,
}

impl JoinNames {
    /// Takes the numbers for a join's nodes, in Kafka Streams' order.
    pub(super) fn generate<K, L, R>(
        at: &Place,
        operator: OperatorId,
        kind: JoinKind,
        joined: &StreamJoined<K, L, R>,
    ) -> JoinNames {
        let (left_outer, right_outer) = (kind != JoinKind::Inner, kind == JoinKind::Outer);
        let mut plan = at.plan.borrow_mut();
        let this_window = plan.generate("KSTREAM-WINDOWED-");
        let other_window = plan.generate("KSTREAM-WINDOWED-");
        let this_prefix = if right_outer { "KSTREAM-OUTERTHIS-" } else { "KSTREAM-JOINTHIS-" };
        let this_join = plan.generate(this_prefix);
        let other_join = plan.generate(if left_outer { "KSTREAM-OUTEROTHER-" } else { "KSTREAM-JOINOTHER-" });
        let merge = plan.generate("KSTREAM-MERGE-");
        let this_suffix = if right_outer { "-outer-this-join" } else { "-this-join" };
        let other_suffix = if left_outer { "-outer-other-join" } else { "-other-join" };
        let shared_suffix = if right_outer { "-outer-shared-join" } else { "-left-shared-join" };
        let shared = format!("KSTREAM-OUTERSHARED-{}", &this_join[this_prefix.len()..]);
        // Stores are called after the join, unless they have a name of their own, or the join's name is for nodes only.
        let of_stores = match (&joined.store_name, &joined.name) {
            (None, None) => operator,
            _ => plan.operator(),
        };
        let store = |suffix: &str, generated: &str| match &joined.store_name {
            Some(base) => Name::new(of_stores, format!("{base}{suffix}-store")),
            None => Name::suffixed(of_stores, format!("{suffix}-store"), format!("{generated}-store")),
        };
        JoinNames {
            this_store: store(this_suffix, &this_join),
            other_store: store(other_suffix, &other_join),
            buffer: store(shared_suffix, &shared),
            this_window: Name::suffixed(operator, "-this-windowed", this_window),
            other_window: Name::suffixed(operator, "-other-windowed", other_window),
            this_join: Name::suffixed(operator, this_suffix, this_join),
            other_join: Name::suffixed(operator, other_suffix, other_join),
            merge: Name::suffixed(operator, "-merge", merge),
        }
    }
}
