//! Configuration: by builder, by Kafka's own string keys, by the environment.

mod environment;
mod error;
mod error_handlers;
mod keys;
mod parse;
mod streams_config;

pub use error::ConfigError;
pub use error_handlers::{ErrorHandlers, UncaughtHandler, UncaughtResponse};
pub(crate) use keys::is_secret;
pub use keys::{ConfigKey, config_keys};
pub use streams_config::{ErrorPolicy, ProcessingGuarantee, RecordingLevel, ResetPolicy, StreamsConfig};
