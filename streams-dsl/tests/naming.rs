//! Names and faults, as `build()` answers them.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use streams_dsl::prelude::*;
use streams_test_driver::TopologyTestDriver;

#[test]
fn every_fault_is_listed_at_once() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides").named("rides");
    let other = StreamsBuilder::new().stream::<String, i64>("others");
    rides.merge(&other).named("rides").to("out").named("no spaces");
    let error = builder.build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("two builders"), "{text}");
    assert!(text.contains("two nodes are named `rides`"), "{text}");
    assert!(text.contains("no spaces"), "{text}");
    assert_eq!(error.faults.len(), 3, "{text}");
}

#[test]
fn naming_one_operator_renames_no_other() {
    let describe = |named: bool| {
        let builder = StreamsBuilder::new();
        let filtered = builder.stream::<String, i64>("in").filter(|_, value| *value > 0);
        let filtered = if named { filtered.named("positive") } else { filtered };
        filtered.map_values(|value| value * 2).to("out");
        builder.build().unwrap().describe()
    };
    let (generated, named) = (describe(false), describe(true));
    assert_eq!(generated.replace("KSTREAM-FILTER-0000000001", "positive"), named);
    assert!(generated.contains("KSTREAM-MAPVALUES-0000000002"), "{generated}");
}

#[test]
fn one_rekeyed_stream_joined_twice_is_repartitioned_once() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides").select_key(|_, fare| fare.to_string());
    let first = builder.table::<String, String>("first");
    let second = builder.table::<String, String>("second");
    rides.join(&first, |fare, name| format!("{name}{fare}")).to("a");
    rides.join(&second, |fare, name| format!("{name}{fare}")).to("b");
    let text = builder.build().unwrap().describe();
    let topic = "(topics: [KSTREAM-KEY-SELECT-0000000001-repartition])";
    assert_eq!(text.matches(topic).count(), 1, "{text}");
}

#[test]
fn a_grace_without_history_and_a_retention_below_the_windows_are_faults() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let drivers = builder.table::<String, String>("drivers");
    let late = Joined::with(Utf8, BigEndian).grace(Duration::from_secs(1));
    rides.join(drivers.with(late), |fare, name| format!("{name}{fare}")).to("a");
    let windows = TimeWindows::of_size(Duration::from_secs(60)).no_grace();
    let short = Materialized::named("counts").retention(Duration::from_secs(1));
    rides.group_by_key().windowed_by(windows).count_with(short).to_stream().to("b");
    let text = builder.build().unwrap_err().to_string();
    assert!(text.contains("not versioned"), "{text}");
    assert!(text.contains("less than their size and grace"), "{text}");
}

#[test]
fn windows_that_cannot_be_are_listed_with_their_store() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides").group_by_key();
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let hopping = TimeWindows::of_size(second).advance_by(minute).no_grace();
    let _ = rides.windowed_by(hopping).count_with(Materialized::named("hopping"));
    let sessions = SessionWindows::of_inactivity_gap(Duration::ZERO).no_grace();
    let _ = rides.windowed_by(sessions).count_with(Materialized::named("gapless"));
    let sliding = SlidingWindows::of_time_difference(minute).no_grace();
    let _ = rides.windowed_by(sliding).count_with(Materialized::named("sliding").retention(minute));
    let sessions = SessionWindows::of_inactivity_gap(minute).grace(minute);
    let _ = rides.windowed_by(sessions).count_with(Materialized::named("sessions").retention(minute));
    let endless = rides.windowed_by(UnlimitedWindows::new()).emit_strategy(EmitStrategy::OnWindowClose);
    let _ = endless.count_with(Materialized::named("endless"));
    let error = builder.build().unwrap_err();
    let text = error.to_string();
    for part in [
        "store `hopping`: windows of 1s cannot begin 60s apart",
        "store `gapless`: an inactivity gap of 0ns is too short",
        "store `sliding` keeps windows for 60s, which is less than twice their time difference and grace, 120s",
        "store `sessions` keeps sessions for 60s, which is less than their gap and grace, 120s",
        "store `endless`: results are to leave when a window is closed, but these windows never close",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(error.faults.len(), 5, "{text}");
}

