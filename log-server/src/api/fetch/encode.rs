//! Writes fetch answers around their records, so that records go from the log's buffer to the socket uncopied.
//!
//! The message crate would copy them into one buffer. The fields are those of Kafka's `FetchResponse.json`.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};

use crate::protocol::AnswerFrame;

/// The first version with compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 12;

/// Records smaller than this are copied: one chunk more costs more than the copy.
const MIN_CHUNK_BYTES: usize = 4 * 1024;

/// Encodes the answer with length prefix and header.
pub(super) fn encode(version: i16, correlation_id: i32, response: &FetchResponse) -> AnswerFrame {
    let mut out = Writer { version, chunks: Vec::new(), open: BytesMut::with_capacity(256) };
    out.open.put_i32(0);
    out.open.put_i32(correlation_id);
    out.end_struct();
    out.open.put_i32(response.throttle_time_ms);
    if version >= 7 {
        out.open.put_i16(response.error_code);
        out.open.put_i32(response.session_id);
    }
    out.length(response.responses.len());
    response.responses.iter().for_each(|topic| out.topic(topic));
    out.end_struct();
    out.finish()
}

struct Writer {
    version: i16,
    chunks: Vec<Bytes>,
    /// What comes after the chunks.
    open: BytesMut,
}

impl Writer {
    fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM
    }

    fn topic(&mut self, topic: &FetchableTopicResponse) {
        if self.version >= 13 {
            self.open.put_slice(topic.topic_id.as_bytes());
        } else if self.is_flexible() {
            self.length(topic.topic.len());
            self.open.put_slice(topic.topic.as_bytes());
        } else {
            self.open.put_i16(topic.topic.len() as i16);
            self.open.put_slice(topic.topic.as_bytes());
        }
        self.length(topic.partitions.len());
        topic.partitions.iter().for_each(|partition| self.partition(partition));
        self.end_struct();
    }

    fn partition(&mut self, partition: &PartitionData) {
        self.open.put_i32(partition.partition_index);
        self.open.put_i16(partition.error_code);
        self.open.put_i64(partition.high_watermark);
        self.open.put_i64(partition.last_stable_offset);
        if self.version >= 5 {
            self.open.put_i64(partition.log_start_offset);
        }
        match &partition.aborted_transactions {
            None => self.null_length(),
            Some(aborted) => {
                self.length(aborted.len());
                for transaction in aborted {
                    self.open.put_i64(transaction.producer_id.0);
                    self.open.put_i64(transaction.first_offset);
                    self.end_struct();
                }
            }
        }
        if self.version >= 11 {
            self.open.put_i32(partition.preferred_read_replica.0);
        }
        match &partition.records {
            None => self.null_length(),
            Some(records) => {
                self.length(records.len());
                self.bytes(records);
            }
        }
        self.end_partition(partition);
    }

    /// Diverging epoch is the only tagged field that this server has something to say in.
    fn end_partition(&mut self, partition: &PartitionData) {
        let diverging = &partition.diverging_epoch;
        if !self.is_flexible() || (diverging.epoch == -1 && diverging.end_offset == -1) {
            return self.end_struct();
        }
        // One field: tag 0, 13 bytes: epoch, offset, no tagged fields in it.
        self.open.put_slice(&[1, 0, 13]);
        self.open.put_i32(diverging.epoch);
        self.open.put_i64(diverging.end_offset);
        self.open.put_u8(0);
    }

    fn bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < MIN_CHUNK_BYTES {
            return self.open.put_slice(bytes);
        }
        let before = self.open.split().freeze();
        self.chunks.push(before);
        self.chunks.push(bytes.clone());
    }

    fn length(&mut self, length: usize) {
        if self.is_flexible() {
            self.varint(length as u32 + 1);
        } else {
            self.open.put_i32(length as i32);
        }
    }

    fn null_length(&mut self) {
        if self.is_flexible() { self.open.put_u8(0) } else { self.open.put_i32(-1) }
    }

    fn end_struct(&mut self) {
        if self.is_flexible() {
            self.open.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.open.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.open.put_u8(value as u8);
    }

    fn finish(mut self) -> AnswerFrame {
        if !self.open.is_empty() {
            self.chunks.push(self.open.freeze());
        }
        AnswerFrame::with_length(self.chunks)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::fetch_response::{AbortedTransaction, EpochEndOffset};
    use kafka_protocol::messages::{BrokerId, ProducerId, ResponseHeader, TopicName};
    use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

    use super::*;

    fn response(version: i16, record_bytes: usize) -> FetchResponse {
        let full = PartitionData::default()
            .with_partition_index(3)
            .with_error_code(1)
            .with_high_watermark(77)
            .with_last_stable_offset(66)
            .with_log_start_offset(if version >= 5 { 5 } else { -1 })
            .with_aborted_transactions(Some(vec![
                AbortedTransaction::default().with_producer_id(ProducerId(9)).with_first_offset(60),
            ]))
            .with_preferred_read_replica(BrokerId(-1))
            .with_records(Some(Bytes::from(vec![7; record_bytes])));
        let mut empty = PartitionData::default().with_aborted_transactions(None).with_records(None);
        if version >= 12 {
            empty.diverging_epoch = EpochEndOffset::default().with_epoch(2).with_end_offset(50);
        }
        let mut topic = FetchableTopicResponse::default().with_partitions(vec![full.clone(), empty, full]);
        if version >= 13 {
            topic.topic_id = uuid::Uuid::from_u128(12345);
        } else {
            topic.topic = TopicName(StrBytes::from_static_str("topic"));
        }
        FetchResponse::default().with_responses(vec![topic.clone(), topic])
    }

    #[test]
    fn the_bytes_are_those_of_the_message_crate() {
        for version in 4..=16 {
            for record_bytes in [0, 5, 200, MIN_CHUNK_BYTES, 100_000] {
                let response = response(version, record_bytes);
                let mut expected = BytesMut::from(&[0; 4][..]);
                let header = ResponseHeader::default().with_correlation_id(42);
                header.encode(&mut expected, FetchResponse::header_version(version)).unwrap();
                response.encode(&mut expected, version).unwrap();
                let length = (expected.len() - 4) as u32;
                expected[..4].copy_from_slice(&length.to_be_bytes());
                let frame = encode(version, 42, &response);
                assert_eq!(frame.to_bytes(), expected, "version {version}, {record_bytes} bytes");
            }
        }
    }
}
