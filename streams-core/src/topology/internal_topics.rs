//! The topics that an application creates for itself, and their settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::state::{ChangelogConfig, CleanupPolicy};
use crate::time::duration_millis;

/// What one of the application's own topics is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicUse {
    /// Brings records with a new key to the task of that key; purged behind the committed offsets.
    Repartition,
    /// Keeps a store's changes.
    Changelog,
}

/// A topic to be created, or found as it should be, before tasks run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopicSpec {
    /// Its name on the broker.
    pub name: Arc<str>,
    /// What it is for.
    pub usage: TopicUse,
    /// How many partitions it must have; an existing topic with another number is an error.
    pub partitions: i32,
    /// Its settings by Kafka's names (`cleanup.policy` …).
    pub settings: BTreeMap<String, String>,
}

/// What the configuration says about the application's own topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopicSettings {
    /// `windowstore.changelog.additional.retention.ms`: how much longer than a window store its changelog keeps
    /// records, against clocks that differ.
    pub additional_retention: Duration,
    /// Settings for all of them: what follows `topic.` in the configuration's keys.
    pub overrides: BTreeMap<String, String>,
}

impl Default for InternalTopicSettings {
    fn default() -> Self {
        InternalTopicSettings {
            additional_retention: Duration::from_secs(24 * 60 * 60),
            overrides: BTreeMap::new(),
        }
    }
}

/// Repartition topics roll small segments, so that purging frees space soon.
const REPARTITION_SEGMENT_BYTES: &str = "52428800";

impl InternalTopicSettings {
    /// The settings of a repartition topic: nothing expires, for only a commit may free it
    /// (`RepartitionTopicConfig`).
    pub fn repartition(&self) -> BTreeMap<String, String> {
        self.settings([
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("segment.bytes", REPARTITION_SEGMENT_BYTES.to_owned()),
        ])
    }

    /// The settings of a store's changelog; the store's own overrides win over those of the configuration.
    pub fn changelog(&self, config: &ChangelogConfig) -> BTreeMap<String, String> {
        let additional = duration_millis(self.additional_retention);
        let longer = |millis: i64| millis.saturating_add(additional).to_string();
        let mut settings = match config.cleanup {
            CleanupPolicy::Compact => self.settings([("cleanup.policy", "compact".to_owned())]),
            CleanupPolicy::CompactAndDelete { retention_ms } => self.settings([
                ("cleanup.policy", "compact,delete".to_owned()),
                ("retention.ms", longer(retention_ms)),
            ]),
            CleanupPolicy::CompactAfter { min_compaction_lag_ms } => self.settings([
                ("cleanup.policy", "compact".to_owned()),
                ("min.compaction.lag.ms", longer(min_compaction_lag_ms)),
            ]),
        };
        settings.extend(config.overrides.clone());
        settings
    }

    fn settings<const N: usize>(&self, own: [(&str, String); N]) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<String, String> =
            own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        settings.insert("message.timestamp.type".to_owned(), "CreateTime".to_owned());
        settings.extend(self.overrides.clone());
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(settings: &BTreeMap<String, String>, key: &str) -> Option<String> {
        settings.get(key).cloned()
    }

    #[test]
    fn settings_are_kafkas() {
        const DAY_MS: i64 = 86_400_000;
        let settings = InternalTopicSettings::default();
        let repartition = settings.repartition();
        assert_eq!(get(&repartition, "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(get(&repartition, "retention.ms").as_deref(), Some("-1"));
        assert_eq!(get(&repartition, "segment.bytes").as_deref(), Some("52428800"));
        let changelog =
            |cleanup| settings.changelog(&ChangelogConfig { cleanup, overrides: BTreeMap::new() });
        let plain = changelog(CleanupPolicy::Compact);
        assert_eq!(get(&plain, "cleanup.policy").as_deref(), Some("compact"));
        assert_eq!(get(&plain, "message.timestamp.type").as_deref(), Some("CreateTime"));
        let window = changelog(CleanupPolicy::CompactAndDelete { retention_ms: 1000 });
        assert_eq!(get(&window, "cleanup.policy").as_deref(), Some("compact,delete"));
        assert_eq!(get(&window, "retention.ms"), Some((DAY_MS + 1000).to_string()));
        let versioned = changelog(CleanupPolicy::CompactAfter { min_compaction_lag_ms: 7 });
        assert_eq!(get(&versioned, "min.compaction.lag.ms"), Some((DAY_MS + 7).to_string()));
    }

    #[test]
    fn the_stores_overrides_win() {
        let both = |value: &str| BTreeMap::from([("segment.bytes".to_owned(), value.to_owned())]);
        let settings = InternalTopicSettings { overrides: both("1"), ..InternalTopicSettings::default() };
        let config = ChangelogConfig { cleanup: CleanupPolicy::Compact, overrides: both("2") };
        assert_eq!(get(&settings.changelog(&config), "segment.bytes").as_deref(), Some("2"));
        assert_eq!(get(&settings.repartition(), "segment.bytes").as_deref(), Some("1"));
    }
}
