//! The workloads, each as anyone would write it, with counters at both ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use streams_dsl::prelude::*;

use crate::counters::Counters;
use crate::model::{
    Alert, Fares, Line, Order, Payment, Profile, RichPayment, Ride, Shipment, ShippedOrder, Spend, Surge,
};
use crate::{Error, Workload};

const MINUTE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);

/// The topology of a workload, with its results in the topic `output`.
/// `pause` is how long a record waits before it is sent, where the workload has a slow sink.
///
/// # Errors
/// When the topology has a fault.
pub(crate) fn build(
    workload: Workload,
    output: &str,
    counters: &Arc<Counters>,
    pause: Duration,
) -> Result<Topology, Error> {
    let builder = StreamsBuilder::new();
    match workload {
        Workload::Passthrough => passthrough(&builder, output, counters),
        Workload::Wordcount => wordcount(&builder, output, counters),
        Workload::Surge => surge(&builder, output, counters),
        Workload::Fraud => fraud(&builder, output, counters),
        Workload::Keys => keys(&builder, output, counters),
        Workload::Join => join(&builder, output, counters),
        Workload::Live | Workload::LiveCount => live(&builder, workload, output, counters),
        Workload::Latest => latest(&builder, output, counters, pause),
        Workload::KeysAndPages => {
            keys(&builder, output, &Arc::default());
            passthrough(&builder, output, counters);
        }
    }
    Ok(builder.build()?)
}

fn passthrough(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    builder
        .stream::<String, String>("in-pages")
        .peek(input(counters))
        .map_values(upper_case)
        .filter(|key, _| key.bytes().next_back().is_some_and(|digit| digit % 2 == 0))
        .peek(results(counters))
        .to(output);
}

