//! One topic.

use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

use super::config::TopicConfig;
use crate::log::PartitionLog;

/// The longest name of a topic; with a partition's number it must fit in the name of a directory.
const MAX_NAME_BYTES: usize = 249;

/// Topics that belong to the server.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// A topic and its partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    config: RwLock<Arc<TopicConfig>>,
    partitions: RwLock<Arc<Vec<Arc<PartitionLog>>>>,
}

impl Topic {
    pub(crate) fn new(
        name: Arc<str>,
        id: Uuid,
        config: Arc<TopicConfig>,
        logs: Vec<Arc<PartitionLog>>,
    ) -> Self {
        Topic { name, id, config: RwLock::new(config), partitions: RwLock::new(Arc::new(logs)) }
    }

    /// Whether the topic belongs to the server: clients may read it, not write it.
    pub(crate) fn is_internal(&self) -> bool {
        Self::is_internal_name(&self.name)
    }

    /// Whether the name is that of a topic which the server makes for itself when it is needed.
    pub(crate) fn is_internal_name(name: &str) -> bool {
        INTERNAL.contains(&name)
    }

    /// The topic's configuration.
    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All partitions, in the order of their numbers.
    pub(crate) fn partitions(&self) -> Arc<Vec<Arc<PartitionLog>>> {
        Arc::clone(&self.partitions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One partition; `None` if the topic has no such partition.
    pub(crate) fn partition(&self, number: i32) -> Option<Arc<PartitionLog>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(usize::try_from(number).ok()?).cloned()
    }

    /// Replaces the configuration, also that of the partitions.
    pub(super) fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        for log in self.partitions().iter() {
            log.set_config(Arc::clone(&config));
        }
    }

    pub(super) fn set_partitions(&self, logs: Vec<Arc<PartitionLog>>) {
        *self.partitions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(logs);
    }
}

/// Whether clients could use a topic of this name: Kafka's rules, which keep names fit for directories.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn validate_name(name: &str) -> Result<(), String> {
    let legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    if name.is_empty() {
        return Err("Topic name is invalid: the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return Err("Topic name cannot be \".\" or \"..\"".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("Topic name is invalid: the length of '{name}' is longer than {MAX_NAME_BYTES}"));
    }
    if !name.chars().all(legal) {
        return Err(format!(
            "Topic name is invalid: '{name}' contains characters other than ASCII alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fit_for_directories() {
        for name in ["orders", "app-store-changelog", "a.b_c-D9", "..."] {
            assert_eq!(validate_name(name), Ok(()));
        }
        for name in ["", ".", "..", "a/b", "größe", "a b", &"x".repeat(250)] {
            assert!(validate_name(name).is_err(), "{name}");
        }
    }
}
