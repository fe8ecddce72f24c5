//! Scenarios over real connections, one file each.

mod client;
mod disk_full;
mod dump_log;
mod inspect;
mod kill_under_load;
mod metrics;
mod open_files;
mod pipelining;
mod transactions_under_kill;
