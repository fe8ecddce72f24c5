//! The demo: a month of real flights, per airport and hour, live in the terminal.
//!
//! ```sh
//! cargo run -p examples --bin flights
//! cargo run -p examples --bin flights -- --data DIR --json     # the result as JSON lines, for any such folder
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use examples::flights::{Days, Departure, Hour, NamedDeparture, airlines, departures, lines, send};
use examples::{Board, Feed, Options, Playground, Result};
use streams_dsl::prelude::*;

const FLIGHTS: &str = "flights";
const AIRLINES: &str = "airlines";
const HOURS: &str = "flights-per-hour";
/// A task takes the record with the smallest time first: so it knows the airlines before it meets a flight.
const BEFORE_ALL_FLIGHTS_MS: i64 = 1;
const HOUR: Duration = Duration::from_secs(3_600);
/// The partitions of `flights` are read each at its own pace, so a window must stay open for as long as the input spans.
const GRACE: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Flights per airport and hour, with their mean delay.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Folder with flights-*.csv.gz and airlines.csv.gz.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights"))]
    data: PathBuf,
    /// Print the final values as JSON lines instead of showing them live.
    #[arg(long)]
    json: bool,
    /// Live: how many hours of flights pass in a second.
    #[arg(long, default_value_t = 36.0)]
    pace: f64,
}

fn topology() -> std::result::Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let airlines = builder.table::<String, String>(AIRLINES);
    builder
        .stream::<String, Departure>(FLIGHTS)
        .left_join(&airlines, |departure, airline| NamedDeparture {
            departure: departure.clone(),
            airline: airline.unwrap_or(&departure.carrier).clone(),
        })
        .group_by(|_, named| named.departure.origin.clone())
        .windowed_by(TimeWindows::of_size(HOUR).grace(GRACE))
        .aggregate(Hour::default, |_, named, hour| hour.with(&named))
        .to_stream()
        .to(HOURS);
    builder.build()
}

fn main() {
    examples::run(example());
}

async fn example() -> Result<()> {
    let arguments = Arguments::parse();
    let mut departures = departures(&arguments.data)?;
    let playground = Playground::open("flights", &arguments.options).await?;
    let feed = playground.feed()?;
    if playground.create_topics(&[FLIGHTS, AIRLINES, HOURS]).await? {
        for (code, name) in airlines(&arguments.data)? {
            feed.send(AIRLINES, Some(&code), name.as_bytes(), Some(BEFORE_ALL_FLIGHTS_MS))?;
        }
        feed.flush()?;
    } else {
        departures.clear(); // they are there already
    }
    let streams = KafkaStreams::new(topology()?, playground.config()?)?.start().await?;
    if arguments.json {
        let work = async {
            let sending = move || send(&feed, FLIGHTS, &departures, None, |_| {});
            tokio::task::spawn_blocking(sending).await??;
            playground.until_caught_up(&[AIRLINES, FLIGHTS]).await
        };
        playground.beside(streams, work).await?;
        for line in lines(&playground.last_values(HOURS).await?)? {
            println!("{}", serde_json::to_string(&line)?);
        }
    } else {
        playground.beside(streams, show(&playground, feed, departures, arguments.pace)).await?;
        println!("next: read the topology in {}, or run another month with --data DIR;", file!());
        println!(
            "--bootstrap HOST:PORT takes a broker of yours, and the same --application-id twice shares the work"
        );
    }
    playground.close().await
}

/// Lets the flights pass at a pace, and shows how the windows fill.
async fn show(on: &Playground, feed: Feed, departures: Vec<Departure>, pace: f64) -> Result<()> {
    let airports: BTreeSet<_> = departures.iter().map(|departure| departure.origin.clone()).collect();
    let board = Arc::new(Board::new(airports.len(), departures.len() as u64));
    let broker = if on.is_own() { "a log server in this process," } else { "the broker" };
    board.say(&format!(
        "{FLIGHTS} joined with {AIRLINES}, by airport and hour, on {broker} {}",
        on.bootstrap()
    ));
    let (screen, mut day) = (Arc::clone(&board), Days::of(airports));
    let tail = on.follow(HOURS, move |key, value| {
        if let Some((place, text)) = day.update(key, value) {
            screen.line(place, text);
        }
    })?;
    let screen = Arc::clone(&board);
    let sending = move || send(&feed, FLIGHTS, &departures, Some(pace), |sent| screen.progress(sent));
    tokio::task::spawn_blocking(sending).await??;
    on.until_caught_up(&[AIRLINES, FLIGHTS]).await?;
    drop(tail);
    board.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams_test_driver::TopologyTestDriver;

    #[test]
    fn flights_of_an_hour_meet_in_their_window() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).unwrap();
        let names = driver.input_topic::<String, String>(AIRLINES);
        let flights = driver.input_topic::<String, Departure>(FLIGHTS);
        let hours = driver.output_topic_with(HOURS, TimeWindowed::of_size(Utf8, HOUR), Json);
        names.pipe(&mut driver, "UA".to_owned(), "United".to_owned()).unwrap();
        for (carrier, minute, delay) in [("UA", 5, Some(4.0)), ("XX", 59, None), ("UA", 60, Some(1.0))] {
            let departure = Departure::new(carrier, "JFK", delay, minute * 60_000);
            flights.pipe_at(&mut driver, carrier.to_owned(), departure, minute * 60_000).unwrap();
        }
        let records: Vec<(Windowed<String>, Hour)> = hours.read_key_values(&mut driver).unwrap();
        let lines = records.iter().map(|(key, hour)| hour.line(&key.key, key.window.start.as_millis()));
        let lines: Vec<_> = lines.map(|line| serde_json::to_string(&line).unwrap()).collect();
        let expected = [
            r#"{"airport":"JFK","window_start_ms":0,"flights":1,"cancelled":0,"mean_dep_delay_min":4.0}"#,
            r#"{"airport":"JFK","window_start_ms":0,"flights":2,"cancelled":1,"mean_dep_delay_min":4.0}"#,
            r#"{"airport":"JFK","window_start_ms":3600000,"flights":1,"cancelled":0,"mean_dep_delay_min":1.0}"#,
        ];
        assert_eq!(lines, expected);
    }
}
