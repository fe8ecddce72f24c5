//! The log server with clients that know nothing of it: librdkafka through rdkafka.

mod broker;
mod groups;
mod transactions;
