//! The input records of each workload, in the order in which they are produced.

use super::{BASE_MS, CARDS, HOUR_MS, Inputs, TEN_MINUTES_MS, spread};
use crate::Workload;

/// One record of an input topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic that it goes to.
    pub topic: &'static str,
    /// Its partition; by the hash of the key where there is none.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: String,
    /// Its event time in milliseconds.
    pub timestamp: i64,
}

impl Record {
    fn keyed(topic: &'static str, key: String, value: String, timestamp: i64) -> Self {
        Self { topic, partition: None, key: Some(key), value, timestamp }
    }
}

pub(super) fn for_each(
    inputs: &Inputs,
    workload: Workload,
    n: u64,
    partitions: i32,
    mut out: impl FnMut(Record),
) {
    match workload {
        Workload::Passthrough | Workload::Live | Workload::LiveCount => {
            let topic = workload.inputs()[0];
            for i in 0..n {
                out(Record::keyed(topic, i.to_string(), inputs.page(i), spread(i, n, TEN_MINUTES_MS)));
            }
        }
        Workload::Wordcount => {
            for i in 0..n {
                out(Record {
                    topic: "in-lines",
                    partition: Some((i % partitions as u64) as i32),
                    key: None,
                    value: inputs.line(i),
                    timestamp: spread(i, n, TEN_MINUTES_MS),
                });
            }
        }
        Workload::Surge => {
            for i in 0..n {
                let key = format!("a{}", inputs.ride_area(i));
                out(Record::keyed("in-rides", key, inputs.ride(i, n), inputs.ride_ts(i, n)));
            }
        }
        Workload::Fraud => {
            for card in 0..CARDS {
                let timestamp = BASE_MS - HOUR_MS + card as i64;
                out(Record::keyed("in-profiles", format!("c{card}"), inputs.profile(card), timestamp));
            }
            for i in 0..n {
                let key = format!("c{}", inputs.payment_card(i));
                out(Record::keyed("in-cards", key, inputs.payment(i, n), inputs.payment_ts(i, n)));
            }
        }
        Workload::Join => orders_and_shipments(inputs, n, out),
        Workload::Keys => {
            for i in 0..n {
                out(Record::keyed("in-keys", format!("k{i}"), inputs.page(i), spread(i, n, TEN_MINUTES_MS)));
            }
        }
        Workload::Latest => {
            for i in 0..n {
                out(Record::keyed("in-blobs", format!("k{i}"), inputs.blob(i), spread(i, n, TEN_MINUTES_MS)));
            }
        }
        Workload::KeysAndPages => {
            for_each(inputs, Workload::Keys, n, partitions, &mut out as &mut dyn FnMut(Record));
            for_each(inputs, Workload::Passthrough, n, partitions, &mut out as &mut dyn FnMut(Record));
        }
    }
}

/// All orders, then the shipments by their own time, as they happen after each other.
fn orders_and_shipments(inputs: &Inputs, n: u64, mut out: impl FnMut(Record)) {
    let mut shipments = Vec::new();
    for i in 0..n {
        let timestamp = inputs.order_ts(i, n);
        out(Record::keyed("in-orders", format!("o{i}"), inputs.order(i, n), timestamp));
        if inputs.shipped(i) {
            shipments.push((timestamp + inputs.ship_delay(i), i));
        }
    }
    shipments.sort_unstable();
    for (timestamp, i) in shipments {
        out(Record::keyed("in-shipments", format!("o{i}"), inputs.shipment(i, n), timestamp));
    }
}
