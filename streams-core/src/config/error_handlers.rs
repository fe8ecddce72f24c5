//! Decisions about errors that the application makes itself.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::processor::{ProcessingHandler, ProductionHandler};
use crate::task::DeserializationHandler;

/// What follows an error that no policy has dealt with (Kafka's `StreamThreadExceptionResponse`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UncaughtResponse {
    /// The worker begins anew: its tasks are opened again from their last commit (`REPLACE_THREAD`).
    ReplaceWorker,
    /// This instance stops; the others take its tasks over (`SHUTDOWN_CLIENT`).
    #[default]
    StopInstance,
    /// All instances of the application stop (`SHUTDOWN_APPLICATION`).
    StopApplication,
}

/// Decides what follows an error that no policy has dealt with.
pub type UncaughtHandler = dyn Fn(&Error) -> UncaughtResponse + Send + Sync;

/// The application's own handlers.
#[derive(Clone, Default)]
pub struct ErrorHandlers {
    /// Asked about records that cannot be read.
    pub deserialization: Option<Arc<DeserializationHandler>>,
    /// Asked about steps that fail.
    pub processing: Option<Arc<ProcessingHandler>>,
    /// Asked about records that cannot be sent.
    pub production: Option<Arc<ProductionHandler>>,
    /// Asked about errors that are left.
    pub uncaught: Option<Arc<UncaughtHandler>>,
}

impl ErrorHandlers {
    /// What follows an error that is left.
    pub(crate) fn answer(&self, error: &Error) -> UncaughtResponse {
        self.uncaught.as_ref().map_or_else(UncaughtResponse::default, |handler| handler(error))
    }
}

impl PartialEq for ErrorHandlers {
    /// Handlers are equal to themselves only.
    fn eq(&self, other: &Self) -> bool {
        let same = |one: Option<*const ()>, other: Option<*const ()>| one == other;
        let place = |handlers: &Self| {
            (
                handlers.deserialization.as_ref().map(|it| Arc::as_ptr(it).cast()),
                handlers.processing.as_ref().map(|it| Arc::as_ptr(it).cast()),
                handlers.production.as_ref().map(|it| Arc::as_ptr(it).cast()),
                handlers.uncaught.as_ref().map(|it| Arc::as_ptr(it).cast()),
            )
        };
        let (one, two) = (place(self), place(other));
        same(one.0, two.0) && same(one.1, two.1) && same(one.2, two.2) && same(one.3, two.3)
    }
}

impl fmt::Debug for ErrorHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHandlers")
            .field("deserialization", &self.deserialization.is_some())
            .field("processing", &self.processing.is_some())
            .field("production", &self.production.is_some())
            .field("uncaught", &self.uncaught.is_some())
            .finish()
    }
}
