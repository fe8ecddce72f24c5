use std::collections::BTreeMap;
use std::sync::Arc;

use super::{TopicPlan, TopicPlanError};
use crate::fixture::{appending, pass, sink, source, store};
use crate::record::TopicPartition;
use crate::topology::{
    ApplicationTopology, InternalTopic, InternalTopicSettings, TaskId, TopicUse, Topics, TopologyBuilder,
};

fn plan(builder: TopologyBuilder, existing: &[(&str, i32)]) -> Result<TopicPlan, TopicPlanError> {
    let application = ApplicationTopology::new(Arc::new(builder.build().unwrap()), "app");
    let existing: BTreeMap<Arc<str>, i32> =
        existing.iter().map(|&(topic, count)| (Arc::from(topic), count)).collect();
    TopicPlan::new(&application, &existing, &InternalTopicSettings::default())
}

fn repartition(builder: &mut TopologyBuilder, name: &str, partitions: Option<i32>, parent: &str) {
    let topic = format!("{name}-repartition");
    builder
        .add_sink(format!("{name}-sink"), &[parent], sink(&topic))
        .add_internal_topic(topic.as_str(), InternalTopic { partitions })
        .add_source(format!("{name}-source"), source(&[&topic]));
}

#[test]
fn counts_spread_through_repartition_topics_to_changelogs_and_tasks() {
    let mut builder = TopologyBuilder::new();
    builder.add_source("a", source(&["in", "more"]));
    repartition(&mut builder, "first", None, "a");
    repartition(&mut builder, "second", None, "first-source");
    builder
        .add_processor("count", &["second-source"], appending("counts"))
        .add_store(store("counts"), &["count"]);
    let plan = plan(builder, &[("in", 2), ("more", 3), ("other", 9)]).unwrap();
    let internal: Vec<(&str, TopicUse, i32)> =
        plan.internal.iter().map(|topic| (&*topic.name, topic.usage, topic.partitions)).collect();
    assert_eq!(
        internal,
        [
            ("app-first-repartition", TopicUse::Repartition, 3),
            ("app-second-repartition", TopicUse::Repartition, 3),
            ("app-counts-changelog", TopicUse::Changelog, 3),
        ]
    );
    assert_eq!(plan.tasks.len(), 9);
    // Partition 2 of the sub-topology with two topics reads the longer one alone.
    assert_eq!(plan.tasks[&TaskId::new(0, 2)], [TopicPartition::new("more", 2)]);
    assert_eq!(
        plan.tasks[&TaskId::new(0, 1)],
        [TopicPartition::new("in", 1), TopicPartition::new("more", 1)]
    );
}

fn join(left: Option<i32>, right: Option<i32>) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    builder.add_source("a", source(&["left"])).add_source("b", source(&["right"]));
    repartition(&mut builder, "l", left, "a");
    repartition(&mut builder, "r", right, "b");
    builder.add_processor("join", &["l-source", "r-source"], pass()).copartition(&["l-source", "r-source"]);
    builder
}

#[test]
fn joined_repartition_topics_take_the_largest_or_the_fixed_number() {
    let counts = |builder| {
        let plan = plan(builder, &[("left", 2), ("right", 5)]).unwrap();
        (plan.partitions["app-l-repartition"], plan.partitions["app-r-repartition"])
    };
    assert_eq!(counts(join(None, None)), (5, 5));
    assert_eq!(counts(join(None, Some(3))), (3, 3));
    let error = plan(join(Some(4), Some(3)), &[("left", 2), ("right", 5)]).unwrap_err();
    assert!(matches!(error, TopicPlanError::UnequalPartitions { .. }), "{error}");
}

#[test]
fn joined_topics_of_unequal_counts_are_named_with_their_counts() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("a", source(&["rides"]))
        .add_source("b", source(&["drivers"]))
        .add_processor("join", &["a", "b"], pass())
        .copartition(&["a", "b"]);
    let error = plan(builder, &[("rides", 4), ("drivers", 3)]).unwrap_err().to_string();
    assert!(error.starts_with("drivers has 3 partitions and rides has 4, but they are joined"), "{error}");
}

#[test]
fn a_repartition_topic_follows_the_topic_it_is_joined_with() {
    let mut builder = TopologyBuilder::new();
    builder.add_source("a", source(&["rides"])).add_source("b", source(&["drivers"]));
    repartition(&mut builder, "l", None, "a");
    builder.add_processor("join", &["l-source", "b"], pass()).copartition(&["l-source", "b"]);
    let plan = plan(builder, &[("rides", 4), ("drivers", 3)]).unwrap();
    assert_eq!(plan.partitions["app-l-repartition"], 3);
}

#[test]
fn missing_topics_are_listed() {
    let mut builder = TopologyBuilder::new();
    builder.add_source("a", source(&["x", "y", "z"]));
    let error = plan(builder, &[("y", 1)]).unwrap_err();
    assert_eq!(error, TopicPlanError::MissingTopics(vec!["x".into(), "z".into()]));
}

#[test]
fn a_circle_of_repartition_topics_needs_a_number() {
    let circle = |partitions| {
        let mut builder = TopologyBuilder::new();
        builder
            .add_source("a", source(&["x-repartition"]))
            .add_sink("b", &["a"], sink("x-repartition"))
            .add_internal_topic("x-repartition", InternalTopic { partitions });
        plan(builder, &[])
    };
    assert_eq!(circle(None), Err(TopicPlanError::Undetermined(vec!["app-x-repartition".into()])));
    assert_eq!(circle(Some(2)).unwrap().tasks.len(), 2);
}

#[test]
fn patterns_take_existing_topics_but_not_the_applications_own() {
    let mut builder = TopologyBuilder::new();
    let mut spec = source(&[]);
    spec.topics = Topics::Matching("(app-)?l.*".into());
    builder.add_source("a", spec);
    repartition(&mut builder, "l", Some(1), "a");
    let plan = plan(builder, &[("left", 2), ("xl", 7), ("app-l-repartition", 1)]).unwrap();
    let read: Vec<&str> = plan.partitions.keys().map(|topic| &**topic).collect();
    assert_eq!(read, ["app-l-repartition", "left"]);
    assert_eq!(plan.tasks[&TaskId::new(0, 1)], [TopicPartition::new("left", 1)]);
}

#[test]
fn global_topics_have_no_tasks() {
    let mut builder = TopologyBuilder::new();
    builder.add_global_store(store("g"), ("gs", source(&["g"])), ("gp", pass()));
    builder.add_source("s", source(&["in"]));
    let plan = plan(builder, &[("g", 2), ("in", 1)]).unwrap();
    assert_eq!(plan.global, [TopicPartition::new("g", 0), TopicPartition::new("g", 1)]);
    assert_eq!(plan.tasks.keys().copied().collect::<Vec<_>>(), [TaskId::new(1, 0)]);
}

#[test]
fn a_source_topic_as_changelog_needs_no_other() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("s", source(&["table"]))
        .add_processor("p", &["s"], appending("t"))
        .add_store(store("t"), &["p"])
        .use_source_as_changelog("t", "table");
    assert!(plan(builder, &[("table", 2)]).unwrap().internal.is_empty());
}
