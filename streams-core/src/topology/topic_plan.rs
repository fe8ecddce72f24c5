//! How many partitions everything has, and which tasks follow from that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thiserror::Error;

use super::application::ApplicationTopology;
use super::internal_topics::{InternalTopicSettings, InternalTopicSpec, TopicUse};
use super::node::NodeKind;
use super::sub_topology::SubTopology;
use super::task_id::TaskId;
use crate::record::TopicPartition;

/// Partition counts, internal topics and tasks of an application, given the topics that exist (the work of
/// Kafka Streams' `StreamsPartitionAssignor` and `RepartitionTopics` before they assign anything).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Partitions of every topic that is read, by its name on the broker.
    pub partitions: BTreeMap<Arc<str>, i32>,
    /// The application's own topics, to be created before the first assignment.
    pub internal: Vec<InternalTopicSpec>,
    /// The tasks and what each reads.
    pub tasks: BTreeMap<TaskId, Vec<TopicPartition>>,
    /// What the global task reads.
    pub global: Vec<TopicPartition>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicPlanError {
    /// Topics that are to be read are not there.
    #[error("the source topics {} do not exist: create them, or correct their names", .0.join(", "))]
    MissingTopics(Vec<String>),
    /// Topics that are joined differ in their partition counts.
    #[error(
        "{left} has {left_partitions} partitions and {right} has {right_partitions}, but they are joined, so equal \
         keys must lie in equal partitions: give both equally many, or repartition one of the streams first"
    )]
    UnequalPartitions {
        /// One topic.
        left: String,
        /// Its partitions.
        left_partitions: i32,
        /// The other topic.
        right: String,
        /// Its partitions.
        right_partitions: i32,
    },
    /// The partition count of a repartition topic follows from nothing.
    #[error(
        "the partition counts of {} depend on each other alone: give one of them a number with `Repartitioned`",
        .0.join(", ")
    )]
    Undetermined(Vec<String>),
}

impl TopicPlan {
    /// Works the plan out. `existing` has the partitions of topics on the broker: of all of them where the topology
    /// reads by patterns, else of those that it names.
    ///
    /// # Errors
    /// Missing topics, joined topics that differ, or a circle among repartition topics.
    pub fn new(
        application: &ApplicationTopology,
        existing: &BTreeMap<Arc<str>, i32>,
        settings: &InternalTopicSettings,
    ) -> Result<TopicPlan, TopicPlanError> {
        let mut planner = Planner::new(application, existing)?;
        planner.spread_to_repartition_topics()?;
        planner.equalize_joined_topics()?;
        Ok(planner.finish(settings))
    }
}

struct Planner<'a> {
    application: &'a ApplicationTopology,
    /// Topics that each sub-topology reads, by their names on the broker.
    reads: Vec<BTreeSet<Arc<str>>>,
    /// Repartition topics, with the number that the user fixed.
    repartition: BTreeMap<Arc<str>, Option<i32>>,
    partitions: BTreeMap<Arc<str>, i32>,
}

impl<'a> Planner<'a> {
    fn new(
        application: &'a ApplicationTopology,
        existing: &BTreeMap<Arc<str>, i32>,
    ) -> Result<Self, TopicPlanError> {
        let topology = application.topology();
        let repartition: BTreeMap<Arc<str>, Option<i32>> = topology
            .internal_topics()
            .iter()
            .map(|(name, topic)| (application.topic(name), topic.partitions))
            .collect();
        let mut partitions: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        let mut missing = BTreeSet::new();
        let mut reads = Vec::new();
        for sub_topology in application.sub_topologies() {
            let topics = topics_read(application, sub_topology, existing);
            for topic in topics.iter().filter(|topic| !repartition.contains_key(*topic)) {
                match existing.get(topic) {
                    Some(&count) => drop(partitions.insert(Arc::clone(topic), count)),
                    None => drop(missing.insert(topic.to_string())),
                }
            }
            reads.push(topics);
        }
        if !missing.is_empty() {
            return Err(TopicPlanError::MissingTopics(missing.into_iter().collect()));
        }
        let fixed = repartition.iter().filter_map(|(topic, fixed)| Some((Arc::clone(topic), (*fixed)?)));
        partitions.extend(fixed);
        Ok(Planner { application, reads, repartition, partitions })
    }

    /// A repartition topic gets as many partitions as the largest topic behind which it is written; repeated until
    /// all have a number, because repartition topics feed others.
    fn spread_to_repartition_topics(&mut self) -> Result<(), TopicPlanError> {
        loop {
            let open: Vec<Arc<str>> = self
                .repartition
                .keys()
                .filter(|topic| !self.partitions.contains_key(*topic))
                .cloned()
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            // First only where all inputs are known; in a circle, where some are.
            let found = [true, false]
                .into_iter()
                .find_map(|all| open.iter().find_map(|topic| Some((topic, self.largest_input(topic, all)?))));
            match found {
                Some((topic, count)) => self.partitions.insert(Arc::clone(topic), count),
                None => {
                    return Err(TopicPlanError::Undetermined(open.iter().map(|it| it.to_string()).collect()));
                }
            };
        }
    }

