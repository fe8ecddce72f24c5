//! Threads that async tasks run on.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::Error;

/// Threads of a tokio runtime; their end never blocks, so that they may be dropped inside another runtime.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// Starts `count` threads; what is spawned by the handle runs on them until they are dropped.
    pub(crate) fn start(name: &str, count: usize) -> Result<(Handle, Self), Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|fault| Error::Runtime { reason: fault.to_string() })?;
        Ok((runtime.handle().clone(), Threads(Some(runtime))))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
