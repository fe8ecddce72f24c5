//! The service itself.

use std::net::SocketAddr;
use std::sync::Arc;

use streams_core::StreamsHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::error::ServiceError;
use crate::metrics::Scrapes;
use crate::options::HttpOptions;
use crate::partitions::Partitions;
use crate::peers::Peers;
use crate::routes::{Service, router};

/// A running service; it ends when this is dropped.
#[derive(Debug)]
pub struct HttpService {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// A service that has its address and waits for the application.
#[derive(Debug)]
pub(crate) struct BoundService {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    options: HttpOptions,
    scrapes: Scrapes,
}

impl BoundService {
    /// Takes the address and, where nobody has one yet, makes the process's recorder of metrics: what is measured before is
    /// lost.
    pub(crate) async fn new(options: HttpOptions) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Bind { address: options.address, source };
        let listener = TcpListener::bind(options.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(BoundService { listener, address, options, scrapes: Scrapes::install() })
    }

    /// Where the other instances reach it.
    pub(crate) fn advertised(&self) -> String {
        self.options.advertised.clone().unwrap_or_else(|| self.address.to_string())
    }

    /// Answers for an application.
    pub(crate) fn serve(self, handle: StreamsHandle) -> HttpService {
        let queries = Arc::new(Semaphore::new(self.options.queries_max));
        let service = Service {
            partitions: Partitions { handle, peers: Peers::new() },
            options: Arc::new(self.options),
            scrapes: self.scrapes,
            queries,
        };
        let (listener, address) = (self.listener, self.address);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(service)).await {
                tracing::error!(%error, "the HTTP service ended");
            }
        });
        tracing::info!(%address, "the HTTP service listens at http://{address}");
        HttpService { address, serving }
    }
}

impl HttpService {
    /// Serves an application that runs already, for example where `application.server` is given and the address with it.
    /// [`StartWithHttp`](crate::StartWithHttp) does both in one line.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(handle: StreamsHandle, options: HttpOptions) -> Result<Self, ServiceError> {
        Ok(BoundService::new(options).await?.serve(handle))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; its address is free when this returns.
    pub async fn stop(mut self) {
        self.serving.abort();
        // Aborted is what it was asked to be.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for HttpService {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
