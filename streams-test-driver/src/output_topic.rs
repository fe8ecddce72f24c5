//! Reading what a topology has sent.

use std::fmt;
use std::sync::Arc;

use streams_core::serdes::{Serde, SerdeError, deserialize_nullable};
use streams_core::{Record, Timestamp};

use crate::driver::TopologyTestDriver;
use crate::error::DriverError;
use crate::produced::ProducedRecord;

/// An output topic, typed; made by [`TopologyTestDriver::output_topic`].
pub struct TestOutputTopic<K, V> {
    topic: Arc<str>,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
}

impl<K: 'static, V: 'static> TestOutputTopic<K, V> {
    pub(crate) fn new(topic: Arc<str>, key_serde: Arc<dyn Serde<K>>, value_serde: Arc<dyn Serde<V>>) -> Self {
        TestOutputTopic { topic, key_serde, value_serde }
    }

    /// Takes the oldest record that has not been read yet.
    ///
    /// # Errors
    /// When its bytes cannot be read by the serdes.
    pub fn read_record(&self, driver: &mut TopologyTestDriver) -> Result<Option<Record<K, V>>, DriverError> {
        driver.next_produced(&self.topic).map(|record| self.typed(record)).transpose()
    }

    /// Takes all records that have not been read yet.
    ///
    /// # Errors
    /// As [`TestOutputTopic::read_record`].
    pub fn read_records(&self, driver: &mut TopologyTestDriver) -> Result<Vec<Record<K, V>>, DriverError> {
        std::iter::from_fn(|| self.read_record(driver).transpose()).collect()
    }

    /// Takes keys and values of all records that have not been read yet.
    ///
    /// # Errors
    /// As [`TestOutputTopic::read_record`].
    pub fn read_key_values(&self, driver: &mut TopologyTestDriver) -> Result<Vec<(K, V)>, DriverError> {
        Ok(self.read_records(driver)?.into_iter().map(|record| (record.key, record.value)).collect())
    }

    /// Takes the values of all records that have not been read yet.
    ///
    /// # Errors
    /// As [`TestOutputTopic::read_record`].
    pub fn read_values(&self, driver: &mut TopologyTestDriver) -> Result<Vec<V>, DriverError> {
        Ok(self.read_records(driver)?.into_iter().map(|record| record.value).collect())
    }

    fn typed(&self, record: ProducedRecord) -> Result<Record<K, V>, DriverError> {
        let failed = |source: SerdeError| DriverError::Serde { topic: self.topic.to_string(), source };
        let key = deserialize_nullable(&*self.key_serde, record.key.as_deref()).map_err(failed)?;
        let value = deserialize_nullable(&*self.value_serde, record.value.as_deref()).map_err(failed)?;
        let timestamp = record.timestamp.unwrap_or(Timestamp::UNKNOWN);
        Ok(Record { key, value, timestamp, headers: record.headers })
    }
}

impl<K, V> fmt::Debug for TestOutputTopic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestOutputTopic({})", self.topic)
    }
}
