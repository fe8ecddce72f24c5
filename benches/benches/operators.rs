//! What operators cost by themselves, in time and allocations per record: `cargo bench -p benches`.
//!
//! In `operators` records are made beforehand and stand for what a source has read, so neither their (de)serialization
//! nor their queue is counted; `nothing` is what feeding a record and dropping its key costs without any operator. A
//! stateful operator's store lies in memory and commits every 10,000 records.
//!
//! In `task` records go from bytes in the task's queue to bytes for the producer, with five operators on their way and
//! without any.

use benches::operators::{
    Operator, chain_of_5, count, filter, nothing, source_to_sink, source_to_sink_by_5, stream_stream_join,
    stream_table_join, windowed_count,
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

#[divan::bench(args = ["nothing", "filter", "chain_of_5", "count", "windowed_count", "stream_table_join", "stream_stream_join"])]
fn operators(bencher: Bencher<'_, '_>, operator: &str) {
    let made = match operator {
        "nothing" => nothing(),
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

#[divan::bench(args = ["source_to_sink", "source_to_sink_by_5"])]
fn task(bencher: Bencher<'_, '_>, way: &str) {
    let made = match way {
        "source_to_sink" => source_to_sink(),
        _ => source_to_sink_by_5(),
    };
    let task = std::cell::RefCell::new(made.expect("the topology is right"));
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| (0..RECORDS).map(|_| task.borrow_mut().next_record()).collect::<Vec<_>>())
        .bench_local_values(|records| task.borrow_mut().process(records).expect("the task works"));
}
