//! Settings from the environment.

use super::error::ConfigError;
use super::streams_config::StreamsConfig;

/// What the variables' names begin with.
const PREFIX: &str = "STREAMS_";

impl StreamsConfig {
    /// Reads settings from variables named `STREAMS_` and the key in capitals, with `_` for `.`:
    /// `STREAMS_BOOTSTRAP_SERVERS`, `STREAMS_NUM_STREAM_THREADS`, `STREAMS_CONSUMER_FETCH_MIN_BYTES`.
    /// They replace what is set already.
    ///
    /// # Errors
    /// [`ConfigError`] when a variable of that prefix names no setting or holds a value that it does not take.
    ///
    /// ```
    /// use streams_core::StreamsConfig;
    /// let config = StreamsConfig::new("rides", "127.0.0.1:9092").with_environment()?;
    /// # Ok::<(), streams_core::ConfigError>(())
    /// ```
    pub fn with_environment(self) -> Result<Self, ConfigError> {
        // Variables that are not UTF-8 cannot be ours.
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        self.with_variables(variables)
    }

    /// Reads settings from name-value pairs, by the rule of [`StreamsConfig::with_environment`].
    ///
    /// # Errors
    /// As there.
    pub fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        for (name, value) in variables {
            if let Some(key) = name.strip_prefix(PREFIX) {
                self.set(&key.to_ascii_lowercase().replace('_', "."), &value)?;
            }
        }
        Ok(self)
    }
}
