//! The deterministic inputs of the workloads, byte for byte those of the Kafka Streams benchmark that this one is
//! compared with. Every field is a pure function of seed and index, so that [`crate::verify()`] can compute the
//! expected output without reading the input topics.

mod numbers;
mod records;
#[cfg(test)]
mod tests;

use std::fmt::Write;

pub use numbers::Numbers;
pub use records::Record;

use crate::Workload;

/// Where event time begins: 2023-11-15 00:00 UTC, a whole hour, in milliseconds.
pub(crate) const BASE_MS: i64 = 1_700_006_400_000;
/// How many areas rides start in; the low numbers are denser.
pub(crate) const AREAS: u64 = 1_000;
/// How many cards, and so profiles, there are.
pub(crate) const CARDS: u64 = 100_000;
/// How many different words the lines use.
pub(crate) const VOCABULARY: usize = 10_000;
/// Words in a line.
pub(crate) const WORDS_PER_LINE: u64 = 10;

/// Keys of an endless stream.
const LIVE_KEYS: u64 = 100_000;

const TEN_MINUTES_MS: i64 = 600_000;
const HOUR_MS: i64 = 3_600_000;

// Each kind of record draws from a stream of numbers of its own.
const PAGES: u64 = 1;
const LINES: u64 = 2;
const RIDES: u64 = 3;
const PAYMENTS: u64 = 4;
const PROFILES: u64 = 5;
const ORDERS: u64 = 6;
const BLOBS: u64 = 7;

/// Length of a value that no compression makes smaller by much.
pub(crate) const BLOB_BYTES: usize = 1_000;

/// The inputs of one seed.
#[derive(Debug, Clone)]
pub struct Inputs {
    numbers: Numbers,
    /// Cumulated weights of the words: word `r` has weight 1/(r+1) (Zipf).
    zipf: Vec<f64>,
}

