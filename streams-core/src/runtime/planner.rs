//! What the group's leader finds out and makes: partition counts, internal topics, the list of tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use kafka_protocol::ResponseError;

use crate::client::wire::{Isolation, NewTopic, OffsetSpec, WireClient};
use crate::config::StreamsConfig;
use crate::error::Error;
use crate::membership::{FaultKind, GroupPlan, GroupPlanner, MemberSummary, PlanError, PlannedTask};
use crate::processor::PartitionCounts;
use crate::record::TopicPartition;
use crate::topology::{
    ApplicationTopology, InternalTopicSettings, InternalTopicSpec, NodeKind, TaskId, TopicPlan,
    TopicPlanError,
};

/// Plans the topics and tasks of an application; every instance has one, the leader's is asked.
#[derive(Debug, Clone)]
pub(crate) struct TopicPlanner {
    application: Arc<ApplicationTopology>,
    wire: WireClient,
    settings: InternalTopicSettings,
    replication_factor: i16,
    partition_counts: PartitionCounts,
}

/// Why planning failed: the topics are at fault, or the brokers.
#[derive(Debug)]
pub(crate) enum PlanFault {
    Topics(TopicPlanError),
    Other(Error),
}

impl TopicPlanner {
    pub(crate) fn new(
        application: Arc<ApplicationTopology>,
        wire: WireClient,
        config: &StreamsConfig,
        partition_counts: PartitionCounts,
    ) -> Self {
        TopicPlanner {
            application,
            wire,
            settings: InternalTopicSettings {
                additional_retention: config.window_changelog_additional_retention,
                overrides: config.topic_settings.clone(),
            },
            replication_factor: config.replication_factor,
            partition_counts,
        }
    }

    /// Works the plan out from the topics that exist now, and creates nothing. The partition counts of all topics that
    /// the application reads or writes are noted.
    pub(crate) async fn look(&self) -> Result<TopicPlan, PlanFault> {
        let existing = self.existing_topics().await.map_err(PlanFault::Other)?;
        for (topic, partitions) in &existing {
            self.partition_counts.set(Arc::clone(topic), *partitions);
        }
        let plan = TopicPlan::new(&self.application, &existing, &self.settings).map_err(PlanFault::Topics)?;
        for topic in &plan.internal {
            self.partition_counts.set(Arc::clone(&topic.name), topic.partitions);
        }
        Ok(plan)
    }

    /// Creates the internal topics that are missing and checks those that exist.
    pub(crate) async fn create_internal_topics(&self, plan: &TopicPlan) -> Result<(), Error> {
        let missing = self.missing_internal_topics(plan).await?;
        if missing.is_empty() {
            return Ok(());
        }
        for (topic, result) in self.wire.create_topics(&missing, false).await? {
            match result {
                Ok(()) => tracing::info!(topic, "internal topic created"),
                // Another leader was faster; the next round checks it.
                Err(fault) if fault.code() == Some(ResponseError::TopicAlreadyExists) => {}
                // Brokers that are busy or on their way back; the round is tried again.
                Err(fault) if fault.is_retriable() => return Err(fault.into()),
                Err(fault) => return Err(Error::InternalTopic { topic, reason: fault.to_string() }),
            }
        }
        Ok(())
    }

    /// Checks that the internal topics that exist are as the plan wants them.
    pub(crate) async fn check_internal_topics(&self, plan: &TopicPlan) -> Result<(), Error> {
        self.missing_internal_topics(plan).await.map(drop)
    }

