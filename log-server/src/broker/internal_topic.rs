//! The coordinators' own topics, such as `__consumer_offsets`: append and read back.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Broker;
use crate::log::{Appended, Isolation, now_ms};
use crate::protocol::ErrorCode;
use crate::records::{BatchBuilder, BatchHeader, NewRecord, Record, Records};
use crate::topics::{CreateTopic, Topic};

/// How much is read at a time when a topic is read back.
const READ_BYTES: usize = 1024 * 1024;

impl Broker {
    /// An internal topic, which is made compacted if it does not exist. Blocks on the disk when it is made.
    ///
    /// # Errors
    /// The error code if it cannot be made.
    pub(crate) fn internal_topic(&self, name: &str, partitions: i32) -> Result<Arc<Topic>, ErrorCode> {
        if let Some(topic) = self.topics().get(name) {
            return Ok(topic);
        }
        let configs = [("cleanup.policy", "compact"), ("segment.bytes", "104857600")];
        let configs: BTreeMap<_, _> =
            configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = CreateTopic { name: name.to_owned(), partitions: Some(partitions), configs };
        match self.topics().create(&request) {
            Ok(topic) => Ok(topic),
            // Another request was faster.
            Err((ErrorCode::TopicAlreadyExists, _)) => {
                self.topics().get(name).ok_or(ErrorCode::CoordinatorNotAvailable)
            }
            Err((code, _)) => Err(code),
        }
    }

    /// Appends records as one batch to a partition of an internal topic, and waits until they are as durable as
    /// the fsync policy promises.
    ///
    /// # Errors
    /// A storage error; unknown partition.
    pub(crate) async fn append_internal(
        &self,
        topic: &str,
        partition: i32,
        records: &[NewRecord],
    ) -> Result<Appended, ErrorCode> {
        let (log, appended) = self.begin_append_internal(topic, partition, records)?;
        log.wait_durable(appended.end_offset).await?;
        Ok(appended)
    }

    /// As [`Broker::append_internal`], without waiting: the records have their place in the log when this
    /// returns. The caller waits with `PartitionLog::wait_durable`, perhaps for several appends at once.
    ///
    /// # Errors
    /// A storage error; unknown partition.
    pub(crate) fn begin_append_internal(
        &self,
        topic: &str,
        partition: i32,
        records: &[NewRecord],
    ) -> Result<(Arc<crate::log::PartitionLog>, Appended), ErrorCode> {
        let log = self.topics().log(topic, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut builder = BatchBuilder::new(now_ms());
        for record in records {
            builder.push(record);
        }
        let batch = builder.build().map_err(|_| ErrorCode::UnknownServerError)?;
        let header = BatchHeader::parse(&batch).map_err(|_| ErrorCode::UnknownServerError)?;
        let appended = log.append(header, &batch)?;
        log.request_sync();
        Ok((log, appended))
    }

    /// Visits all records of a partition of an internal topic, in order. Blocks on the disk: for the start, or
    /// within `spawn_blocking`.
    ///
    /// # Errors
    /// A storage error, or records that are damaged.
    pub(crate) fn read_internal(
        &self,
        topic: &str,
        partition: i32,
        mut visit: impl FnMut(&BatchHeader, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), ErrorCode> {
        let log = self.topics().log(topic, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut offset = log.watermarks().log_start;
        loop {
            let fetched = log.read(offset, READ_BYTES, Isolation::ReadUncommitted, true)?;
            if fetched.records.is_empty() {
                return Ok(());
            }
            let mut rest = &fetched.records[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse(rest).map_err(|_| ErrorCode::CorruptMessage)?;
                let records = Records::read(header, rest).map_err(|_| ErrorCode::CorruptMessage)?;
                for record in records.iter() {
                    let record = record.map_err(|_| ErrorCode::CorruptMessage)?;
                    if visit(&header, &record).is_break() {
                        return Ok(());
                    }
                }
                offset = header.next_offset();
                rest = rest.get(header.size_bytes()..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::LogServerConfig;

    #[tokio::test]
    async fn what_is_appended_is_read_back_after_a_restart() {
        let config = LogServerConfig::temporary().unwrap();
        let record = |number: u8| NewRecord {
            key: Some(Bytes::from(vec![number])),
            value: (number % 2 == 0).then(|| Bytes::from(vec![number; 3])),
            headers: Vec::new(),
        };
        {
            let broker = Broker::open(config.clone()).unwrap();
            broker.internal_topic("__consumer_offsets", 2).unwrap();
            broker.append_internal("__consumer_offsets", 1, &[record(0), record(1)]).await.unwrap();
            broker.append_internal("__consumer_offsets", 1, &[record(2)]).await.unwrap();
            broker.close().unwrap();
        }
        let broker = Broker::open(config).unwrap();
        let topic = broker.internal_topic("__consumer_offsets", 5).unwrap();
        assert_eq!(topic.partitions().len(), 2);
        let mut seen = Vec::new();
        let read = broker.read_internal("__consumer_offsets", 1, |_, record| {
            seen.push((record.offset, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)));
            ControlFlow::Continue(())
        });
        assert_eq!(read, Ok(()));
        let expected: Vec<_> = (0..3u8)
            .map(|number| {
                let record = record(number);
                (
                    i64::from(number),
                    record.key.map(|key| key.to_vec()),
                    record.value.map(|value| value.to_vec()),
                )
            })
            .collect();
        assert_eq!(seen, expected);
    }
}
