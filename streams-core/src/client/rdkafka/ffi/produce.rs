//! Producing, flushing and transactions.

use std::ffi::{CStr, CString, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::{NativeClient, check, text, transaction};
use crate::client::rdkafka::error::{ClientError, TransactionFault};
use crate::client::rdkafka::undelivered::UndeliveredRecord;
use crate::record::Headers;
use crate::time::Timestamp;

/// The fixed entries of a produce call: topic, partition, value, key, flags, timestamp; headers come on top.
const PRODUCE_FIELDS: usize = 6;

/// A topic of a producer.
#[derive(Debug)]
pub(in super::super) struct NativeTopic {
    topic: NonNull<sys::rd_kafka_topic_t>,
    // A topic handle must be freed before its client.
    client: Arc<NativeClient>,
}

// SAFETY: topic handles are counted references into a thread-safe client.
unsafe impl Send for NativeTopic {}
// SAFETY: as above.
unsafe impl Sync for NativeTopic {}

impl NativeTopic {
    /// A handle for `topic`; its partitions are looked up in the background.
    pub(in super::super) fn new(client: &Arc<NativeClient>, topic: &str) -> Result<Self, ClientError> {
        let invalid = || ClientError::InvalidTopic { topic: topic.to_owned() };
        let name = CString::new(topic).map_err(|_| invalid())?;
        // SAFETY: the name ends with a zero byte; a null configuration means the defaults of the client.
        let handle =
            unsafe { sys::rd_kafka_topic_new(client.client.as_ptr(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(handle).ok_or_else(invalid)?;
        Ok(NativeTopic { topic, client: Arc::clone(client) })
    }

    /// Copies one record into the producer's queue. A timestamp of 0 is sent as 1: librdkafka takes 0 for "now".
    ///
    /// # Errors
    /// `QueueFull` when the queue's bound is reached, else what is wrong with the record or the partition.
    pub(in super::super) fn produce(
        &self,
        partition: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<(), RDKafkaErrorCode> {
        use sys::rd_kafka_vtype_t as field;
        let timestamp_ms = if timestamp.as_millis() == 0 { 1 } else { timestamp.as_millis() };
        let mut fields = [MaybeUninit::<sys::rd_kafka_vu_t>::uninit(); PRODUCE_FIELDS + 1];
        let mut count = 0;
        let mut push = |kind, value| {
            fields[count].write(sys::rd_kafka_vu_t { vtype: kind, u: value });
            count += 1;
        };
        type Field = sys::rd_kafka_vu_s__bindgen_ty_1;
        push(field::RD_KAFKA_VTYPE_RKT, Field { rkt: self.topic.as_ptr() });
        push(field::RD_KAFKA_VTYPE_PARTITION, Field { i32_: partition });
        push(field::RD_KAFKA_VTYPE_TIMESTAMP, Field { i64_: timestamp_ms });
        push(field::RD_KAFKA_VTYPE_MSGFLAGS, Field { i: sys::RD_KAFKA_MSG_F_COPY });
        if let Some(key) = key {
            push(field::RD_KAFKA_VTYPE_KEY, Field { mem: memory(key) });
        }
        if let Some(value) = value {
            push(field::RD_KAFKA_VTYPE_VALUE, Field { mem: memory(value) });
        }
        let list = if headers.is_empty() { ptr::null_mut() } else { native_headers(headers) };
        if !list.is_null() {
            push(field::RD_KAFKA_VTYPE_HEADERS, Field { headers: list });
        }
        // SAFETY: the first `count` fields are written, and with MSG_F_COPY key and value are copied before the call
        // returns. The headers' list is taken over on success and stays ours on failure.
        unsafe {
            let result =
                check(sys::rd_kafka_produceva(self.client.client.as_ptr(), fields.as_ptr().cast(), count));
            if result.is_err() && !list.is_null() {
                sys::rd_kafka_headers_destroy(list);
            }
            result
        }
    }
}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        // SAFETY: this value owns one reference.
        unsafe { sys::rd_kafka_topic_destroy(self.topic.as_ptr()) }
    }
}

/// Producer side.
impl NativeClient {
    /// How many records wait or are under way, and how many failures wait to be seen by [`serve`](Self::serve).
    pub(in super::super) fn in_flight(&self) -> usize {
        // SAFETY: the client is valid.
        usize::try_from(unsafe { sys::rd_kafka_outq_len(self.client.as_ptr()) }).unwrap_or(0)
    }

    /// Waits up to `timeout_ms` for an event and gives each record that was not delivered to `undelivered`. What that sends itself is
    /// in flight before the record ceases to be. Says whether there was an event.
    pub(in super::super) fn serve(
        &self,
        timeout_ms: i32,
        undelivered: &mut dyn FnMut(&UndeliveredRecord<'_>),
    ) -> bool {
        // SAFETY: the queue is valid; the event is ours and freed below; its messages live as long as it does.
        unsafe {
            let Some(event) = NonNull::new(sys::rd_kafka_queue_poll(self.queue.as_ptr(), timeout_ms)) else {
                return false;
            };
            if sys::rd_kafka_event_type(event.as_ptr()) == sys::RD_KAFKA_EVENT_DR {
                while let Some(message) = sys::rd_kafka_event_message_next(event.as_ptr()).as_ref() {
                    if message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
                        undelivered(&UndeliveredRecord {
                            topic: &text(sys::rd_kafka_topic_name(message.rkt)),
                            partition: message.partition,
                            key: bytes(message.key, message.key_len),
                            value: bytes(message.payload, message.len),
                            timestamp: Timestamp::from_millis(sys::rd_kafka_message_timestamp(
                                message, &mut kind,
                            )),
                            headers: headers_of(message),
                            code: message.err.into(),
                            reason: &text(sys::rd_kafka_message_produce_errstr(message)),
                        });
                    }
                }
            }
            sys::rd_kafka_event_destroy(event.as_ptr());
            true
        }
    }

    /// Sends what waits without lingering, and blocks until nothing is in flight or the time is over. Another thread
    /// must [`serve`](Self::serve) meanwhile. Says whether nothing is left.
    pub(in super::super) fn flush(&self, timeout_ms: i32) -> bool {
        // SAFETY: the client is valid.
        unsafe {
            sys::rd_kafka_flush(self.client.as_ptr(), timeout_ms)
                == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        }
    }

    /// Gives up everything that waits or is under way.
    pub(in super::super) fn purge(&self) {
        // SAFETY: the client is valid.
        unsafe {
            sys::rd_kafka_purge(
                self.client.as_ptr(),
                sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT,
            );
        }
    }

    /// Fences former producers of the same transactional id. Blocks.
    pub(in super::super) fn init_transactions(&self, timeout_ms: i32) -> Result<(), TransactionFault> {
        // SAFETY: the client is valid; so for the three below.
        transaction(unsafe { sys::rd_kafka_init_transactions(self.client.as_ptr(), timeout_ms) })
    }

    /// Begins a transaction.
    pub(in super::super) fn begin_transaction(&self) -> Result<(), TransactionFault> {
        transaction(unsafe { sys::rd_kafka_begin_transaction(self.client.as_ptr()) })
    }

    /// Commits the transaction. Blocks; [`flush`](Self::flush) first, or librdkafka does so in slices of 100 ms.
    pub(in super::super) fn commit_transaction(&self, timeout_ms: i32) -> Result<(), TransactionFault> {
        transaction(unsafe { sys::rd_kafka_commit_transaction(self.client.as_ptr(), timeout_ms) })
    }

    /// Aborts the transaction. Blocks.
    pub(in super::super) fn abort_transaction(&self, timeout_ms: i32) -> Result<(), TransactionFault> {
        transaction(unsafe { sys::rd_kafka_abort_transaction(self.client.as_ptr(), timeout_ms) })
    }

    /// Adds the input offsets of a group, as this member of this generation, to the transaction. Blocks.
    pub(in super::super) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        member: &NativeMember<'_>,
        timeout_ms: i32,
    ) -> Result<(), TransactionFault> {
        let instance = member.instance_id.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: all strings end with a zero byte and are copied; the metadata is freed after the call.
        unsafe {
            let metadata = sys::rd_kafka_consumer_group_metadata_new_with_genid(
                member.group_id.as_ptr(),
                member.generation,
                member.member_id.as_ptr(),
                instance,
            );
            let error = sys::rd_kafka_send_offsets_to_transaction(
                self.client.as_ptr(),
                offsets.ptr(),
                metadata,
                timeout_ms,
            );
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            transaction(error)
        }
    }
}

/// A member of a group that our own membership client joined.
pub(in super::super) struct NativeMember<'a> {
    pub(in super::super) group_id: &'a CStr,
    pub(in super::super) generation: i32,
    pub(in super::super) member_id: &'a CStr,
    pub(in super::super) instance_id: Option<&'a CStr>,
}

fn memory(bytes: &[u8]) -> sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    // librdkafka's field is not `const`, but with MSG_F_COPY it only reads.
    sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
        ptr: bytes.as_ptr().cast_mut().cast(),
        size: bytes.len(),
    }
}

fn native_headers(headers: &Headers) -> *mut sys::rd_kafka_headers_t {
    // SAFETY: names and values are given with their lengths and copied; a null value is null, not empty.
    unsafe {
        let list = sys::rd_kafka_headers_new(headers.len());
        for header in headers {
            let (value, size) =
                header.value.as_ref().map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
            let (size, name_size) = (size as isize, header.name.len() as isize);
            sys::rd_kafka_header_add(list, header.name.as_ptr().cast(), name_size, value.cast(), size);
        }
        list
    }
}

/// # Safety
/// `start` is null, or `len` bytes behind it live as long as the answer is used.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: by this function's contract.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// # Safety
/// The message is one of librdkafka's.
unsafe fn headers_of(message: &sys::rd_kafka_message_t) -> Headers {
    let mut headers = Headers::new();
    let mut list = ptr::null_mut();
    // SAFETY: librdkafka keeps the list in the message; names end with a zero byte, and values are copied at once.
    unsafe {
        if sys::rd_kafka_message_headers(message, &mut list) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return headers;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let found = sys::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size);
            if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            headers.add(text(name), bytes(value, size).map(Bytes::copy_from_slice));
        }
    }
    headers
}
