//! Taking messages in batches, and the messages themselves.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::{NativeClient, bytes, check, text};
use crate::record::{FetchedRecord, Header, Headers, TopicPartition};
use crate::time::Timestamp;

/// Consumer side.
impl NativeClient {
    /// Adds partitions, at the offsets of the list, to what is fetched.
    pub(in super::super) fn incremental_assign(
        &self,
        list: &TopicPartitionList,
    ) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: librdkafka copies the list.
        check(unsafe { sys::rd_kafka_incremental_assign(self.client.as_ptr(), list.ptr()) })
    }

    /// Takes partitions off what is fetched; what was fetched of them and not handed over is dropped.
    pub(in super::super) fn incremental_unassign(
        &self,
        list: &TopicPartitionList,
    ) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: librdkafka copies the list.
        check(unsafe { sys::rd_kafka_incremental_unassign(self.client.as_ptr(), list.ptr()) })
    }

    /// The low and high watermark of the last fetch answer: no request is sent. `None` before the first answer.
    pub(in super::super) fn watermarks(&self, topic: &CStr, partition: i32) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the outputs outlive the call.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.client.as_ptr(),
                topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
            )
        };
        (code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some((low, high))
    }

    /// The first offset of a partition and the one behind its last record, asked from the broker. Blocks.
    pub(in super::super) fn query_watermarks(
        &self,
        topic: &CStr,
        partition: i32,
        timeout_ms: i32,
    ) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        let client = self.client.as_ptr();
        // SAFETY: the outputs outlive the call.
        let code = unsafe {
            sys::rd_kafka_query_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
                timeout_ms,
            )
        };
        (code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some((low, high))
    }

    /// Takes up to `limit` messages in one go and appends them to `into`: waits up to `timeout_ms` for the first, and
    /// not at all for the others. (One call with the time-out would wait for the whole number: librdkafka
    /// returns early only when its queue was empty for the rest of the time.)
    pub(in super::super) fn consume(
        self: &Arc<Self>,
        timeout_ms: i32,
        limit: usize,
        into: &mut Vec<Fetched>,
    ) {
        let mut taken: Vec<*mut sys::rd_kafka_message_t> = Vec::with_capacity(limit);
        if self.take(timeout_ms, 1, &mut taken) == 1 && limit > 1 {
            self.take(0, limit - 1, &mut taken);
        }
        if taken.is_empty() {
            return;
        }
        let owner = Arc::new(MessageOwner { _client: Arc::clone(self) });
        into.reserve(taken.len());
        into.extend(
            taken
                .into_iter()
                .filter_map(NonNull::new)
                .map(|message| Fetched::new(FetchedMessage { message, _owner: Arc::clone(&owner) })),
        );
    }

    fn take(&self, timeout_ms: i32, count: usize, into: &mut Vec<*mut sys::rd_kafka_message_t>) -> usize {
        debug_assert!(into.capacity() - into.len() >= count, "the buffer has room for the batch");
        // SAFETY: `into` has room for `count` pointers behind its length (reserved by `consume`), and librdkafka says
        // how many of them it wrote.
        unsafe {
            let spare = into.as_mut_ptr().add(into.len());
            let read = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), timeout_ms, spare, count);
            let read = usize::try_from(read).unwrap_or(0);
            into.set_len(into.len() + read);
            read
        }
    }
}

/// Keeps the client alive while messages of one batch are: librdkafka frees what they point into with the client.
struct MessageOwner {
    _client: Arc<NativeClient>,
}

/// A message, the end of a partition, or a fault of a partition.
pub(in super::super) enum Fetched {
    /// A record.
    Record(FetchedMessage),
    /// The end of the partition was reached at this offset.
    End { topic: usize, partition: i32, offset: i64, name: Option<TopicPartition> },
    /// The partition (or, with partition -1, the client) reported a fault.
    Fault { place: Option<TopicPartition>, code: RDKafkaErrorCode },
}