fn wordcount(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    let (sent, done) = (Arc::clone(counters), Arc::clone(counters));
    builder
        .stream::<Option<String>, Line>("in-lines")
        .peek(input(counters))
        .flat_map_values(|line| line.line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .map(|_, word| (word.clone(), word))
        .peek(move |_, _| sent.inner_sent.add(1))
        .repartition()
        .named("words")
        .peek(move |_, _| done.inner_done.add(1))
        .group_by_key()
        .count_with(Materialized::named("counts"))
        .to_stream()
        .peek(results(counters))
        .to(output);
}

fn surge(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    builder
        .stream::<String, Ride>("in-rides")
        .peek(input(counters))
        .group_by_key()
        .windowed_by(TimeWindows::of_size(5 * MINUTE).advance_by(MINUTE).grace(GRACE))
        .aggregate_with(
            Fares::default,
            |_, ride, fares| Fares { count: fares.count + 1, sum_cents: fares.sum_cents + ride.fare_cents },
            Materialized::named("surge"),
        )
        .to_stream()
        .flat_map(|area, fares| {
            fares.map(|fares| {
                let surge = Surge {
                    window_start: area.window.start.as_millis(),
                    area: area.key,
                    count: fares.count,
                    avg_fare: fares.sum_cents as f64 / 100.0 / fares.count as f64,
                };
                (format!("{}@{}", surge.area, surge.window_start), surge)
            })
        })
        .peek(results(counters))
        .to(output);
}

fn fraud(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    let profiles = builder.table_with::<String, Profile>(
        "in-profiles",
        Consumed::new(),
        Materialized::named("profiles"),
    );
    builder
        .stream::<String, Payment>("in-cards")
        .peek(input(counters))
        .join(&profiles, |payment, profile| RichPayment {
            card: payment.card.clone(),
            amount_cents: payment.amount_cents,
            tier: profile.tier.clone(),
            limit_cents: profile.limit_cents,
        })
        .group_by_key()
        .windowed_by(TimeWindows::of_size(MINUTE).grace(GRACE))
        .aggregate_with(
            Spend::default,
            |_, payment, spend| Spend {
                count: spend.count + 1,
                sum_cents: spend.sum_cents + payment.amount_cents,
                limit_cents: payment.limit_cents,
            },
            Materialized::named("spend"),
        )
        .to_stream()
        .flat_map(|card, spend| {
            let above = spend.filter(|spend| spend.sum_cents > spend.limit_cents);
            above.map(|Spend { count, sum_cents, limit_cents }| {
                let window_start = card.window.start.as_millis();
                let alert = Alert { card: card.key, window_start, count, sum_cents, limit_cents };
                (format!("{}@{}", alert.card, alert.window_start), alert)
            })
        })
        .peek(results(counters))
        .to(output);
}

fn join(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    let orders = builder.stream::<String, Order>("in-orders").peek(input(counters));
    let shipments = builder.stream::<String, Shipment>("in-shipments").peek(input(counters));
    let windows = JoinWindows::of(MINUTE).grace(GRACE);
    orders
        .join(shipments.within(windows).with(StreamJoined::new().store_name("pairs")), |order, shipment| {
            ShippedOrder {
                order: order.order.clone(),
                customer: order.customer.clone(),
                amount_cents: order.amount_cents,
                carrier: shipment.carrier.clone(),
                delay_ms: shipment.ts - order.ts,
            }
        })
        .peek(results(counters))
        .to(output);
}

fn keys(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    builder
        .stream::<String, String>("in-keys")
        .peek(input(counters))
        .group_by_key()
        .count_with(Materialized::named("big"))
        .to_stream()
        .peek(results(counters))
        .to(output);
}

/// The output tells only how long the values are, so that the state is what is large.
fn latest(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>, pause: Duration) {
    let slow = SlowSink::new(pause);
    builder
        .stream::<String, String>("in-blobs")
        .peek(input(counters))
        .group_by_key()
        .reduce_with(|_, newest| newest, Materialized::named("latest"))
        .to_stream()
        .map_values(|value: Option<String>| value.map_or(0, |value| value.len() as i64))
        .peek(move |_, _| slow.wait())
        .peek(results(counters))
        .to(output);
}

/// A sink that takes its time, as a slow service would; it waits for many records at once, for no sleep is as short as
/// the wait for one.
struct SlowSink {
    pause: Duration,
    waiting: AtomicU32,
}

impl SlowSink {
    const RECORDS_AT_ONCE: u32 = 100;

    fn new(pause: Duration) -> Self {
        SlowSink { pause, waiting: AtomicU32::new(0) }
    }

    fn wait(&self) {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.pause.is_zero() && waiting.is_multiple_of(Self::RECORDS_AT_ONCE) {
            std::thread::sleep(self.pause * Self::RECORDS_AT_ONCE);
        }
    }
}

fn input<K, V>(counters: &Arc<Counters>) -> impl Fn(&K, &V) + Send + Sync + 'static {
    let counters = Arc::clone(counters);
    move |_, _| counters.take_input()
}

fn results<K, V>(counters: &Arc<Counters>) -> impl Fn(&K, &V) + Send + Sync + 'static {
    let counters = Arc::clone(counters);
    move |_, _| counters.output.add(1)
}

fn upper_case(mut text: String) -> String {
    text.make_ascii_uppercase();
    text
}

fn live(builder: &StreamsBuilder, workload: Workload, output: &str, counters: &Arc<Counters>) {
    let seen = Arc::clone(counters);
    let records = builder
        .stream::<String, String>("in-live")
        .peek(input(counters))
        .process_values(move |_| Ok(Clock(Arc::clone(&seen))), []);
    if workload == Workload::Live {
        records.map_values(upper_case).to(output);
    } else {
        records.group_by_key().count_with(Materialized::named("live")).to_stream().to(output);
    }
}

/// Takes note of how late each record is, and from which partition.
struct Clock(Arc<Counters>);

impl FixedKeyProcessor<String, String, String> for Clock {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        context: &mut FixedKeyContext<'_, '_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        let partition = context.record_context().map_or(0, |origin| origin.partition);
        self.0.latency.take(partition, record.timestamp().as_millis());
        context.forward(record)
    }
}
