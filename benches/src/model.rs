//! The records of the workloads.

use serde::{Deserialize, Serialize};
use streams_dsl::serdes::DefaultSerde;

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Line {
    pub(crate) line: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Ride {
    pub(crate) area: String,
    pub(crate) rider: String,
    pub(crate) fare_cents: i64,
    pub(crate) ts: i64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Fares {
    pub(crate) count: i64,
    pub(crate) sum_cents: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Surge {
    pub(crate) area: String,
    pub(crate) window_start: i64,
    pub(crate) count: i64,
    pub(crate) avg_fare: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Payment {
    pub(crate) card: String,
    pub(crate) merchant: String,
    pub(crate) amount_cents: i64,
    pub(crate) ts: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Profile {
    pub(crate) card: String,
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) limit_cents: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct RichPayment {
    pub(crate) card: String,
    pub(crate) amount_cents: i64,
    pub(crate) tier: String,
    pub(crate) limit_cents: i64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Spend {
    pub(crate) count: i64,
    pub(crate) sum_cents: i64,
    pub(crate) limit_cents: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Alert {
    pub(crate) card: String,
    pub(crate) window_start: i64,
    pub(crate) count: i64,
    pub(crate) sum_cents: i64,
    pub(crate) limit_cents: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Order {
    pub(crate) order: String,
    pub(crate) customer: String,
    pub(crate) amount_cents: i64,
    pub(crate) ts: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct Shipment {
    pub(crate) order: String,
    pub(crate) carrier: String,
    pub(crate) ts: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub(crate) struct ShippedOrder {
    pub(crate) order: String,
    pub(crate) customer: String,
    pub(crate) amount_cents: i64,
    pub(crate) carrier: String,
    pub(crate) delay_ms: i64,
}
