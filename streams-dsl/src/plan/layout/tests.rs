//! Optimised topologies, by the texts that Kafka's own tests expect, and by what they answer.

use std::time::Duration;

use streams_test_driver::TopologyTestDriver;

use crate::prelude::*;

fn all() -> TopologyConfig {
    TopologyConfig::default().optimize(true)
}

fn describe(build: impl Fn(&StreamsBuilder), config: &TopologyConfig) -> String {
    let builder = StreamsBuilder::new();
    build(&builder);
    builder.build_with(config).unwrap().describe()
}

fn repartition_topics(described: &str) -> usize {
    described.matches("-repartition)").count()
}

/// Two mapped streams, merged and counted twice (Kafka's `RepartitionWithMergeOptimizingTest`).
fn merged_streams(b: &StreamsBuilder) {
    let by_letter =
        |_: String, value: String| (value.split(':').next().unwrap_or_default().to_owned(), value);
    let a = b.stream::<String, String>("inputA").named("sourceAStream");
    let other = b.stream::<String, String>("inputB").named("sourceBStream");
    let a = a.map(by_letter).named("mappedAStream");
    let merged = a.merge(&other.map(by_letter).named("mappedBStream")).named("mergedStream");
    let long = merged.group_by_key().named("long-groupByKey");
    let long = long.count_with(Materialized::named("long-store").in_memory()).named("long-count");
    long.to_stream().named("long-toStream").to("outputTopic_0").named("long-to");
    let text = merged.group_by_key().named("string-groupByKey");
    let text = text.count_with(Materialized::named("string-store").in_memory()).named("string-count");
    let text = text.to_stream().named("string-toStream");
    text.map_values(|count| format!("{count:?}"))
        .named("string-mapValues")
        .to("outputTopic_1")
        .named("string-to");
}

const MERGED_STREAMS: &str = "Topologies:
   Sub-topology: 0
    Source: sourceAStream (topics: [inputA])
      --> mappedAStream
    Source: sourceBStream (topics: [inputB])
      --> mappedBStream
    Processor: mappedAStream (stores: [])
      --> mergedStream
      <-- sourceAStream
    Processor: mappedBStream (stores: [])
      --> mergedStream
      <-- sourceBStream
    Processor: mergedStream (stores: [])
      --> long-groupByKey-repartition-filter
      <-- mappedAStream, mappedBStream
    Processor: long-groupByKey-repartition-filter (stores: [])
      --> long-groupByKey-repartition-sink
      <-- mergedStream
    Sink: long-groupByKey-repartition-sink (topic: long-groupByKey-repartition)
      <-- long-groupByKey-repartition-filter

  Sub-topology: 1
    Source: long-groupByKey-repartition-source (topics: [long-groupByKey-repartition])
      --> long-count, string-count
    Processor: string-count (stores: [string-store])
      --> string-toStream
      <-- long-groupByKey-repartition-source
    Processor: long-count (stores: [long-store])
      --> long-toStream
      <-- long-groupByKey-repartition-source
    Processor: string-toStream (stores: [])
      --> string-mapValues
      <-- string-count
    Processor: long-toStream (stores: [])
      --> long-to
      <-- long-count
    Processor: string-mapValues (stores: [])
      --> string-to
      <-- string-toStream
    Sink: long-to (topic: outputTopic_0)
      <-- long-toStream
    Sink: string-to (topic: outputTopic_1)
      <-- string-mapValues

";

#[test]
fn merged_streams_are_repartitioned_once_behind_the_merge() {
    assert_eq!(describe(merged_streams, &all()), MERGED_STREAMS);
    assert_eq!(repartition_topics(&describe(merged_streams, &TopologyConfig::default())), 2);
    let others = all().merge_repartition_topics(false);
    assert_eq!(describe(merged_streams, &others), describe(merged_streams, &TopologyConfig::default()));
}

#[test]
fn an_optimised_topology_answers_as_the_other_one() {
    let mut answers = Vec::new();
    for config in [TopologyConfig::default(), all()] {
        let builder = StreamsBuilder::new();
        merged_streams(&builder);
        let mut driver = TopologyTestDriver::new(builder.build_with(config).unwrap()).unwrap();
        for topic in ["inputA", "inputB"] {
            let input = driver.input_topic::<String, String>(topic);
            for value in ["A:foo", "B:foo", "A:bar"] {
                input.pipe(&mut driver, "X".to_owned(), value.to_owned()).unwrap();
            }
        }
        let counts = driver.output_topic::<String, i64>("outputTopic_0");
        let texts = driver.output_topic::<String, String>("outputTopic_1");
        answers.push((
            counts.read_key_values(&mut driver).unwrap(),
            texts.read_key_values(&mut driver).unwrap(),
        ));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0.last(), Some(&("A".to_owned(), 4)));
}