#[test]
fn windows_have_no_versions() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides").group_by_key();
    let minute = Duration::from_secs(60);
    let versioned = |name: &str| Materialized::named(name).versioned(minute);
    let fixed = rides.windowed_by(TimeWindows::of_size(minute).no_grace());
    let _ = fixed.count_with(versioned("fixed"));
    let sliding = rides.windowed_by(SlidingWindows::of_time_difference(minute).no_grace());
    let _ = sliding.reduce_with(|sum, fare| sum + fare, versioned("sliding"));
    let gap = SessionWindows::of_inactivity_gap(minute).no_grace();
    let _ = rides.windowed_by(gap).count_with(versioned("sessions"));
    let sums = rides.cogroup(|_, fare, sum: i64| sum + fare).windowed_by(gap);
    let _ = sums.aggregate_with(|| 0, |_, one, other| one + other, versioned("together"));
    let _ = rides.count_with(versioned("whole"));
    let error = builder.build().unwrap_err();
    let text = error.to_string();
    for store in ["fixed", "sliding", "sessions", "together"] {
        let fault =
            format!("store `{store}` keeps windows, which have no versions: leave `.versioned(..)` out");
        assert!(text.contains(&fault), "`{fault}` is not in\n{text}");
    }
    assert_eq!(error.faults.len(), 4, "{text}");
}

/// Without a serde of its own.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct NamedOrder {
    order: String,
    name: String,
}

/// Orders with their customers' names, and a join that looks them up.
fn looked_up(kept: Option<Materialized<i64, NamedOrder>>) -> Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let orders = builder.table::<i64, String>("orders");
    let customers = builder.table::<String, String>("customers");
    let customer = |_: &i64, order: &String| order.split(':').next().map(str::to_owned);
    let named = |order: &String, name: &String| NamedOrder { order: order.clone(), name: name.clone() };
    let mut joined = orders.join_on_with(&customers, customer, named, TableJoined::new());
    if let Some(kept) = kept {
        joined = joined.materialized(kept);
    }
    let visits = builder.stream::<i64, String>("visits");
    visits
        .join(&joined, |visit, order: &NamedOrder| format!("{visit} {} {}", order.name, order.order))
        .to("out");
    builder.build()
}

#[test]
fn the_result_of_a_foreign_key_join_is_kept_by_the_serde_that_is_named() {
    let topology = looked_up(Some(Materialized::with(BigEndian, Json).name("named-orders"))).unwrap();
    let mut driver = TopologyTestDriver::new(topology).unwrap();
    let customers = driver.input_topic::<String, String>("customers");
    customers.pipe(&mut driver, "c7".to_owned(), "Ada".to_owned()).unwrap();
    driver.input_topic::<i64, String>("orders").pipe(&mut driver, 1, "c7:tea".to_owned()).unwrap();
    driver.input_topic::<i64, String>("visits").pipe(&mut driver, 1, "today".to_owned()).unwrap();
    let out = driver.output_topic::<i64, String>("out");
    assert_eq!(out.read_values(&mut driver).unwrap(), ["today Ada c7:tea"]);
}

#[test]
fn a_foreign_key_join_that_is_looked_up_without_a_serde_is_a_fault() {
    let error = looked_up(None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(".materialized(Materialized::with(key_serde, value_serde).name(..))"), "{text}");
    assert!(text.contains("the foreign-key join of table `KTABLE-SOURCE-0000000002`"), "{text}");
    assert_eq!(error.faults.len(), 1, "{text}");
}

