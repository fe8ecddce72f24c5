use streams_core::processor::ProcessingPolicy;
use streams_core::task::TaskConfig;
use streams_test_driver::{DriverConfig, TopologyTestDriver};

use crate::prelude::*;

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn ratings(suppressed: Suppressed<String>) -> Result<TopologyTestDriver, Box<dyn std::error::Error>> {
    let builder = StreamsBuilder::new();
    builder.table::<String, i64>("ratings").suppress(suppressed).to_stream().to("calm");
    let task =
        TaskConfig { max_cache_bytes: 0, processing: ProcessingPolicy::Continue, ..TaskConfig::default() };
    Ok(TopologyTestDriver::with_config(builder.build()?, DriverConfig { task, ..DriverConfig::default() })?)
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_buffer_that_is_full_ends_the_task_whatever_the_handler_says() -> TestResult {
    let strict = BufferConfig::max_records(2).shut_down_when_full();
    let mut driver = ratings(Suppressed::until_time_limit(HOUR, strict))?;
    let ratings = driver.input_topic::<String, i64>("ratings");
    for name in ["ada", "bob", "ada"] {
        ratings.pipe(&mut driver, name.to_owned(), 1)?;
    }
    let error = ratings.pipe(&mut driver, "eve".to_owned(), 1).unwrap_err();
    assert!(error.to_string().contains("it has 3 of at most 2 records"), "{error}");
    Ok(())
}

#[test]
fn by_bytes_as_many_of_the_oldest_leave_as_must() -> TestResult {
    // A key of 1 byte, a value of 8, the topic's 7 and what is always there: 44 bytes a row.
    let small = BufferConfig::max_records(100).and_max_bytes(100);
    let mut driver = ratings(Suppressed::until_time_limit(HOUR, small))?;
    let ratings = driver.input_topic::<String, i64>("ratings");
    let calm = driver.output_topic::<String, i64>("calm");
    ratings.pipe_at(&mut driver, "a".to_owned(), 1, 20)?;
    ratings.pipe_at(&mut driver, "b".to_owned(), 2, 10)?;
    assert!(calm.read_values(&mut driver)?.is_empty());
    ratings.pipe_at(&mut driver, "c".to_owned(), 3, 30)?;
    assert_eq!(calm.read_values(&mut driver)?, [2]);
    Ok(())
}

#[test]
fn who_looks_a_waiting_row_up_finds_it_as_it_was() -> TestResult {
    let builder = StreamsBuilder::new();
    let ratings = builder.table::<String, i64>("ratings");
    let calm = ratings.suppress(Suppressed::until_time_limit(HOUR, BufferConfig::unbounded()));
    builder
        .stream::<String, String>("visits")
        .join(&calm, |visit, rating| format!("{visit}: {rating}"))
        .to("out");
    let mut driver = TopologyTestDriver::new(builder.build()?)?;
    let ratings = driver.input_topic::<String, i64>("ratings");
    let (visits, out) = (driver.input_topic("visits"), driver.output_topic::<String, String>("out"));
    let ada = || "ada".to_owned();
    let visit = |driver: &mut TopologyTestDriver, name: &str| visits.pipe(driver, ada(), name.to_owned());
    ratings.pipe_at(&mut driver, ada(), 1, 0)?;
    visit(&mut driver, "before")?;
    ratings.pipe_at(&mut driver, "bob".to_owned(), 1, 3_600_000)?;
    visit(&mut driver, "after")?;
    ratings.pipe_at(&mut driver, ada(), 2, 3_600_001)?;
    visit(&mut driver, "again")?;
    assert_eq!(out.read_values(&mut driver)?, ["after: 1", "again: 1"]);
    Ok(())
}

#[test]
fn what_cannot_be_suppressed_is_a_fault() {
    let builder = StreamsBuilder::new();
    let fares = builder.table::<String, i64>("fares");
    let windowed =
        fares.to_stream().map(|key, value| (Windowed::new(key, Window::new(0, 1)), value)).to_table_with(
            Materialized::with(TimeWindowed::of_size(Utf8, Duration::from_secs(1)), Nullable(BigEndian)),
        );
    let _ = windowed.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("its windows are not known here"), "{error}");
}