/// Kafka's `StreamsGraphTest.shouldNotThrowNPEWithMergeNodes`, as far as streams go that are not merged.
#[test]
fn a_repartition_moves_in_front_of_what_changes_nothing() {
    let described = describe(
        |b| {
            let ids = b.stream::<String, String>("id-table-topic");
            let ids = ids.flat_map(|key, value| [(key, value)]).peek(|_, _| {});
            let _counts = ids.group_by_key().aggregate(String::new, |_, value, all| all + &value);
        },
        &all(),
    );
    let expected = "    Processor: KSTREAM-FLATMAP-0000000001 (stores: [])
      --> KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition-filter
      <-- KSTREAM-SOURCE-0000000000
";
    assert!(described.contains(expected), "{described}");
    let expected = "    Processor: KSTREAM-PEEK-0000000002 (stores: [])
      --> KSTREAM-AGGREGATE-0000000004
      <-- KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition-source
";
    assert!(described.contains(expected), "{described}");
}

/// Kafka's `StreamsGraphTest.shouldNotOptimizeWithValueOrKeyChangingOperatorsAfterInitialKeyChange` and
/// `…WhenRepartitionOperationIsDone`.
#[test]
fn what_changes_values_or_was_asked_for_stays_where_it_is() {
    let changing = |b: &StreamsBuilder| {
        let mapped = b.stream::<String, String>("input").select_key(|key, value| format!("{key}{value}"));
        mapped.map_values(|value| value.to_uppercase()).group_by_key().count().to_stream().to("output");
        let words = mapped.flat_map_values(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let windows = TimeWindows::of_size(Duration::from_secs(5)).no_grace();
        let counts = words.group_by_key().windowed_by(windows).count();
        counts.to_stream().map(|word, count| (word.key, count)).to("windowed-output");
    };
    assert_eq!(describe(changing, &all()), describe(changing, &TopologyConfig::default()));
    assert_eq!(repartition_topics(&describe(changing, &all())), 2);
    let asked_for = |b: &StreamsBuilder| {
        let mapped = b.stream::<String, String>("input").select_key(|key, value| format!("{key}{value}"));
        mapped.repartition().group_by_key().count().to_stream().to("output");
        mapped.repartition().group_by_key().count().to_stream().to("other-output");
    };
    assert_eq!(describe(asked_for, &all()), describe(asked_for, &TopologyConfig::default()));
}

fn minute() -> JoinWindows {
    JoinWindows::of(Duration::from_secs(60)).no_grace()
}

fn stores(described: &str) -> usize {
    described.matches("-windowed (stores: [").count()
}

/// The cases of Kafka's `InternalStreamsBuilderTest` about self-joins: how many windows each has.
#[test]
fn a_stream_that_is_joined_with_itself_is_kept_once() {
    type Build = fn(&StreamsBuilder);
    let cases: [(&str, usize, Build); 5] = [
        ("one stream", 1, |b| {
            let stream = b.stream::<String, String>("t");
            stream.join(stream.within(minute()), |l, r| format!("{l}{r}")).named("j").to("out");
        }),
        ("two streams of one topic", 1, |b| {
            let (one, two) = (b.stream::<String, String>("t"), b.stream::<String, String>("t"));
            one.join(two.within(minute()), |l, r| format!("{l}{r}")).named("j").to("out");
        }),
        ("a filter on one side", 2, |b| {
            let stream = b.stream::<String, String>("t");
            let other = stream.filter(|key, _| !key.is_empty());
            stream.join(other.within(minute()), |l, r| format!("{l}{r}")).named("j").to("out");
        }),
        ("two topics", 2, |b| {
            let (one, two) = (b.stream::<String, String>("t"), b.stream::<String, String>("u"));
            one.join(two.within(minute()), |l, r| format!("{l}{r}")).named("j").to("out");
        }),
        ("the first of two joins", 3, |b| {
            let stream = b.stream::<String, String>("t");
            let twice = stream.join(stream.within(minute()), |l, r| format!("{l}{r}")).named("j");
            twice.join(stream.within(minute()), |l, r| format!("{l}{r}")).named("k").to("out");
        }),
    ];
    for (name, windows, build) in cases {
        let described = describe(build, &TopologyConfig::default().single_store_self_join(true));
        assert_eq!(stores(&described), windows, "{name}: {described}");
        assert_eq!(stores(&describe(build, &TopologyConfig::default())) % 2, 0, "{name}");
    }
}

/// Both sides are repartitioned under names of their own, which are one only once repartitions are merged.
#[test]
fn a_rekeyed_self_join_is_kept_once_where_its_repartitions_are_merged() {
    let build = |b: &StreamsBuilder| {
        let stream = b.stream::<String, String>("t").select_key(|_, value| value.clone());
        stream.join(stream.within(minute()), |l, r| format!("{l}{r}")).named("j").to("out");
    };
    let alone = TopologyConfig::default().single_store_self_join(true);
    assert_eq!((stores(&describe(build, &alone)), repartition_topics(&describe(build, &alone))), (2, 2));
    let merged = alone.merge_repartition_topics(true);
    assert_eq!((stores(&describe(build, &merged)), repartition_topics(&describe(build, &merged))), (1, 1));
}
