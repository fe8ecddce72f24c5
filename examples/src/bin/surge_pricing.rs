//! Prices of rides: per area, how many are asked for in the last five minutes, against how many drivers are free there.
//!
//! ```sh
//! cargo run -p examples --bin surge_pricing -- --rides 2000       # an hour of generated rides
//! ```

use std::collections::BTreeMap;

use clap::Parser;
use examples::{Feed, Options, Playground, Result};
use serde::{Deserialize, Serialize};
use streams_dsl::prelude::*;

const REQUESTS: &str = "ride-requests";
const DRIVERS: &str = "available-drivers";
const PRICES: &str = "surge-prices";
const AREAS: [&str; 4] = ["airport", "center", "harbour", "north"];
const HIGHEST_MULTIPLIER: f64 = 3.0;
const BASE_MS: i64 = 1_700_006_400_000;

/// A request; the topic's key is the area.
#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
struct Request {
    rider: String,
}

/// How many rides an area asks for in one window.
#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
struct Demand {
    window_start_ms: i64,
    requests: i64,
}

/// What a ride costs in an area, for one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DefaultSerde)]
struct Price {
    window_start_ms: i64,
    requests: i64,
    drivers: i64,
    multiplier: f64,
}

/// Prices surge where more rides are asked for than there are drivers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How many rides to generate.
    #[arg(long, default_value_t = 2_000)]
    rides: u32,
}

fn topology() -> std::result::Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let drivers = builder.table::<String, i64>(DRIVERS);
    builder
        .stream::<String, Request>(REQUESTS)
        .group_by_key()
        .windowed_by(
            TimeWindows::of_size(Duration::from_secs(300))
                .advance_by(Duration::from_secs(60))
                .grace(Duration::from_secs(30)),
        )
        .count()
        .to_stream()
        .map(|area, requests| {
            let window_start_ms = area.window.start.as_millis();
            (area.key, Demand { window_start_ms, requests: requests.unwrap_or_default() })
        })
        .join(&drivers, |demand, drivers| Price {
            window_start_ms: demand.window_start_ms,
            requests: demand.requests,
            drivers: *drivers,
            multiplier: multiplier(demand.requests, *drivers),
        })
        .map(|area, price| (format!("{area}@{}", price.window_start_ms), price))
        .to(PRICES);
    builder.build()
}

/// Requests for each driver, between 1 and the highest, in tenths.
fn multiplier(requests: i64, drivers: i64) -> f64 {
    let demand = requests as f64 / drivers.max(1) as f64;
    (demand.clamp(1.0, HIGHEST_MULTIPLIER) * 10.0).round() / 10.0
}

fn main() {
    examples::run(example());
}

async fn example() -> Result<()> {
    let arguments = Arguments::parse();
    let playground = Playground::open("surge-pricing", &arguments.options).await?;
    if playground.create_topics(&[REQUESTS, DRIVERS, PRICES]).await? {
        generate(&playground.feed()?, arguments.rides)?;
    }
    let streams = KafkaStreams::new(topology()?, playground.config()?)?.start().await?;
    playground.beside(streams, playground.until_caught_up(&[DRIVERS, REQUESTS])).await?;
    println!("the busiest five minutes of each area:");
    let mut busiest = BTreeMap::<String, Price>::new();
    for (key, price) in playground.last_values(PRICES).await? {
        let price: Price = serde_json::from_slice(&price)?;
        let area = String::from_utf8_lossy(&key).split('@').next().unwrap_or_default().to_owned();
        if busiest.get(&area).is_none_or(|best| price.requests > best.requests) {
            busiest.insert(area, price);
        }
    }
    for (area, Price { multiplier, requests, drivers, .. }) in busiest {
        println!("{area:>8}  x{multiplier:.1}  {requests} requests, {drivers} drivers");
    }
    playground.close().await
}

/// An hour of rides, most of them in the last areas; the drivers are evenly spread.
fn generate(feed: &Feed, rides: u32) -> Result<()> {
    for area in AREAS {
        feed.send(DRIVERS, Some(area), &25_i64.to_be_bytes(), Some(BASE_MS))?;
    }
    for ride in 0..rides {
        // The square root of a scattered number in 0..1 is dense at 1.
        let scattered = f64::from(ride.wrapping_mul(0x9E37_79B9)) / f64::from(u32::MAX);
        let area = AREAS[((scattered.sqrt() * AREAS.len() as f64) as usize).min(AREAS.len() - 1)];
        let time_ms = BASE_MS + i64::from(ride) * 3_600_000 / i64::from(rides);
        let request = Request { rider: format!("rider-{ride}") };
        feed.send_json(REQUESTS, Some(area), &request, Some(time_ms))?;
    }
    feed.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams_test_driver::TopologyTestDriver;

    #[test]
    fn the_price_rises_with_the_requests_of_a_window() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).unwrap();
        let drivers = driver.input_topic::<String, i64>(DRIVERS);
        let requests = driver.input_topic::<String, Request>(REQUESTS);
        let prices = driver.output_topic::<String, Price>(PRICES);
        drivers.pipe_at(&mut driver, "center".to_owned(), 2, 0).unwrap();
        for ms in 600_000..600_005 {
            let request = Request { rider: "r".to_owned() };
            requests.pipe_at(&mut driver, "center".to_owned(), request, ms).unwrap();
        }
        let price = Price { window_start_ms: 600_000, requests: 5, drivers: 2, multiplier: 2.5 };
        let last = prices.read_key_values(&mut driver).unwrap().pop();
        assert_eq!(last, Some(("center@600000".to_owned(), price)));
    }
}
