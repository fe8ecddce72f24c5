//! An application and its service, started in one line.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Deref;

use streams_core::{CloseOptions, Error, KafkaStreams, RunningStreams};

use crate::error::ServiceError;
use crate::options::HttpOptions;
use crate::service::{BoundService, HttpService};

/// Starts an application together with its HTTP service.
pub trait StartWithHttp {
    /// Starts the application and serves it. The other instances are told the service's address, unless
    /// `application.server` is set.
    ///
    /// ```no_run
    /// use streams_core::{KafkaStreams, StreamsConfig};
    /// use streams_http::{HttpOptions, StartWithHttp};
    ///
    /// # async fn run(topology: streams_core::topology::Topology) -> Result<(), Box<dyn std::error::Error>> {
    /// let streams = KafkaStreams::new(topology, StreamsConfig::new("rides", "127.0.0.1:9092"))?;
    /// let streams = streams.start_with_http(HttpOptions::default()).await?;
    /// println!("http://{}/status", streams.address());
    /// streams.run_until(tokio::signal::ctrl_c()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the address cannot be listened on, or the application does not start.
    fn start_with_http(
        self,
        options: HttpOptions,
    ) -> impl Future<Output = Result<Served, ServiceError>> + Send;
}

impl StartWithHttp for KafkaStreams {
    async fn start_with_http(mut self, options: HttpOptions) -> Result<Served, ServiceError> {
        let bound = BoundService::new(options).await?;
        self.advertise(bound.advertised());
        let streams = self.start().await?;
        let service = bound.serve(streams.handle());
        Ok(Served { streams, service })
    }
}

/// A running application with its HTTP service. It is the [`RunningStreams`] as well.
#[derive(Debug)]
pub struct Served {
    streams: RunningStreams,
    service: HttpService,
}

impl Served {
    /// Where the service listens.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// As [`RunningStreams::run_until`]; the service answers until the application has closed.
    ///
    /// # Errors
    /// Those of [`RunningStreams::run_until`].
    pub async fn run_until(self, stop: impl Future) -> Result<(), Error> {
        let Served { streams, service } = self;
        let outcome = streams.run_until(stop).await;
        service.stop().await;
        outcome
    }

    /// As [`RunningStreams::run_until_signal`]; the service answers until the application has closed.
    ///
    /// # Errors
    /// Those of [`RunningStreams::run_until_signal`].
    pub async fn run_until_signal(self) -> Result<(), Error> {
        let Served { streams, service } = self;
        let outcome = streams.run_until_signal().await;
        service.stop().await;
        outcome
    }

    /// As [`RunningStreams::shutdown`]; the service answers until the application has closed.
    ///
    /// # Errors
    /// Those of [`RunningStreams::shutdown`].
    pub async fn shutdown(self) -> Result<(), Error> {
        self.shutdown_with(CloseOptions::new()).await
    }

    /// As [`RunningStreams::shutdown_with`]; the service answers until the application has closed.
    ///
    /// # Errors
    /// Those of [`RunningStreams::shutdown_with`].
    pub async fn shutdown_with(self, options: CloseOptions) -> Result<(), Error> {
        let Served { streams, service } = self;
        let outcome = streams.shutdown_with(options).await;
        service.stop().await;
        outcome
    }
}

impl Deref for Served {
    type Target = RunningStreams;

    fn deref(&self) -> &RunningStreams {
        &self.streams
    }
}