    async fn missing_internal_topics(&self, plan: &TopicPlan) -> Result<Vec<NewTopic>, Error> {
        let names: Vec<&str> = plan.internal.iter().map(|topic| &*topic.name).collect();
        let mut missing = Vec::new();
        if names.is_empty() {
            return Ok(missing);
        }
        let cluster = self.wire.metadata(Some(&names)).await?;
        for topic in &plan.internal {
            match cluster.partition_count(&topic.name) {
                None => missing.push(self.new_topic(topic)),
                Some(partitions) if partitions != topic.partitions => {
                    return Err(Error::InternalTopic {
                        topic: topic.name.to_string(),
                        reason: format!(
                            "it has {partitions} partitions and needs {}: were partitions added to a source topic, or \
                             the topology changed? reset the application, or run it under a new application.id",
                            topic.partitions
                        ),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    fn new_topic(&self, topic: &InternalTopicSpec) -> NewTopic {
        let new = NewTopic::new(&*topic.name, topic.partitions).replication_factor(self.replication_factor);
        topic.settings.iter().fold(new, |new, (name, value)| new.config(name, value))
    }

    async fn existing_topics(&self) -> Result<BTreeMap<Arc<str>, i32>, Error> {
        let named = self.named_topics();
        let names: Vec<&str> = named.iter().map(|name| &**name).collect();
        let cluster = self.wire.metadata(if self.reads_by_pattern() { None } else { Some(&names) }).await?;
        let counted = cluster.topics.iter().filter(|(_, topic)| !topic.internal).filter_map(|(name, _)| {
            let count = cluster.partition_count(name).filter(|count| *count > 0)?;
            Some((Arc::from(name.as_str()), count))
        });
        Ok(counted.collect())
    }

    fn reads_by_pattern(&self) -> bool {
        self.application.topology().nodes().iter().any(|node| match &node.kind {
            NodeKind::Source(source) => source.topics.pattern().is_some(),
            _ => false,
        })
    }

    /// All topics that nodes name, as the broker calls them.
    fn named_topics(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        for node in self.application.topology().nodes() {
            match &node.kind {
                NodeKind::Source(source) => {
                    names.extend(source.topics.names().iter().map(|name| self.application.topic(name)));
                }
                NodeKind::Sink(sink) => {
                    names.extend(sink.topic.iter().map(|name| self.application.topic(name)))
                }
                NodeKind::Processor(_) => {}
            }
        }
        names
    }

    /// The tasks, and how long their changelogs are: who has how much of that decides who gets a task.
    async fn planned_tasks(&self, plan: &TopicPlan) -> Result<Vec<PlannedTask>, Error> {
        let by_task: BTreeMap<TaskId, Vec<TopicPartition>> =
            plan.tasks.keys().map(|task| (*task, changelogs(&self.application, *task))).collect();
        let all: Vec<TopicPartition> = by_task.values().flatten().cloned().collect();
        let ends = if all.is_empty() {
            BTreeMap::new()
        } else {
            self.wire.list_offsets(&all, OffsetSpec::Latest, Isolation::ReadUncommitted).await?
        };
        let task = |(id, partitions): (&TaskId, &Vec<TopicPartition>)| {
            let changelogs = &by_task[id];
            let sum = || changelogs.iter().filter_map(|it| ends.get(it)).map(|end| end.offset.max(0)).sum();
            PlannedTask {
                id: *id,
                partitions: partitions.clone(),
                stateful: !changelogs.is_empty(),
                end_offset_sum: (!changelogs.is_empty()).then(sum),
            }
        };
        Ok(plan.tasks.iter().map(task).collect())
    }
}

#[async_trait]
impl GroupPlanner for TopicPlanner {
    async fn plan(&self, _members: &[MemberSummary]) -> Result<GroupPlan, PlanError> {
        let plan = self.look().await.map_err(plan_error)?;
        self.create_internal_topics(&plan).await.map_err(|fault| plan_error(PlanFault::Other(fault)))?;
        let tasks = self.planned_tasks(&plan).await.map_err(|fault| plan_error(PlanFault::Other(fault)))?;
        Ok(GroupPlan { tasks })
    }
}

/// The changelog partitions of a task.
fn changelogs(application: &ApplicationTopology, task: TaskId) -> Vec<TopicPartition> {
    let stores = application.sub_topology(task.sub_topology).map_or(&[][..], |it| &it.stores);
    let topics = stores.iter().filter_map(|store| application.changelog_topic(*store));
    topics.map(|topic| TopicPartition::new(topic, task.partition as i32)).collect()
}

fn plan_error(fault: PlanFault) -> PlanError {
    let (kind, message) = match &fault {
        PlanFault::Topics(topics) => {
            let missing = matches!(topics, TopicPlanError::MissingTopics(_));
            let kind = if missing { FaultKind::MissingSourceTopic } else { FaultKind::InvalidTopics };
            (kind, topics.to_string())
        }
        PlanFault::Other(fault @ Error::InternalTopic { .. }) => {
            (FaultKind::InvalidTopics, fault.to_string())
        }
        PlanFault::Other(fault) => (FaultKind::Temporary, fault.to_string()),
    };
    PlanError { kind, message }
}
