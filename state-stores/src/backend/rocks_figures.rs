//! What RocksDB tells of itself, under the names of Kafka Streams' metrics.

use rocksdb::Options;
use rocksdb::statistics::Ticker;
use streams_core::state::StorageFigure;

/// Of each column family: the metric and RocksDB's property.
const KEYSPACE_PROPERTIES: [(&str, &str); 14] = [
    ("num_entries_active_mem_table", "rocksdb.num-entries-active-mem-table"),
    ("num_entries_imm_mem_tables", "rocksdb.num-entries-imm-mem-tables"),
    ("cur_size_active_mem_table", "rocksdb.cur-size-active-mem-table"),
    ("cur_size_all_mem_tables", "rocksdb.cur-size-all-mem-tables"),
    ("size_all_mem_tables", "rocksdb.size-all-mem-tables"),
    ("num_immutable_mem_table", "rocksdb.num-immutable-mem-table"),
    ("mem_table_flush_pending", "rocksdb.mem-table-flush-pending"),
    ("compaction_pending", "rocksdb.compaction-pending"),
    ("estimate_pending_compaction_bytes", "rocksdb.estimate-pending-compaction-bytes"),
    ("total_sst_files_size", "rocksdb.total-sst-files-size"),
    ("live_sst_files_size", "rocksdb.live-sst-files-size"),
    ("num_live_versions", "rocksdb.num-live-versions"),
    ("estimate_table_readers_mem", "rocksdb.estimate-table-readers-mem"),
    ("background_errors", "rocksdb.background-errors"),
];
/// Of the block cache, which all databases of the process share.
const CACHE_PROPERTIES: [(&str, &str); 3] = [
    ("block_cache_capacity", "rocksdb.block-cache-capacity"),
    ("block_cache_usage", "rocksdb.block-cache-usage"),
    ("block_cache_pinned_usage", "rocksdb.block-cache-pinned-usage"),
];
/// Hits and misses since the start, where operations are counted.
const RATIOS: [(&str, Ticker, Ticker); 4] = [
    ("memtable_hit_ratio", Ticker::MemtableHit, Ticker::MemtableMiss),
    ("block_cache_data_hit_ratio", Ticker::BlockCacheDataHit, Ticker::BlockCacheDataMiss),
    ("block_cache_index_hit_ratio", Ticker::BlockCacheIndexHit, Ticker::BlockCacheIndexMiss),
    ("block_cache_filter_hit_ratio", Ticker::BlockCacheFilterHit, Ticker::BlockCacheFilterMiss),
];
/// Sums since the start, where operations are counted.
const TOTALS: [(&str, Ticker); 5] = [
    ("bytes_written_total", Ticker::BytesWritten),
    ("bytes_read_total", Ticker::BytesRead),
    ("memtable_bytes_flushed_total", Ticker::FlushWriteBytes),
    ("bytes_read_compaction_total", Ticker::CompactReadBytes),
    ("bytes_written_compaction_total", Ticker::CompactWriteBytes),
];

/// The figures of a column family.
pub(super) fn of_keyspace(property: impl Fn(&str) -> Option<u64>) -> Vec<StorageFigure> {
    figures(&KEYSPACE_PROPERTIES, property).collect()
}

/// The figures of all databases that share `options`, with what was counted, if anything was.
pub(super) fn of_process(
    options: &Options,
    counted: bool,
    property: impl Fn(&str) -> Option<u64>,
) -> Vec<StorageFigure> {
    let mut all: Vec<StorageFigure> = figures(&CACHE_PROPERTIES, property).collect();
    if !counted {
        return all;
    }
    all.extend(RATIOS.iter().filter_map(|&(name, hit, miss)| {
        let (hit, miss) = (options.get_ticker_count(hit), options.get_ticker_count(miss));
        (hit + miss > 0).then(|| StorageFigure { name, value: hit as f64 / (hit + miss) as f64 })
    }));
    all.extend(
        TOTALS
            .iter()
            .map(|&(name, ticker)| StorageFigure { name, value: options.get_ticker_count(ticker) as f64 }),
    );
    all
}

fn figures<'a>(
    properties: &'a [(&'static str, &'static str)],
    property: impl Fn(&str) -> Option<u64> + 'a,
) -> impl Iterator<Item = StorageFigure> + 'a {
    properties
        .iter()
        .filter_map(move |(name, of)| property(of).map(|value| StorageFigure { name, value: value as f64 }))
}
