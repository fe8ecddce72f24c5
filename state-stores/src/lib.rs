//! State stores: key-value, window and session stores on RocksDB and in memory.
