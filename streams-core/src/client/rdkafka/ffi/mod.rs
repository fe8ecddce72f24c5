//! Every call into librdkafka that the safe `rdkafka` crate does not offer, or offers at several times the price.
//!
//! The rest of the crate is free of `unsafe`; this module is the one exception. What it adds to `rdkafka`:
//! produce with partition, timestamp and
//! headers and without a callback for each success, a flush that waits on a condition instead of in slices of
//! 100 ms, and transactions with group metadata of a group that librdkafka did not join.
#![allow(unsafe_code)] // Each block says why it is sound.

mod produce;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

pub(super) use produce::{NativeMember, NativeTopic};

use super::error::{ClientError, TransactionFault};
use super::reaper;

/// Room for librdkafka's reason when it refuses a configuration, in bytes.
const REASON_BYTES: usize = 512;

/// What librdkafka reports beside records: kept by the client and asked for by its owner.
pub(super) trait ClientEvents: Send + Sync + 'static {
    /// A fault of the whole client: brokers down, authentication refused, a fatal error.
    fn client_error(&self, code: RDKafkaErrorCode, reason: &str);
}

/// One librdkafka client and the queue its owner reads. Dropping it never blocks: what is left goes to a thread of
/// its own, for librdkafka waits in its end for messages still held and for brokers, at times for ever.
pub(super) struct NativeClient {
    client: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    // The callback holds a pointer to this; it must live as long as the client. `None` only while being dropped.
    events: Option<Box<Arc<dyn ClientEvents>>>,
}

// SAFETY: librdkafka documents every function used here as thread safe; the pointers are owned by this value.
unsafe impl Send for NativeClient {}
// SAFETY: as above.
unsafe impl Sync for NativeClient {}

impl NativeClient {
    /// Makes a client; connections are opened in the background.
    pub(super) fn new(config: &ClientConfig, events: Arc<dyn ClientEvents>) -> Result<Self, ClientError> {
        let refused = |reason: String| ClientError::Configuration { reason };
        let conf = config.create_native_config().map_err(|fault| refused(fault.to_string()))?;
        let events = Box::new(events);
        let mut reason = [0 as c_char; REASON_BYTES];
        let kind = sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;
        // SAFETY: `conf` is valid; the opaque pointer is to a boxed value that lives as long as the client; on
        // success librdkafka takes `conf` over, on failure it stays ours and is freed below.
        let client = unsafe {
            sys::rd_kafka_conf_set_opaque(conf.ptr(), ptr::from_ref(&*events).cast_mut().cast());
            sys::rd_kafka_conf_set_log_cb(conf.ptr(), Some(on_log));
            sys::rd_kafka_conf_set_error_cb(conf.ptr(), Some(on_error));
            sys::rd_kafka_conf_set_events(conf.ptr(), sys::RD_KAFKA_EVENT_DR);
            sys::rd_kafka_new(kind, conf.ptr(), reason.as_mut_ptr(), reason.len())
        };
        let Some(client) = NonNull::new(client) else {
            drop(conf);
            // SAFETY: librdkafka ends the reason with a zero byte.
            return Err(refused(unsafe { text(reason.as_ptr()) }));
        };
        let _taken_over = ManuallyDrop::new(conf);
        // SAFETY: `client` was just made.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.as_ptr()) };
        match NonNull::new(queue) {
            Some(queue) => Ok(NativeClient { client, queue, events: Some(events) }),
            None => Err(refused("the client has no queue".to_owned())),
        }
    }

    /// Interrupts a wait for records or events on another thread.
    pub(super) fn wake(&self) {
        // SAFETY: the queue lives as long as `self`.
        unsafe { sys::rd_kafka_queue_yield(self.queue.as_ptr()) }
    }
}

impl fmt::Debug for NativeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeClient").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Drop for NativeClient {
    fn drop(&mut self) {
        reaper::bury(Remains { client: self.client, queue: self.queue, _events: self.events.take() });
    }
}

/// What is left of a client whose last user has gone.
struct Remains {
    client: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    _events: Option<Box<Arc<dyn ClientEvents>>>,
}

// SAFETY: as for the client.
unsafe impl Send for Remains {}

impl Drop for Remains {
    fn drop(&mut self) {
        // SAFETY: both pointers are owned and used no more. The call returns when librdkafka's threads have ended, so the events are freed after the last callback.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy(self.client.as_ptr());
        }
    }
}

unsafe extern "C" fn on_log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: librdkafka gives two strings that live during the call.
    let (facility, line) = unsafe { (text(facility), text(line)) };
    match level {
        ..=3 => tracing::error!(target: "librdkafka", "{facility}: {line}"),
        4 => tracing::warn!(target: "librdkafka", "{facility}: {line}"),
        5 | 6 => tracing::info!(target: "librdkafka", "{facility}: {line}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
    }
}

unsafe extern "C" fn on_error(
    _: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the client's boxed `events`, which outlives every callback; the code is one of librdkafka's.
    let (events, code, reason) = unsafe {
        let code = RDKafkaRespErr::try_from(code).unwrap_or(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN);
        (&*opaque.cast::<Arc<dyn ClientEvents>>(), code, text(reason))
    };
    events.client_error(code.into(), &reason);
}

/// # Safety
/// `text` is null, or ends with a zero byte.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn check(error: *mut sys::rd_kafka_error_t) -> Result<(), RDKafkaErrorCode> {
    transaction(error).map_err(|fault| fault.code)
}

fn transaction(error: *mut sys::rd_kafka_error_t) -> Result<(), TransactionFault> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: librdkafka gave the error to us; it is read, then freed.
    unsafe {
        let fault = TransactionFault {
            code: sys::rd_kafka_error_code(error).into(),
            reason: text(sys::rd_kafka_error_string(error)),
            retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            requires_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            fatal: sys::rd_kafka_error_is_fatal(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        Err(fault)
    }
}
