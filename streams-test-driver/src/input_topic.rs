//! Sending records into a topology.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streams_core::serdes::{Serde, serialize_nullable};
use streams_core::{Record, Timestamp};

use crate::driver::TopologyTestDriver;
use crate::error::DriverError;

/// An input topic, typed; made by [`TopologyTestDriver::input_topic`].
///
/// Records without a time of their own get the topic's clock, which stands at 0 until
/// [`TestInputTopic::starting_at`] or [`TestInputTopic::advancing_by`] say otherwise.
pub struct TestInputTopic<K, V> {
    topic: Arc<str>,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    clock: std::cell::Cell<Timestamp>,
    advance: Duration,
}

impl<K: 'static, V: 'static> TestInputTopic<K, V> {
    pub(crate) fn new(topic: Arc<str>, key_serde: Arc<dyn Serde<K>>, value_serde: Arc<dyn Serde<V>>) -> Self {
        let clock = std::cell::Cell::new(Timestamp::ZERO);
        TestInputTopic { topic, key_serde, value_serde, clock, advance: Duration::ZERO }
    }

    /// Lets the topic's clock begin at `time`.
    #[must_use]
    pub fn starting_at(self, time: impl Into<Timestamp>) -> Self {
        self.clock.set(time.into());
        self
    }

    /// Lets the topic's clock go on by `step` with each record that has no time of its own.
    #[must_use]
    pub fn advancing_by(self, step: Duration) -> Self {
        TestInputTopic { advance: step, ..self }
    }

    /// Sends a record at the topic's time, and lets the topology finish all that follows from it.
    ///
    /// # Errors
    /// When the record cannot be written or the topology fails.
    pub fn pipe(&self, driver: &mut TopologyTestDriver, key: K, value: V) -> Result<(), DriverError> {
        let now = self.clock.get();
        self.clock.set(now + self.advance);
        self.pipe_at(driver, key, value, now)
    }

    /// Sends a record at `time`.
    ///
    /// # Errors
    /// As [`TestInputTopic::pipe`].
    pub fn pipe_at(
        &self,
        driver: &mut TopologyTestDriver,
        key: K,
        value: V,
        time: impl Into<Timestamp>,
    ) -> Result<(), DriverError> {
        self.pipe_record(driver, Record::new(key, value, time))
    }

    /// Sends a record with its time and headers.
    ///
    /// # Errors
    /// As [`TestInputTopic::pipe`].
    pub fn pipe_record(
        &self,
        driver: &mut TopologyTestDriver,
        record: Record<K, V>,
    ) -> Result<(), DriverError> {
        let key = self.bytes(&*self.key_serde, &record.key)?;
        let value = self.bytes(&*self.value_serde, &record.value)?;
        driver.pipe_bytes(&self.topic, key, value, record.timestamp, record.headers)
    }

    fn bytes<T: 'static>(&self, serde: &dyn Serde<T>, value: &T) -> Result<Option<Bytes>, DriverError> {
        let mut out = Vec::new();
        match serialize_nullable(serde, value, &mut out) {
            Ok(present) => Ok(present.then(|| out.into())),
            Err(source) => Err(DriverError::Serde { topic: self.topic.to_string(), source }),
        }
    }
}

impl<K, V> fmt::Debug for TestInputTopic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestInputTopic({})", self.topic)
    }
}
