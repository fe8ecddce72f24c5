//! Settings of a driver.

use std::time::Duration;

use streams_core::Timestamp;
use streams_core::task::TaskConfig;

/// How a driver runs its topology.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The application id: the names of internal topics begin with it.
    pub application_id: String,
    /// Where the wall clock stands at first.
    pub wall_clock: Timestamp,
    /// The task's settings; caches are off (`max_cache_bytes` 0) unless set, as in Kafka's driver examples, so that
    /// every update comes out, and results whose time has come leave at once (`emit_interval` 0).
    pub task: TaskConfig,
}

impl Default for DriverConfig {
    fn default() -> Self {
        DriverConfig {
            application_id: "test".to_owned(),
            wall_clock: Timestamp::ZERO,
            task: TaskConfig { max_cache_bytes: 0, emit_interval: Duration::ZERO, ..TaskConfig::default() },
        }
    }
}