    fn largest_input(&self, topic: &str, all: bool) -> Option<i32> {
        let writers = self.application.sub_topologies().iter().zip(&self.reads);
        let inputs: Vec<Option<i32>> = writers
            .filter(|(sub_topology, _)| self.writes(sub_topology, topic))
            .flat_map(|(_, reads)| reads.iter().map(|input| self.partitions.get(input).copied()))
            .collect();
        if all && inputs.contains(&None) {
            return None;
        }
        inputs.into_iter().flatten().max()
    }

    fn writes(&self, sub_topology: &SubTopology, topic: &str) -> bool {
        sub_topology.nodes.iter().any(|&place| match &self.application.topology().nodes()[place].kind {
            NodeKind::Sink(sink) => {
                sink.topic.as_ref().is_some_and(|sink| *self.application.topic(sink) == *topic)
            }
            _ => false,
        })
    }

    /// Topics of one join get one number: that of the user's topics, which must agree; else the one that was fixed
    /// for a repartition topic; else the largest.
    fn equalize_joined_topics(&mut self) -> Result<(), TopicPlanError> {
        for group in self.joined_topics() {
            let given: Vec<(&Arc<str>, i32)> = group
                .iter()
                .filter(|topic| self.repartition.get(*topic).is_none_or(Option::is_some))
                .filter_map(|topic| Some((topic, *self.partitions.get(topic)?)))
                .collect();
            if let Some(((left, left_partitions), (right, right_partitions))) = given
                .first()
                .and_then(|&first| Some((first, *given.iter().find(|other| other.1 != first.1)?)))
            {
                let (left, right) = (left.to_string(), right.to_string());
                return Err(TopicPlanError::UnequalPartitions {
                    left,
                    left_partitions,
                    right,
                    right_partitions,
                });
            }
            let largest = group.iter().filter_map(|topic| self.partitions.get(topic).copied()).max();
            let Some(count) = given.first().map(|&(_, count)| count).or(largest) else { continue };
            for topic in group {
                self.partitions.insert(topic, count);
            }
        }
        Ok(())
    }

    /// Groups of topics that must have equally many partitions; groups that share a topic are one.
    fn joined_topics(&self) -> Vec<BTreeSet<Arc<str>>> {
        let mut groups: Vec<BTreeSet<Arc<str>>> = Vec::new();
        for sources in self.application.topology().copartitions() {
            let mut group: BTreeSet<Arc<str>> =
                sources.iter().flat_map(|source| self.topics_of(source)).collect();
            groups.retain(|other| {
                let apart = other.is_disjoint(&group);
                if !apart {
                    group.extend(other.iter().cloned());
                }
                apart
            });
            groups.push(group);
        }
        groups
    }

    fn topics_of(&self, source: &str) -> Vec<Arc<str>> {
        let topology = self.application.topology();
        match topology.place_of(source).map(|place| &topology.nodes()[place].kind) {
            Some(NodeKind::Source(spec)) => {
                self.partitions.keys().filter(|topic| self.application.reads(spec, topic)).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    fn finish(self, settings: &InternalTopicSettings) -> TopicPlan {
        let mut internal: Vec<InternalTopicSpec> = self
            .repartition
            .keys()
            .map(|name| InternalTopicSpec {
                name: Arc::clone(name),
                usage: TopicUse::Repartition,
                partitions: self.partitions[name],
                settings: settings.repartition(),
            })
            .collect();
        let mut tasks: BTreeMap<TaskId, Vec<TopicPartition>> = BTreeMap::new();
        let mut global = Vec::new();
        for (sub_topology, reads) in self.application.sub_topologies().iter().zip(&self.reads) {
            let partitions = reads.iter().flat_map(|topic| {
                (0..self.partitions[topic]).map(|partition| TopicPartition::new(Arc::clone(topic), partition))
            });
            if sub_topology.global.is_some() {
                global.extend(partitions);
                continue;
            }
            for partition in partitions {
                let id = TaskId::new(sub_topology.id, partition.partition.unsigned_abs());
                tasks.entry(id).or_default().push(partition);
            }
            let count = reads.iter().map(|topic| self.partitions[topic]).max().unwrap_or(0);
            internal.extend(self.changelogs(sub_topology, count, settings));
        }
        TopicPlan { partitions: self.partitions, internal, tasks, global }
    }

    fn changelogs(
        &self,
        sub_topology: &SubTopology,
        partitions: i32,
        settings: &InternalTopicSettings,
    ) -> Vec<InternalTopicSpec> {
        let changelog = |&store: &usize| {
            let spec = &self.application.topology().stores()[store];
            if spec.source_topic.is_some() {
                return None;
            }
            Some(InternalTopicSpec {
                name: self.application.changelog_topic(store)?,
                usage: TopicUse::Changelog,
                partitions,
                settings: settings.changelog(&spec.builder.changelog()?),
            })
        };
        sub_topology.stores.iter().filter_map(changelog).collect()
    }
}

fn topics_read(
    application: &ApplicationTopology,
    sub_topology: &SubTopology,
    existing: &BTreeMap<Arc<str>, i32>,
) -> BTreeSet<Arc<str>> {
    let mut topics = BTreeSet::new();
    for &place in &sub_topology.nodes {
        let NodeKind::Source(source) = &application.topology().nodes()[place].kind else { continue };
        topics.extend(source.topics.names().iter().map(|name| application.topic(name)));
        if source.topics.pattern().is_some() {
            topics.extend(existing.keys().filter(|topic| application.reads(source, topic)).cloned());
        }
    }
    topics
}

#[cfg(test)]
mod tests;
