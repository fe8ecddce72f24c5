//! Keeps the changelogs of windows from being deleted before their windows are over.
//!
//! A windowed changelog is deleted by the broker's clock, `retention.ms` after the times of its records, and these are
//! event times. Where last year's events are replayed, every segment of it is too old as soon as it is written: a restore
//! would find nothing, and windows that are open still would begin anew. Kafka Streams has this fault; here the
//! topic's retention is made longer by what the events are behind the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::retention_check::{RETENTION, retentions};
use crate::client::wire::WireClient;
use crate::config::StreamsConfig;
use crate::time::{Timestamp, duration_millis};
use crate::topology::{InternalTopicSpec, TopicUse};

/// A retention is raised to whole days, so that it is seldom raised again.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The changelogs that brokers delete by time, and how to make them stay.
#[derive(Debug, Clone)]
pub(super) struct ChangelogKeeper {
    wire: WireClient,
    /// How long each keeps records behind the newest event time, in ms, the slack included.
    wanted: Arc<BTreeMap<Arc<str>, i64>>,
    /// `windowstore.changelog.additional.retention.ms`: what is there for clocks that differ.
    slack_ms: i64,
    /// Whether the application has set `retention.ms` of all its topics itself: then it is warned only.
    fixed: bool,
    /// Topics that were looked after already.
    asked: Arc<Mutex<BTreeSet<Arc<str>>>>,
}

impl ChangelogKeeper {
    /// For the changelogs among an application's own topics.
    pub(super) fn new(wire: WireClient, internal: &[InternalTopicSpec], config: &StreamsConfig) -> Self {
        let deleted = internal.iter().filter(|topic| topic.usage == TopicUse::Changelog);
        let wanted = deleted.filter_map(|topic| {
            let deletes = topic.settings.get("cleanup.policy")?.contains("delete");
            let retention = topic.settings.get(RETENTION)?.parse::<i64>().ok()?;
            (deletes && retention >= 0).then(|| (Arc::clone(&topic.name), retention))
        });
        ChangelogKeeper {
            wire,
            wanted: Arc::new(wanted.collect()),
            slack_ms: duration_millis(config.window_changelog_additional_retention),
            fixed: config.topic_settings.contains_key(RETENTION),
            asked: Arc::default(),
        }
    }

    /// Looks at the time of a record on its way to a changelog. Where the broker might delete it before its time, the
    /// topic's retention is raised, in the background.
    pub(super) fn look(&self, topic: &Arc<str>, time: Timestamp, now: Timestamp) {
        let Some(retention_ms) = self.wanted.get(topic).copied() else { return };
        let Some(needed_ms) = needed_ms(retention_ms, self.slack_ms, time, now) else { return };
        if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(topic)) {
            return;
        }
        let (keeper, topic) = (self.clone(), Arc::clone(topic));
        tokio::spawn(async move { keeper.keep(&topic, needed_ms).await });
    }

    async fn keep(&self, topic: &Arc<str>, needed_ms: i64) {
        let found = retentions(&self.wire, std::slice::from_ref(topic)).await;
        let Some(retention_ms) = found.get(topic).copied().filter(|retention| *retention < needed_ms) else {
            // It keeps its records for ever, or long enough.
            return;
        };
        let raised = match self.fixed {
            true => Err("the application sets it itself".to_owned()),
            false => {
                let value = needed_ms.to_string();
                let altered = self.wire.alter_topic_config(topic, RETENTION, &value).await;
                altered.map_err(|fault| fault.to_string())
            }
        };
        match raised {
            Ok(()) => tracing::warn!(
                %topic,
                retention_ms,
                raised_to_ms = needed_ms,
                "events are older than retention.ms of the changelog: it was raised, for the broker would delete \
                 windows that are open still"
            ),
            Err(reason) => tracing::warn!(
                %topic,
                retention_ms,
                needed_ms,
                reason,
                "events are older than retention.ms of the changelog, and it could not be raised: the broker deletes \
                 windows that are open still, and a restore will not find them; set retention.ms of the topic to \
                 needed_ms or to -1"
            ),
        }
    }
}

/// The retention that a changelog needs for records as old as `time`; none where they take less than half of the slack.
fn needed_ms(retention_ms: i64, slack_ms: i64, time: Timestamp, now: Timestamp) -> Option<i64> {
    let age_ms = now.as_millis().saturating_sub(time.as_millis());
    if time < Timestamp::ZERO || age_ms <= slack_ms / 2 {
        return None;
    }
    let days = age_ms / DAY_MS + 1;
    Some(retention_ms.saturating_add(days.saturating_mul(DAY_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_need_as_much_longer_as_they_are_old() {
        let at = Timestamp::from_millis;
        let now = 400 * DAY_MS;
        assert_eq!(needed_ms(1_000, DAY_MS, at(now), at(now)), None);
        assert_eq!(needed_ms(1_000, DAY_MS, at(now + DAY_MS), at(now)), None, "from the future");
        assert_eq!(needed_ms(1_000, DAY_MS, at(-1), at(now)), None, "no timestamp");
        assert_eq!(needed_ms(1_000, DAY_MS, at(now - DAY_MS), at(now)), Some(1_000 + 2 * DAY_MS));
        assert_eq!(needed_ms(1_000, DAY_MS, at(now - 365 * DAY_MS), at(now)), Some(1_000 + 366 * DAY_MS));
        assert_eq!(needed_ms(1_000, 0, at(now - 5), at(now)), Some(1_000 + DAY_MS), "without slack");
        assert_eq!(needed_ms(i64::MAX, DAY_MS, at(0), at(now)), Some(i64::MAX));
    }
}
