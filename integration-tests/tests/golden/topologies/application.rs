//! Cases of the group `application`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use streams_dsl::prelude::*;

use super::{Text, cases, input};
use crate::replay::Side;

cases![word_count, bank_account, surge_pricing, fraud_detection, ecommerce, page_views_by_region];

fn word_count(b: &StreamsBuilder, _: &Side) {
    let words = |line: Text| {
        let line = line.unwrap_or_default().to_lowercase();
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    input(b)
        .flat_map_values(words)
        .group_by(|_, word| word.clone())
        .named("words")
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("out");
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Deposit { amount: i64 },
    Withdraw { amount: i64 },
    Close {},
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Account {
    balance: i64,
    version: i64,
    rejected: i64,
}

fn bank_account(b: &StreamsBuilder, _: &Side) {
    let new = || Some(Account { balance: 0, version: 0, rejected: 0 });
    let apply = |_: &Text, event: Option<Event>, account: Option<Account>| {
        let mut account = account?;
        account.version += 1;
        match event? {
            Event::Deposit { amount } => account.balance += amount,
            Event::Withdraw { amount } if amount <= account.balance => account.balance -= amount,
            Event::Withdraw { .. } => account.rejected += 1,
            Event::Close {} => return None,
        }
        Some(account)
    };
    b.stream::<Text, Option<Event>>("events")
        .group_by_key()
        .aggregate_with(new, apply, Materialized::named("accounts"))
        .to_stream()
        .to("accounts");
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Ride {
    area: Text,
    fare: f64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Fares {
    count: i64,
    sum: f64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Demand {
    count: i64,
    avg: f64,
    surge: bool,
}

fn surge_pricing(b: &StreamsBuilder, _: &Side) {
    let add = |_: &Text, ride: Option<Ride>, fares: Fares| Fares {
        count: fares.count + 1,
        sum: fares.sum + ride.map_or(0.0, |ride| ride.fare),
    };
    let demand = |fares: Option<Fares>| {
        fares.map(|Fares { count, sum }| Demand { count, avg: sum / count as f64, surge: count >= 4 })
    };
    let windows = TimeWindows::of_size(Duration::from_secs(20)).advance_by(Duration::from_secs(5));
    b.stream::<Text, Option<Ride>>("rides")
        .filter(|_, ride| ride.is_some())
        .group_by(|_, ride| ride.as_ref().and_then(|ride| ride.area.clone()))
        .named("by-area")
        .windowed_by(windows.grace(Duration::from_secs(5)))
        .aggregate_with(|| Fares { count: 0, sum: 0.0 }, add, Materialized::named("fares"))
        .to_stream()
        .map_values(demand)
        .to("surge");
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Transaction {
    id: serde_json::Value,
    amount: i64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Limits {
    tier: String,
    limit: i64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Checked {
    id: serde_json::Value,
    amount: i64,
    limit: i64,
}

fn fraud_detection(b: &StreamsBuilder, _: &Side) {
    let accounts: KTable<Text, Limits> =
        b.table_with("accounts", Consumed::new(), Materialized::named("accounts"));
    let check = |transaction: &Option<Transaction>, account: Option<&Limits>| {
        let Transaction { id, amount } = transaction.clone()?;
        Some(Checked { id, amount, limit: account.map_or(500, |account| account.limit) })
    };
    let checked = b.stream::<Text, Option<Transaction>>("tx").left_join(&accounts, check);
    let flagged = checked.filter(|_, checked| checked.as_ref().is_some_and(|it| it.amount > it.limit));
    flagged.to("flagged");
    flagged
        .group_by_key()
        .windowed_by(TimeWindows::of_size(Duration::from_secs(30)).grace(Duration::from_secs(10)))
        .count_with(Materialized::named("flags"))
        .to_stream()
        .filter(|_, count| count.is_some_and(|count| count >= 3))
        .to("alerts");
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Order {
    customer: Text,
    total: i64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Payment {
    amount: i64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Paid {
    #[serde(flatten)]
    order: Order,
    paid: i64,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Shipped {
    #[serde(flatten)]
    paid: Paid,
    carrier: Text,
}

#[derive(Clone, Serialize, Deserialize, DefaultSerde)]
struct Done {
    #[serde(flatten)]
    shipped: Shipped,
    name: Text,
}

fn ecommerce(b: &StreamsBuilder, _: &Side) {
    let within = |seconds| JoinWindows::of(Duration::from_secs(seconds)).grace(Duration::from_secs(5));
    let orders = b.stream::<Text, Option<Order>>("orders");
    let payments = b.stream::<Text, Option<Payment>>("payments");
    let customers =
        b.global_table_with::<String, String>("customers", Consumed::new(), Materialized::named("customers"));
    let pay = |order: &Option<Order>, payment: &Option<Payment>| {
        Some(Paid { order: order.clone()?, paid: payment.as_ref()?.amount })
    };
    let ship =
        |paid: &Option<Paid>, carrier: &Text| Some(Shipped { paid: paid.clone()?, carrier: carrier.clone() });
    let customer = |_: &Text, shipped: &Option<Shipped>| {
        shipped.as_ref().and_then(|it| it.paid.order.customer.clone()).unwrap_or_default()
    };
    let name = |shipped: &Option<Shipped>, name: Option<&String>| {
        Some(Done { shipped: shipped.clone()?, name: name.cloned() })
    };
    let paid = orders.join(payments.within(within(10)), pay).named("op");
    let shipments = b.stream::<Text, Text>("shipments");
    let shipped = paid.join(shipments.within(within(20)), ship).named("ops");
    shipped.left_join(customers.by(customer), name).to("done");
    let state = |_: &Option<Order>, payment: Option<&Option<Payment>>| {
        if payment.is_some() { "paid".to_owned() } else { "unpaid".to_owned() }
    };
    orders
        .left_join(payments.within(within(10)), state)
        .named("unp")
        .filter(|_, state| state == "unpaid")
        .to("unpaid");
}

fn page_views_by_region(b: &StreamsBuilder, _: &Side) {
    let views = b.stream::<Text, Text>("views");
    let users: KTable<Text, Text> = b.table_with("users", Consumed::new(), Materialized::named("users"));
    let region = |_: &Text, region: Option<&Text>| region.cloned().flatten().or(Some("unknown".to_owned()));
    let ten = Duration::from_secs(10);
    let windows = TimeWindows::of_size(ten).advance_by(ten / 2).grace(Duration::from_secs(2));
    views
        .left_join(&users, region)
        .group_by(|_, region| region.clone())
        .named("by-region")
        .windowed_by(windows)
        .count_with(Materialized::named("views"))
        .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()).name("sup"))
        .to_stream()
        .to("out");
}
