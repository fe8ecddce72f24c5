//! The broker that a scenario runs on.

use std::time::Duration;

use log_server::{LogServer, LogServerConfig};
use streams_dsl::StreamsConfig;

/// Names the brokers to run the scenarios on; the log server, in this process, where it is not set.
const BOOTSTRAP_VARIABLE: &str = "KAFKA_BOOTSTRAP";

/// A log server of the scenario's own, or the broker that `KAFKA_BOOTSTRAP` names.
#[derive(Debug)]
pub struct TestBroker {
    bootstrap: String,
    // Keeps the server alive.
    _server: Option<LogServer>,
}

impl TestBroker {
    /// Starts one.
    ///
    /// # Panics
    /// When the log server cannot be started: the scenario has failed then.
    pub async fn start() -> Self {
        if let Ok(bootstrap) = std::env::var(BOOTSTRAP_VARIABLE) {
            return TestBroker { bootstrap, _server: None };
        }
        let config = LogServerConfig::temporary()
            .expect("the temporary directory is writable")
            .auto_create_topics(false)
            .group_initial_rebalance_delay(Duration::ZERO);
        let server = LogServer::start(config).await.expect("the log server starts on a free port");
        TestBroker { bootstrap: server.address().to_string(), _server: Some(server) }
    }

    /// `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Settings of an application on this broker: state below `state_dir`, short waits.
    pub fn config(&self, application_id: &str, state_dir: &std::path::Path) -> StreamsConfig {
        StreamsConfig::new(application_id, &self.bootstrap)
            .state_dir(state_dir)
            .commit_interval(Duration::from_millis(200))
            .session_timeout(Duration::from_secs(6))
            .startup_timeout(Duration::from_secs(10))
    }
}
