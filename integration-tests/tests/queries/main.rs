//! State is read from outside while tasks run, move and end: by the typed calls, and over HTTP.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

mod changes;
mod http;
mod rebalance;
mod stores;
