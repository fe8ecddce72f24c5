//! What operators cost by themselves, in time and allocations per record: `cargo bench -p benches`.
//!
//! Records are made beforehand and stand for what a source has read, so neither their (de)serialization nor their queue
//! is counted; a stateful operator's store lies in memory and commits every 10,000 records.

use benches::operators::{
    Operator, chain_of_5, count, filter, stream_stream_join, stream_table_join, windowed_count,
};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many records one sample takes: times and allocations are per sample, throughput is per record.
const RECORDS: usize = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(args = ["filter", "chain_of_5", "count", "windowed_count", "stream_table_join", "stream_stream_join"])]
fn thousand_records(bencher: Bencher<'_, '_>, operator: &str) {
    let made = match operator {
        "filter" => filter(),
        "chain_of_5" => chain_of_5(),
        "count" => count(),
        "windowed_count" => windowed_count(),
        "stream_table_join" => stream_table_join(),
        _ => stream_stream_join(),
    };
    let operator: std::cell::RefCell<Operator> = made.expect("the topology is right").into();
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| (0..RECORDS).map(|_| operator.borrow_mut().next_record()).collect::<Vec<_>>())
        .bench_local_values(|records| {
            let mut operator = operator.borrow_mut();
            records.into_iter().for_each(|record| operator.feed(record).expect("the operator works"));
        });
}
