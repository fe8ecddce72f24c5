//! Alerts where a card pays more within a minute than its holder's limit allows.
//!
//! ```sh
//! cargo run -p examples --bin fraud_detection                     # ten minutes of generated payments
//! cargo run -p examples --bin fraud_detection -- --payments 100000
//! ```

use std::time::Duration;

use clap::Parser;
use examples::{Feed, Options, Playground, Result};
use serde::{Deserialize, Serialize};
use streams_dsl::prelude::*;

const PROFILES: &str = "card-profiles";
const PAYMENTS: &str = "card-payments";
const ALERTS: &str = "card-alerts";
const CARDS: u32 = 50;
const BASE_MS: i64 = 1_700_006_400_000;

/// Whose card it is, and what it may spend in a minute; the key is the card.
#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
struct Profile {
    holder: String,
    limit_cents: i64,
}

/// A payment; the key is the card.
#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
struct Payment {
    merchant: String,
    amount_cents: i64,
}

/// What a card spends in one window; above the limit it is an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DefaultSerde)]
struct Spending {
    holder: String,
    payments: i64,
    sum_cents: i64,
    limit_cents: i64,
}

/// Alerts where a card pays more within a minute than its holder's limit allows.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How many payments to generate.
    #[arg(long, default_value_t = 2_000)]
    payments: u32,
}

fn topology() -> std::result::Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    let profiles = builder.table::<String, Profile>(PROFILES);
    builder
        .stream::<String, Payment>(PAYMENTS)
        .join(&profiles, |payment, profile| Spending {
            holder: profile.holder.clone(),
            payments: 1,
            sum_cents: payment.amount_cents,
            limit_cents: profile.limit_cents,
        })
        .group_by_key()
        .windowed_by(TimeWindows::of_size(Duration::from_secs(60)).grace(Duration::from_secs(30)))
        .reduce(|sum, next| Spending {
            payments: sum.payments + next.payments,
            sum_cents: sum.sum_cents + next.sum_cents,
            ..next
        })
        .to_stream()
        .filter(|_, spent| spent.as_ref().is_some_and(|spent| spent.sum_cents > spent.limit_cents))
        .map(|card, spent| (card.key, spent))
        .to(ALERTS);
    builder.build()
}

fn main() {
    examples::run(example());
}

async fn example() -> Result<()> {
    let arguments = Arguments::parse();
    let playground = Playground::open("fraud-detection", &arguments.options).await?;
    if playground.create_topics(&[PAYMENTS, PROFILES, ALERTS]).await? {
        generate(&playground.feed()?, arguments.payments)?;
    }
    let streams = KafkaStreams::new(topology()?, playground.config()?)?.start().await?;
    playground.beside(streams, playground.until_caught_up(&[PROFILES, PAYMENTS])).await?;
    println!("cards above their limit, with the last such minute:");
    for (card, spending) in playground.last_values(ALERTS).await? {
        let Spending { holder, payments, sum_cents, limit_cents } = serde_json::from_slice(&spending)?;
        println!(
            "{:>8}  {holder:<10} {payments:>3} payments  {:>9.2} spent, limit {:.2}",
            String::from_utf8_lossy(&card),
            sum_cents as f64 / 100.0,
            limit_cents as f64 / 100.0,
        );
    }
    playground.close().await
}

/// Ten minutes of payments; every tenth card has a low limit.
fn generate(feed: &Feed, payments: u32) -> Result<()> {
    for card in 0..CARDS {
        let limit_cents = if card % 10 == 0 { 5_000 } else { 200_000 };
        let profile = Profile { holder: format!("holder {card}"), limit_cents };
        feed.send_json(PROFILES, Some(&format!("card-{card}")), &profile, Some(BASE_MS - 1))?;
    }
    for number in 0..payments {
        let scattered = number.wrapping_mul(0x9E37_79B9);
        let payment = Payment {
            merchant: format!("merchant {}", scattered % 97),
            amount_cents: i64::from(scattered >> 16) % 3_000 + 100,
        };
        let time_ms = BASE_MS + i64::from(number) * 600_000 / i64::from(payments);
        feed.send_json(
            PAYMENTS,
            Some(&format!("card-{}", (scattered >> 8) % CARDS)),
            &payment,
            Some(time_ms),
        )?;
    }
    feed.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams_test_driver::TopologyTestDriver;

    #[test]
    fn an_alert_comes_when_the_minute_exceeds_the_limit() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).unwrap();
        let profiles = driver.input_topic::<String, Profile>(PROFILES);
        let payments = driver.input_topic::<String, Payment>(PAYMENTS);
        let alerts = driver.output_topic::<String, Option<Spending>>(ALERTS);
        let profile = Profile { holder: "Ada".to_owned(), limit_cents: 1_000 };
        profiles.pipe_at(&mut driver, "c".to_owned(), profile, 0).unwrap();
        for (ms, amount_cents) in [(60_000, 900), (119_999, 200), (120_000, 900)] {
            let payment = Payment { merchant: "m".to_owned(), amount_cents };
            payments.pipe_at(&mut driver, "c".to_owned(), payment, ms).unwrap();
        }
        let spending =
            Spending { holder: "Ada".to_owned(), payments: 2, sum_cents: 1_100, limit_cents: 1_000 };
        assert_eq!(alerts.read_key_values(&mut driver).unwrap(), [("c".to_owned(), Some(spending))]);
    }
}