impl Inputs {
    /// The inputs of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut sum = 0.0;
        let mut zipf: Vec<f64> = (0..VOCABULARY)
            .map(|rank| {
                sum += 1.0 / (rank + 1) as f64;
                sum
            })
            .collect();
        for weight in &mut zipf {
            *weight /= sum;
        }
        Self { numbers: Numbers::new(seed), zipf }
    }

    /// The value of page view `i`, about 104 bytes.
    pub fn page(&self, i: u64) -> String {
        let mut value = String::with_capacity(128);
        let user = self.numbers.below(PAGES, i, 0, 100_000);
        let page = self.numbers.below(PAGES, i, 1, 5_000);
        write(
            &mut value,
            format_args!("{{\"id\":{i},\"user\":\"u{user}\",\"page\":\"/p/{page}\",\"text\":\""),
        );
        for k in [2, 3] {
            let mut letters = self.numbers.at(PAGES, i, k);
            for _ in 0..24 {
                value.push(char::from(b'a' + (letters & 15) as u8));
                letters = (letters >> 2) ^ (letters << 62);
            }
        }
        value.push_str("\"}");
        value
    }

    /// A kilobyte of letters without a pattern.
    pub fn blob(&self, i: u64) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const LETTERS_PER_NUMBER: usize = 10;
        let mut value = String::with_capacity(BLOB_BYTES);
        let first = i * (BLOB_BYTES / LETTERS_PER_NUMBER) as u64;
        for place in 0..(BLOB_BYTES / LETTERS_PER_NUMBER) as u64 {
            let mut number = self.numbers.at(BLOBS, first + place, 0);
            for _ in 0..LETTERS_PER_NUMBER {
                value.push(char::from(LETTERS[(number & 63) as usize]));
                number >>= 6;
            }
        }
        value
    }

    /// Record `i` of an endless stream for a workload, with a time in milliseconds.
    pub fn live(&self, workload: Workload, i: u64, partitions: i32, timestamp: i64) -> Record {
        let n = i % LIVE_KEYS;
        let (key, value) = match workload {
            Workload::Latest => (format!("k{n}"), self.blob(i)),
            Workload::Live | Workload::LiveCount => (n.to_string(), self.page(i)),
            _ => (format!("k{n}"), self.page(i)),
        };
        let partition = workload.is_live().then_some((i % partitions as u64) as i32);
        Record { topic: workload.inputs()[0], partition, key: Some(key), value, timestamp }
    }

    /// The rank of word `k` of line `i`.
    pub fn word(&self, i: u64, k: u64) -> usize {
        let u = self.numbers.unit(LINES, i * 2 + k / 8, k % 8);
        self.zipf.partition_point(|weight| *weight <= u).min(VOCABULARY - 1)
    }

    /// The value of line `i`: ten words.
    pub fn line(&self, i: u64) -> String {
        let mut value = String::with_capacity(96);
        value.push_str("{\"line\":\"");
        for k in 0..WORDS_PER_LINE {
            let gap = if k > 0 { " " } else { "" };
            write(&mut value, format_args!("{gap}w{}", self.word(i, k)));
        }
        value.push_str("\"}");
        value
    }

    /// The area of ride `i`.
    pub fn ride_area(&self, i: u64) -> u64 {
        let u = self.numbers.unit(RIDES, i, 0);
        (AREAS as f64 * u * u) as u64
    }

    /// The fare of ride `i`, in cents.
    pub fn ride_fare(&self, i: u64) -> u64 {
        300 + self.numbers.below(RIDES, i, 1, 5_000)
    }

    /// The time of ride `i` of `n`, up to five seconds out of order.
    pub fn ride_ts(&self, i: u64, n: u64) -> i64 {
        spread(i, n, HOUR_MS) - self.numbers.below(RIDES, i, 2, 5_000) as i64
    }

    /// The value of ride `i` of `n`.
    pub fn ride(&self, i: u64, n: u64) -> String {
        let (area, fare, ts) = (self.ride_area(i), self.ride_fare(i), self.ride_ts(i, n));
        let rider = self.numbers.below(RIDES, i, 3, 1_000_000);
        format!("{{\"area\":\"a{area}\",\"rider\":\"r{rider}\",\"fare_cents\":{fare},\"ts\":{ts}}}")
    }

    /// The card of payment `i`: one of a thousand busy cards for a tenth of the payments.
    pub fn payment_card(&self, i: u64) -> u64 {
        let busy = self.numbers.unit(PAYMENTS, i, 0) < 0.1;
        self.numbers.below(PAYMENTS, i, 1, if busy { CARDS / 100 } else { CARDS })
    }

    /// The amount of payment `i`, in cents.
    pub fn payment_amount(&self, i: u64) -> u64 {
        100 + self.numbers.below(PAYMENTS, i, 2, 20_000)
    }

    /// The time of payment `i` of `n`.
    pub fn payment_ts(&self, i: u64, n: u64) -> i64 {
        spread(i, n, TEN_MINUTES_MS)
    }

    /// The value of payment `i` of `n`.
    pub fn payment(&self, i: u64, n: u64) -> String {
        let (card, amount, ts) = (self.payment_card(i), self.payment_amount(i), self.payment_ts(i, n));
        let merchant = self.numbers.below(PAYMENTS, i, 3, 5_000);
        format!("{{\"card\":\"c{card}\",\"merchant\":\"m{merchant}\",\"amount_cents\":{amount},\"ts\":{ts}}}")
    }

    /// The limit of a card, in cents.
    pub fn profile_limit(&self, card: u64) -> u64 {
        10_000 + self.numbers.below(PROFILES, card, 0, 40_000)
    }

    /// The profile of a card.
    pub fn profile(&self, card: u64) -> String {
        let tier = match self.numbers.below(PROFILES, card, 1, 3) {
            0 => "basic",
            1 => "silver",
            _ => "gold",
        };
        let limit = self.profile_limit(card);
        format!(
            "{{\"card\":\"c{card}\",\"name\":\"customer {card}\",\"tier\":\"{tier}\",\"limit_cents\":{limit}}}"
        )
    }

    /// The time of order `i` of `n`.
    pub fn order_ts(&self, i: u64, n: u64) -> i64 {
        spread(i, n, TEN_MINUTES_MS)
    }

    /// Whether order `i` has a shipment: four of five do.
    pub fn shipped(&self, i: u64) -> bool {
        self.numbers.below(ORDERS, i, 0, 10) < 8
    }

    /// How long after the order the shipment follows, in milliseconds.
    pub fn ship_delay(&self, i: u64) -> i64 {
        self.numbers.below(ORDERS, i, 1, 90_000) as i64
    }

    /// The value of order `i` of `n`.
    pub fn order(&self, i: u64, n: u64) -> String {
        let customer = self.numbers.below(ORDERS, i, 2, 100_000);
        let amount = 100 + self.numbers.below(ORDERS, i, 3, 50_000);
        let ts = self.order_ts(i, n);
        format!("{{\"order\":\"o{i}\",\"customer\":\"u{customer}\",\"amount_cents\":{amount},\"ts\":{ts}}}")
    }

    /// The value of the shipment of order `i` of `n`.
    pub fn shipment(&self, i: u64, n: u64) -> String {
        let carrier = self.numbers.below(ORDERS, i, 4, 12);
        let ts = self.order_ts(i, n) + self.ship_delay(i);
        format!("{{\"order\":\"o{i}\",\"carrier\":\"k{carrier}\",\"ts\":{ts}}}")
    }

    /// Hands over all input records of a workload, in the order in which they are produced.
    pub fn for_each(&self, workload: Workload, n: u64, partitions: i32, out: impl FnMut(Record)) {
        records::for_each(self, workload, n, partitions, out);
    }
}

/// The event time of record `i` of `n` that are spread evenly over a span.
fn spread(i: u64, n: u64, span_ms: i64) -> i64 {
    BASE_MS + (i as f64 * span_ms as f64 / n as f64) as i64
}

fn write(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a String takes everything");
}
