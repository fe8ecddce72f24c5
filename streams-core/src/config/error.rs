//! What can be wrong with a configuration.

use thiserror::Error;

/// A setting that cannot be used. Values of secret settings are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such setting.
    #[error("unknown setting `{key}`{}", .nearest.as_ref().map(|nearest| format!(": did you mean `{nearest}`?")).unwrap_or_default())]
    UnknownKey {
        /// The name that was given.
        key: String,
        /// The known name nearest to it, where one is near.
        nearest: Option<String>,
    },
    /// The value is not one that the setting takes.
    #[error("`{key}` cannot be `{value}`: it takes {expected}")]
    InvalidValue {
        /// The setting.
        key: String,
        /// The value that was given; `***` where the setting is secret.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// A setting without which nothing works is missing.
    #[error("`{key}` is missing: {remedy}")]
    Missing {
        /// The setting.
        key: &'static str,
        /// How to give it.
        remedy: &'static str,
    },
    /// The setting shapes topologies, and this one was built without it.
    #[error(
        "`{key}` is `{asked}`, but the topology was built with `{built}`: build it by the same settings, \
         `builder.build_with(&config)`"
    )]
    BuiltWithout {
        /// The setting.
        key: &'static str,
        /// The value that was given.
        asked: String,
        /// The value that the topology was built with.
        built: String,
    },
    /// Kafka Streams knows the setting, this project does not offer what it asks for.
    #[error("`{key}` cannot be `{value}` here: {reason}")]
    Unsupported {
        /// The setting.
        key: String,
        /// The value that was given.
        value: String,
        /// Why, and what to do instead.
        reason: &'static str,
    },
}
