//! How RocksDB is set up: one block cache and one write-buffer manager for the whole process.

use rocksdb::statistics::StatsLevel;
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel, Options, WriteBufferManager};

/// What all RocksDB databases of a process may use together unless another number is given: block cache and
/// memtables.
pub(crate) const DEFAULT_BUDGET_BYTES: usize = 128 << 20;
/// The share of the budget that memtables may take; they are charged to the block cache as well.
const WRITE_BUFFER_SHARE: usize = 6;
/// A column family's memtable is flushed at this size at the latest.
const WRITE_BUFFER_BYTES: usize = 8 << 20;
/// Or at this part of what all memtables may take, for there are mostly several column families.
const WRITE_BUFFER_PART: usize = 3;
/// RocksDB reserves the room of a memtable in steps, so it is not made smaller than this.
const WRITE_BUFFER_BYTES_MIN: usize = 1 << 20;
/// A memtable's filter of keys, as a part of its size; it is there from the first write on, and most memtables are small.
const MEMTABLE_FILTER_SHARE: f64 = 0.01;
/// The step in which a memtable grows: a small one, for many column families hold little.
const ARENA_BLOCK_BYTES: usize = 128 << 10;
/// Column families that are seldom written would else keep old write-ahead logs.
const WAL_BYTES: u64 = 64 << 20;
/// Open table files of one database.
const OPEN_FILES: i32 = 512;
const BLOCK_BYTES: usize = 8 << 10;
/// About 1 % of look-ups for absent keys read a block in vain.
const BLOOM_BITS_PER_KEY: f64 = 10.0;

/// What the databases of a process share.
pub(crate) struct SharedOptions {
    pub(crate) options: Options,
    pub(crate) cache: Cache,
    pub(crate) counts_operations: bool,
    pub(crate) write_buffers: WriteBufferManager,
}

impl SharedOptions {
    pub(crate) fn new(budget_bytes: usize, counts_operations: bool) -> Self {
        let cache = Cache::new_lru_cache(budget_bytes);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            budget_bytes / WRITE_BUFFER_SHARE,
            false,
            cache.clone(),
        );
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_write_buffer_manager(&write_buffers);
        let part = budget_bytes / WRITE_BUFFER_SHARE / WRITE_BUFFER_PART;
        options.set_write_buffer_size(part.clamp(WRITE_BUFFER_BYTES_MIN, WRITE_BUFFER_BYTES));
        options.set_arena_block_size(ARENA_BLOCK_BYTES);
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER_SHARE);
        options.set_max_total_wal_size(WAL_BYTES);
        options.set_max_open_files(OPEN_FILES);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_keep_log_file_num(1);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options.set_skip_stats_update_on_db_open(true);
        options.set_max_background_jobs(2);
        if counts_operations {
            options.enable_statistics();
            // Counters only: histograms and timers look at the clock.
            options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
        }
        options.set_block_based_table_factory(&table_options(&cache));
        SharedOptions { options, cache, counts_operations, write_buffers }
    }

    /// Changes the budget of the databases that are open, and of those to come.
    pub(crate) fn set_budget(&self, bytes: usize) {
        self.cache.clone().set_capacity(bytes);
        self.write_buffers.set_buffer_size(bytes / WRITE_BUFFER_SHARE);
    }
}

fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    // Indexes and filters count within the budget, and stay while their table is young.
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    table
}
