//! Which rewrites a topology was built with.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const REUSE: &str = "reuse.ktable.source.topics";
const MERGE: &str = "merge.repartition.topics";
const SELF_JOIN: &str = "single.store.self.join";

/// How topologies are rewritten to need fewer topics and stores (Kafka's `topology.optimization`). Each rewrite changes
/// which topics exist, so a running application keeps what it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopologyOptimization {
    /// A source table's topic serves as its store's changelog (`reuse.ktable.source.topics`).
    pub reuse_ktable_source_topics: bool,
    /// What follows one change of keys shares one repartition topic (`merge.repartition.topics`).
    pub merge_repartition_topics: bool,
    /// A stream that is joined with itself is kept once (`single.store.self.join`).
    pub single_store_self_join: bool,
}

impl TopologyOptimization {
    /// Nothing is rewritten.
    pub const NONE: Self = TopologyOptimization {
        reuse_ktable_source_topics: false,
        merge_repartition_topics: false,
        single_store_self_join: false,
    };

    /// Everything that can be is rewritten.
    pub const ALL: Self = TopologyOptimization {
        reuse_ktable_source_topics: true,
        merge_repartition_topics: true,
        single_store_self_join: true,
    };

    /// Whether everything that `other` asks for is done.
    pub fn includes(self, other: Self) -> bool {
        let (own, asked) = (self.rules(), other.rules());
        own.iter().zip(asked).all(|((_, own), (_, asked))| *own || !asked)
    }

    fn rules(self) -> [(&'static str, bool); 3] {
        [
            (REUSE, self.reuse_ktable_source_topics),
            (MERGE, self.merge_repartition_topics),
            (SELF_JOIN, self.single_store_self_join),
        ]
    }
}

/// A value of `topology.optimization` that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no value of topology.optimization: say `none`, `all`, or some of `{REUSE}`, `{MERGE}` and `{SELF_JOIN}` \
     with commas between them"
)]
pub struct UnknownOptimization(pub String);

impl FromStr for TopologyOptimization {
    type Err = UnknownOptimization;

    /// Reads a value of Kafka's `topology.optimization`.
    fn from_str(setting: &str) -> Result<Self, UnknownOptimization> {
        match setting.trim() {
            "none" | "" => return Ok(Self::NONE),
            "all" => return Ok(Self::ALL),
            _ => {}
        }
        setting.split(',').try_fold(Self::NONE, |rules, rule| match rule.trim() {
            REUSE => Ok(TopologyOptimization { reuse_ktable_source_topics: true, ..rules }),
            MERGE => Ok(TopologyOptimization { merge_repartition_topics: true, ..rules }),
            SELF_JOIN => Ok(TopologyOptimization { single_store_self_join: true, ..rules }),
            _ => Err(UnknownOptimization(setting.to_owned())),
        })
    }
}

impl fmt::Display for TopologyOptimization {
    /// Writes it as the setting's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("none"),
            Self::ALL => f.write_str("all"),
            some => {
                let rules = some.rules().into_iter().filter(|(_, on)| *on).map(|(rule, _)| rule);
                f.write_str(&rules.collect::<Vec<_>>().join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_shown() {
        for value in ["none", "all", REUSE, "merge.repartition.topics,single.store.self.join"] {
            assert_eq!(value.parse::<TopologyOptimization>().unwrap().to_string(), value);
        }
        let fault = "merge".parse::<TopologyOptimization>().unwrap_err().to_string();
        assert!(fault.contains("`merge` is no value") && fault.contains(MERGE), "{fault}");
    }

    #[test]
    fn a_rule_more_does_no_harm_and_one_less_does() {
        let merge = TopologyOptimization { merge_repartition_topics: true, ..TopologyOptimization::NONE };
        assert!(TopologyOptimization::ALL.includes(merge) && merge.includes(TopologyOptimization::NONE));
        assert!(!merge.includes(TopologyOptimization::ALL));
    }
}
