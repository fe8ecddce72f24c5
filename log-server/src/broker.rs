//! What all connections of a server share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::api::ApiTable;
use crate::config::LogServerConfig;
use crate::error::Error;

/// The one broker of the cluster: its state, shared by all connections.
pub(crate) struct Broker {
    config: LogServerConfig,
    apis: ApiTable,
    shutdown: CancellationToken,
}

impl Broker {
    /// Opens the data directory.
    pub(crate) fn open(config: LogServerConfig) -> Result<Arc<Self>, Error> {
        config.validate()?;
        Ok(Arc::new(Broker { config, apis: ApiTable::new(), shutdown: CancellationToken::new() }))
    }

    /// The configuration that the server was started with.
    pub(crate) fn config(&self) -> &LogServerConfig {
        &self.config
    }

    /// The APIs that the server has.
    pub(crate) fn apis(&self) -> &ApiTable {
        &self.apis
    }

    /// Cancelled when the server begins to stop: background tasks and waiting requests must then end.
    pub(crate) fn shutdown_token(&self) -> &CancellationToken {
        &self.shutdown
    }
}
