//! Topics: what they are called, how they are configured, and their partition logs.

mod config;
mod internal;
mod registry;
mod topic;
mod topic_file;
mod topic_id;

pub(crate) use config::{ConfigDefinition, ConfigSource, ConfigType, DEFINITIONS, TopicConfig, definition};
pub(crate) use registry::{CreateTopic, Refusal, TopicRegistry};
pub(crate) use topic::{Topic, validate_name};
pub(crate) use topic_id::encode as encode_id;
