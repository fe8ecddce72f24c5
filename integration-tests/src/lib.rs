//! Scenarios that run whole applications against a broker.