#[test]
fn streams_folded_together_are_named_and_numbered_as_in_kafka() {
    let describe = |named: bool| {
        let builder = StreamsBuilder::new();
        let fares = builder.stream::<String, i64>("fares").group_by_key();
        let tips = builder.stream::<String, i64>("tips").group_by(|zone, _| zone.clone()).named("by-zone");
        let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
        let table = income.aggregate(|| 0);
        let table = if named { table.named("income") } else { table };
        table.to_stream().to("out");
        builder.build().unwrap().describe()
    };
    let text = describe(false);
    // Numbers: two sources, the key selection, the store, three of the repartition, then the nodes.
    for part in [
        "COGROUPKSTREAM-AGGREGATE-0000000007 (stores: [COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000003])",
        "COGROUPKSTREAM-AGGREGATE-0000000008 (stores: [COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000003])",
        "COGROUPKSTREAM-MERGE-0000000009",
        "(topics: [by-zone-repartition])",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let text = describe(true);
    for part in ["income-cogroup-agg-0", "income-cogroup-agg-1", "income-cogroup-merge"] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn streams_of_two_builders_are_not_folded_together() {
    let builder = StreamsBuilder::new();
    let fares = builder.stream::<String, i64>("fares").group_by_key();
    let others = StreamsBuilder::new().stream::<String, i64>("tips").group_by_key();
    let _ = fares
        .cogroup(|_, fare, sum: i64| sum + fare)
        .cogroup(&others, |_, tip, sum| sum + tip)
        .aggregate(|| 0);
    assert!(builder.build().unwrap_err().to_string().contains("two builders"));
}

#[test]
fn every_automatic_name_is_listed_where_they_are_forbidden() {
    let build = |named: bool| {
        let builder = StreamsBuilder::new();
        let rides = builder.stream::<String, i64>("rides");
        let drivers = builder.table::<String, String>("drivers");
        let rekeyed = rides.select_key(|_, fare| fare.to_string());
        if named {
            rekeyed.join(&drivers, |fare, name| format!("{name}{fare}")).named("with-driver").to("joined");
            let grouped = rekeyed.group_by_key().named("by-fare");
            grouped.count_with(Materialized::named("counts")).to_stream().to("counts");
        } else {
            rekeyed.join(&drivers, |fare, name| format!("{name}{fare}")).to("joined");
            rekeyed.group_by_key().count().to_stream().to("counts");
        }
        builder.build_with(TopologyConfig::default().ensure_explicit_names(true))
    };
    let error = build(false).unwrap_err();
    let text = error.to_string();
    for part in [
        "the state store `drivers-STATE-STORE-0000000001` has an automatic name",
        "the state store `KSTREAM-AGGREGATE-STATE-STORE-",
        "the topic `KSTREAM-KEY-SELECT-0000000004-repartition` has an automatic name",
        "the topic `KSTREAM-AGGREGATE-STATE-STORE-",
        "say `.named(..)` behind the grouping",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    assert_eq!(error.faults.len(), 4, "{text}");
    let text = build(true).unwrap_err().to_string();
    assert!(text.contains("drivers-STATE-STORE-0000000001"), "{text}");
    assert_eq!(text.matches("automatic name").count(), 1, "{text}");
}

#[derive(Debug)]
struct Counted(std::sync::Mutex<Vec<String>>);

impl streams_dsl::processor::ProcessorWrapper for Counted {
    fn wrap(
        &self,
        node: &str,
        inner: std::sync::Arc<dyn streams_dsl::processor::NodeFactory>,
    ) -> std::sync::Arc<dyn streams_dsl::processor::NodeFactory> {
        self.0.lock().unwrap().push(node.to_owned());
        inner
    }
}

#[test]
fn a_wrapper_gets_every_processor_wherever_it_is_named() {
    let wrapper = std::sync::Arc::new(Counted(std::sync::Mutex::default()));
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    rides.filter(|_, fare| *fare > 1).to("large");
    builder.wrap_processors(wrapper.clone());
    let _ = rides.group_by_key().count_with(Materialized::named("counts"));
    builder.global_table::<String, String>("drivers");
    builder.build().unwrap();
    let wrapped = wrapper.0.lock().unwrap().join(" ");
    assert_eq!(wrapped, "KSTREAM-FILTER-0000000001 KSTREAM-AGGREGATE-0000000003 KTABLE-SOURCE-0000000006");
}