impl Fetched {
    fn new(message: FetchedMessage) -> Self {
        match message.code() {
            None => Fetched::Record(message),
            Some(RDKafkaErrorCode::PartitionEOF) => {
                let (topic, partition) = message.route();
                Fetched::End { topic, partition, offset: message.offset(), name: message.place() }
            }
            Some(code) => Fetched::Fault { place: message.place(), code },
        }
    }
}

/// A fetched record that stays in librdkafka's memory until it is dropped; nothing is copied.
pub struct FetchedMessage {
    message: NonNull<sys::rd_kafka_message_t>,
    _owner: Arc<MessageOwner>,
}

// SAFETY: a fetched message has one owner, is not changed any more, and may be freed on any thread.
unsafe impl Send for FetchedMessage {}
// SAFETY: shared access only reads.
unsafe impl Sync for FetchedMessage {}

impl FetchedMessage {
    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the message is valid until it is freed in `drop`.
        unsafe { self.message.as_ref() }
    }

    /// What is cheap to compare: equal for messages of one partition while that partition stays assigned.
    pub(in super::super) fn route(&self) -> (usize, i32) {
        (self.raw().rkt as usize, self.raw().partition)
    }

    /// The topic's name and the partition, made anew; `None` for a fault that concerns no topic.
    pub(in super::super) fn place(&self) -> Option<TopicPartition> {
        let raw = self.raw();
        // SAFETY: a topic that is not null lives as long as the message.
        (!raw.rkt.is_null())
            .then(|| TopicPartition::new(unsafe { text(sys::rd_kafka_topic_name(raw.rkt)) }, raw.partition))
    }

    fn code(&self) -> Option<RDKafkaErrorCode> {
        (self.raw().err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| self.raw().err.into())
    }
}

impl FetchedRecord for FetchedMessage {
    fn key(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka gives pointer and length together, valid as long as the message.
        unsafe { bytes(self.raw().key, self.raw().key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.raw().payload, self.raw().len) }
    }

    fn offset(&self) -> i64 {
        self.raw().offset
    }

    fn leader_epoch(&self) -> i32 {
        // SAFETY: the message is valid.
        unsafe { sys::rd_kafka_message_leader_epoch(self.message.as_ptr()) }
    }

    fn timestamp(&self) -> Timestamp {
        // SAFETY: the message is valid; the kind of timestamp (create or append) is of no interest.
        Timestamp::from_millis(unsafe {
            sys::rd_kafka_message_timestamp(self.message.as_ptr(), ptr::null_mut())
        })
    }

    fn headers(&self) -> Headers {
        let mut list = ptr::null_mut();
        // SAFETY: the list belongs to the message and lives as long; `RD_KAFKA_RESP_ERR__NOENT` means no headers.
        let code = unsafe { sys::rd_kafka_message_headers(self.message.as_ptr(), &mut list) };
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
            return Headers::new();
        }
        // SAFETY: `list` was given by librdkafka just now, and each index is below its count.
        let count = unsafe { sys::rd_kafka_header_cnt(list) };
        (0..count).filter_map(|index| unsafe { header(list, index) }).collect()
    }
}

impl Drop for FetchedMessage {
    fn drop(&mut self) {
        // SAFETY: this value owns the message; the client outlives it through `_owner`.
        unsafe { sys::rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

impl std::fmt::Debug for FetchedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedMessage")
            .field("partition", &self.raw().partition)
            .field("offset", &self.offset())
            .finish()
    }
}

/// # Safety
/// `list` is valid and `index` below its count.
unsafe fn header(list: *const sys::rd_kafka_headers_t, index: usize) -> Option<Header> {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: by this function's contract; what is written lives as long as the list and is copied here.
    unsafe {
        let code = sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size);
        (code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| Header {
            name: text(name).into(),
            value: bytes(value, size).map(Bytes::copy_from_slice),
        })
    }
}
