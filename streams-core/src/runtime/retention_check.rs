//! Warns of topics that lose records before they are read: retention shorter than the records are old.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::changelog_keeper::ChangelogKeeper;
use super::task_runner::wall_clock;
use crate::client::wire::WireClient;
use crate::processor::RecordArena;
use crate::record::TopicPartition;
use crate::time::Timestamp;

pub(super) const RETENTION: &str = "retention.ms";
const CLEANUP: &str = "cleanup.policy";

/// How long each source topic keeps its records, in ms; topics that keep them for ever are left out.
pub(super) type Retentions = Arc<BTreeMap<Arc<str>, i64>>;

/// Asks the broker; without an answer nothing is checked, for a warning is not worth an error.
pub(super) async fn retentions(wire: &WireClient, topics: &[Arc<str>]) -> Retentions {
    let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    let described = match wire.describe_topic_configs(&names).await {
        Ok(described) => described,
        Err(fault) => {
            tracing::debug!(%fault, "the topics' retention is not known");
            return Retentions::default();
        }
    };
    let value = |topic: &str, key: &str| described.get(topic)?.get(key)?.value.clone();
    let retention = |topic: &Arc<str>| {
        let deletes = value(topic, CLEANUP).is_none_or(|policy| policy.contains("delete"));
        let retention = value(topic, RETENTION)?.parse::<i64>().ok()?;
        (deletes && retention >= 0).then(|| (Arc::clone(topic), retention))
    };
    Arc::new(topics.iter().filter_map(retention).collect())
}

/// Looks at the first records of each input of a task, and of each of its changelogs.
#[derive(Debug)]
pub(super) struct RetentionCheck {
    retentions: Retentions,
    looked: Vec<usize>,
    keeper: Option<ChangelogKeeper>,
    looked_at_changelogs: Vec<usize>,
}

impl RetentionCheck {
    pub(super) fn new(retentions: Retentions, keeper: Option<ChangelogKeeper>) -> Self {
        RetentionCheck { retentions, looked: Vec::new(), keeper, looked_at_changelogs: Vec::new() }
    }

    /// Sees to it that a changelog stays, by the first record that a task produces to it.
    pub(super) fn look_at_changelog(
        &mut self,
        changelog: usize,
        partition: &TopicPartition,
        records: &RecordArena,
    ) {
        if self.looked_at_changelogs.contains(&changelog) {
            return;
        }
        self.looked_at_changelogs.push(changelog);
        let first = records.iter().find_map(|(_, _, record)| record.timestamp);
        if let (Some(keeper), Some(first)) = (&self.keeper, first) {
            keeper.look(&partition.topic, first, wall_clock());
        }
    }

    /// Warns if the first record of an input is older than its topic keeps records. Answers whether it warned.
    pub(super) fn look(
        &mut self,
        input: usize,
        partition: &TopicPartition,
        first: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.looked.contains(&input) {
            return false;
        }
        self.looked.push(input);
        let Some(retention_ms) = self.retentions.get(&partition.topic).copied() else { return false };
        let age_ms = now.as_millis().saturating_sub(first.as_millis());
        if first < Timestamp::ZERO || age_ms <= retention_ms {
            return false;
        }
        tracing::warn!(
            %partition,
            retention_ms,
            record_age_ms = age_ms,
            "records are older than retention.ms of their topic: the broker deletes them, perhaps before they are \
             read; set retention.ms of the topic to -1"
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_older_than_their_topics_retention_are_warned_of_and_once() {
        let retentions: Retentions = Arc::new(BTreeMap::from([(Arc::from("short"), 1_000)]));
        let mut check = RetentionCheck::new(retentions, None);
        let at = Timestamp::from_millis;
        let (short, long) = (TopicPartition::new("short", 0), TopicPartition::new("long", 0));
        assert!(check.look(0, &short, at(5_000), at(6_001)));
        assert!(!check.look(0, &short, at(5_000), at(6_001)), "once for each input");
        assert!(!check.look(1, &long, at(0), at(6_001)), "kept for ever");
        assert!(!check.look(2, &short, at(5_001), at(6_001)), "young enough");
        assert!(!check.look(3, &short, at(-1), at(6_001)), "no timestamp");
    }
}
