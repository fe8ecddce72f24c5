//! Names and faults, as `build()` answers them.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use streams_dsl::prelude::*;

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
fn a_versioned_table_is_refused_as_long_as_there_is_none() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let versioned = Materialized::named("counts").versioned(Duration::from_secs(60));
    rides.group_by_key().count_with(versioned).to_stream().to("counts");
    let text = builder.build().unwrap_err().to_string();
    assert!(text.contains("`counts` is to be versioned"), "{text}");
}
