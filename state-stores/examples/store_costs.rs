//! What a store's operations cost: `cargo run --release -p state-stores --example store_costs`.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use state_stores::{InMemory, RocksDb, Stores, TimestampedKeyValueStore, ValueAndTimestamp};
use streams_core::processor::RecordArena;
use streams_core::serdes::{BigEndian, Utf8};
use streams_core::state::{StateBackend, StateStore, TaskDatabase, WriteBatch};
use streams_core::{Headers, Timestamp};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Counts = TimestampedKeyValueStore<String, i64>;

const UPDATES: usize = 2_000_000;

fn main() -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let rocks = RocksDb::of_process().open(folder.path())?;
    let keys: Vec<String> = (0..200_000).map(|number| format!("customer-{number:07}")).collect();
    let memory = || InMemory.open(folder.path());
    println!(
        "count update, one key, cached          {}",
        updates(&mut counts(memory()?, true)?, &keys[..1])?
    );
    println!(
        "count update, 1 000 keys, cached       {}",
        updates(&mut counts(memory()?, true)?, &keys[..1_000])?
    );
    println!(
        "count update, 1 000 keys, not cached   {}",
        updates(&mut counts(memory()?, false)?, &keys[..1_000])?
    );
    println!("windowed count update, 1 000 keys, cached {}", windowed(memory()?, &keys[..1_000])?);
    let mut store = counts(Arc::clone(&rocks), true)?;
    println!("200 000 keys into RocksDB:");
    let started = Instant::now();
    for key in &keys {
        add(&mut store, key)?;
        if store.needs_flush() {
            store.flush()?;
        }
    }
    println!("  update and flush                     {}", per(started.elapsed(), keys.len()));
    println!("  commit                               {}", commit(&mut store)?);
    let mut store = counts(rocks, true)?;
    let started = Instant::now();
    for place in 0..keys.len() {
        black_box(store.get(&keys[place * 7_919 % keys.len()])?);
    }
    println!("  get                                  {}", per(started.elapsed(), keys.len()));
    Ok(())
}

fn counts(database: Arc<dyn TaskDatabase>, caching: bool) -> Result<Counts> {
    let builder = Stores::timestamped_key_value("counts", Arc::new(Utf8), Arc::new(BigEndian));
    Ok(builder.caching(caching).open(database)?)
}

fn add(store: &mut Counts, key: &String) -> Result<()> {
    store.enter(Timestamp::from_millis(1), &Headers::new());
    store.update(key, |count| match count {
        Some(count) => count.value += 1,
        None => *count = Some(ValueAndTimestamp::new(1, 1)),
    })?;
    Ok(())
}

fn updates(store: &mut Counts, keys: &[String]) -> Result<String> {
    let started = Instant::now();
    for number in 0..UPDATES {
        add(store, &keys[number % keys.len()])?;
    }
    Ok(per(started.elapsed(), UPDATES))
}

fn windowed(database: Arc<dyn TaskDatabase>, keys: &[String]) -> Result<String> {
    let minute = Duration::from_secs(60);
    let builder = Stores::timestamped_window("w", minute, minute * 60, Arc::new(Utf8), Arc::new(BigEndian));
    let mut store = builder.caching(true).open(database)?;
    let started = Instant::now();
    for number in 0..UPDATES {
        let start = Timestamp::from_millis((number / 100_000 * 60_000) as i64);
        store.update(&keys[number % keys.len()], start, |count| match count {
            Some(count) => count.value += 1i64,
            None => *count = Some(ValueAndTimestamp::new(1, 1)),
        })?;
    }
    Ok(per(started.elapsed(), UPDATES))
}

fn commit(store: &mut Counts) -> Result<String> {
    let started = Instant::now();
    let mut changelog = RecordArena::default();
    store.flush()?;
    store.take_changelog(&mut changelog);
    store.seal()?;
    let mut batch = WriteBatch::default();
    store.stage(&mut batch)?;
    store.database().write(&batch)?;
    store.retire()?;
    Ok(per(started.elapsed(), batch.len()))
}

fn per(took: Duration, operations: usize) -> String {
    format!("{:>8.1} ns", took.as_nanos() as f64 / operations.max(1) as f64)
}
