//! One connection to one broker: frames, correlation ids, pipelining and time-outs.
//!
//! Two small tasks own the stream's halves, so that a caller who gives up half-way never leaves half a frame on the wire.
//! A request that times out closes the connection, as Kafka's own clients do: brokers answer each connection in order,
//! and whatever waits behind the lost answer would wait for ever.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::config::WireConfig;
use super::error::WireError;
use super::sasl;
use super::transport::ByteStream;
use super::versions::{API_VERSIONS_FIRST, BrokerVersions, spoken};

/// Most bytes set aside for an answer before they have arrived.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// Or so many times what has arrived.
const READ_AHEAD_GROWTH: usize = 8;

/// An open connection whose versions are known and whose credentials were accepted.
///
/// Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    /// Address, for messages.
    broker: String,
    client_id: StrBytes,
    /// What the broker offers; empty only while the connection is being opened.
    versions: OnceLock<BrokerVersions>,
    next_correlation: AtomicI32,
    /// Frames on their way out; its bound is the number of requests in flight.
    outgoing: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    request_timeout: Duration,
    tasks: [AbortHandle; 2],
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Connection {
    /// Connects to `broker` (`host:port`), asks for its versions and authenticates.
    ///
    /// # Errors
    /// [`WireError::Connect`], [`WireError::Authentication`], or what the first requests met.
    pub async fn open(broker: &str, config: &WireConfig) -> Result<Self, WireError> {
        let connecting = config.transport.connect(broker);
        let stream = match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(connect_error(broker, source)),
            Err(_) => return Err(connect_error(broker, io::ErrorKind::TimedOut.into())),
        };
        let connection = Self::start(broker, config, stream);
        let versions = connection.ask_versions().await?;
        let _ = connection.shared.versions.set(versions);
        if let Some(credentials) = &config.sasl {
            sasl::authenticate(&connection, credentials).await?;
        }
        Ok(connection)
    }

    fn start(broker: &str, config: &WireConfig, stream: Box<dyn ByteStream>) -> Self {
        let (read_half, write_half) = tokio::io::split(stream);
        let (outgoing, frames) = mpsc::channel(config.max_in_flight.max(1));
        let waiting = Arc::new(Waiting::default());
        let reader =
            tokio::spawn(read_answers(read_half, EndsWaiting(Arc::clone(&waiting)), config.max_frame_bytes));
        let writer = tokio::spawn(write_frames(write_half, frames, EndsWaiting(Arc::clone(&waiting))));
        let shared = Shared {
            broker: broker.to_owned(),
            client_id: StrBytes::from_string(config.client_id.clone()),
            versions: OnceLock::new(),
            next_correlation: AtomicI32::new(0),
            outgoing,
            waiting,
            request_timeout: config.request_timeout,
            tasks: [reader.abort_handle(), writer.abort_handle()],
        };
        Self { shared: Arc::new(shared) }
    }

    /// The broker's address, `host:port`.
    pub fn broker(&self) -> &str {
        &self.shared.broker
    }

    /// Whether the connection has ended; a new one must be opened.
    pub fn is_closed(&self) -> bool {
        self.shared.waiting.lock().closed.is_some()
    }

    /// Sends `request` in the highest common version and waits for its answer, `request.timeout.ms` at most.
    ///
    /// # Errors
    /// Time-out, lost connection, no common version, or bytes that cannot be read. Error codes inside the answer are
    /// the caller's to judge.
    pub async fn request<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        self.request_within(request, self.shared.request_timeout).await
    }

    /// As [`request`](Self::request), with a time-out of its own, for requests that the broker holds back on purpose.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn request_within<R: Request>(
        &self,
        request: &R,
        limit: Duration,
    ) -> Result<R::Response, WireError> {
        let version = self.version_of::<R>()?;
        self.exchange(request, version, limit).await
    }

    /// The version in which requests of type `R` go to this broker.
    ///
    /// # Errors
    /// [`WireError::Unsupported`] when there is no common one.
    pub fn version_of<R: Request>(&self) -> Result<i16, WireError> {
        match self.shared.versions.get() {
            Some(versions) => versions.pick::<R>(self.broker()),
            None => Err(self.disconnected(spoken(R::KEY).name, "its versions are not known yet")),
        }
    }

    async fn ask_versions(&self) -> Result<BrokerVersions, WireError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("rust-streams"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let limit = self.shared.request_timeout;
        let payload = self.send(&request, API_VERSIONS_FIRST, limit).await?;
        // A broker that does not know version 3 says so in the layout of version 0.
        let unknown = payload.get(4..6) == Some(&ResponseError::UnsupportedVersion.code().to_be_bytes());
        let answer = if unknown {
            self.exchange(&ApiVersionsRequest::default(), 0, limit).await?
        } else {
            self.decode::<ApiVersionsRequest>(payload, API_VERSIONS_FIRST)?
        };
        match ResponseError::try_from_code(answer.error_code) {
            None => Ok(BrokerVersions::new(&answer)),
            Some(code) => Err(self.refused::<ApiVersionsRequest>("this client", code, None)),
        }
    }

    async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, WireError> {
        let payload = self.send(request, version, limit).await?;
        self.decode::<R>(payload, version)
    }

    /// Sends a request and returns its answer's bytes, header included.
    async fn send<R: Request>(&self, request: &R, version: i16, limit: Duration) -> Result<Bytes, WireError> {
        let api = spoken(R::KEY).name;
        let correlation = self.shared.next_correlation.fetch_add(1, Ordering::Relaxed);
        let frame = encode(request, version, correlation, &self.shared.client_id);
        let frame = frame.map_err(|reason| WireError::Encode { api, version, reason })?;
        let (answer, answered) = oneshot::channel();
        if let Err(reason) = self.shared.waiting.add(correlation, answer) {
            return Err(self.disconnected(api, &reason));
        }
        let exchange = async {
            // A closed channel drops the waiting entry as well, so that `answered` tells why.
            let _ = self.shared.outgoing.send(frame).await;
            answered.await
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(Ok(payload)) => Ok(payload),
            Ok(Err(_)) => Err(self.disconnected(api, &self.shared.waiting.reason())),
            Err(_) => {
                self.shared.waiting.close(&format!("no answer to {api} within {limit:?}"));
                self.shared.tasks.iter().for_each(AbortHandle::abort);
                Err(WireError::TimedOut { broker: self.shared.broker.clone(), api, after: limit })
            }
        }
    }

    fn decode<R: Request>(&self, mut payload: Bytes, version: i16) -> Result<R::Response, WireError> {
        let header = ResponseHeader::decode(&mut payload, R::Response::header_version(version));
        let answer = header.and_then(|_| R::Response::decode(&mut payload, version));
        answer.map_err(|reason| WireError::Decode {
            broker: self.shared.broker.clone(),
            api: spoken(R::KEY).name,
            version,
            reason: reason.to_string(),
        })
    }

    /// The error for an answer of request `R` that carries `code`.
    pub(super) fn refused<R: Request>(
        &self,
        subject: &str,
        code: ResponseError,
        message: Option<&str>,
    ) -> WireError {
        WireError::Refused {
            broker: self.shared.broker.clone(),
            api: spoken(R::KEY).name,
            subject: subject.to_owned(),
            code,
            message: message.unwrap_or_default().to_owned(),
        }
    }

    fn disconnected(&self, api: &'static str, reason: &str) -> WireError {
        WireError::Disconnected { broker: self.shared.broker.clone(), api, reason: reason.to_owned() }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("broker", &self.shared.broker)
            .field("closed", &self.is_closed())
            .finish()
    }
}

fn connect_error(broker: &str, source: io::Error) -> WireError {
    WireError::Connect { broker: broker.to_owned(), source: Arc::new(source) }
}

/// Requests that wait for their answers, by correlation id.
#[derive(Default)]
struct Waiting {
    state: Mutex<WaitingState>,
}

#[derive(Default)]
struct WaitingState {
    answers: HashMap<i32, oneshot::Sender<Bytes>>,
    /// Why the connection ended, once it has.
    closed: Option<String>,
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, WaitingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, correlation: i32, answer: oneshot::Sender<Bytes>) -> Result<(), String> {
        let mut state = self.lock();
        match &state.closed {
            Some(reason) => Err(reason.clone()),
            None => {
                state.answers.insert(correlation, answer);
                Ok(())
            }
        }
    }

    /// Hands an answer to its request; false if no request has this id.
    fn answer(&self, correlation: i32, payload: Bytes) -> bool {
        match self.lock().answers.remove(&correlation) {
            // The caller may have given up: its answer is then of no use to anybody.
            Some(answer) => {
                let _ = answer.send(payload);
                true
            }
            None => false,
        }
    }

    /// Ends all waiting; the first reason stays.
    fn close(&self, reason: &str) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| reason.to_owned());
        state.answers.clear();
    }

    fn reason(&self) -> String {
        self.lock().closed.clone().unwrap_or_else(|| "the connection was dropped".to_owned())
    }
}

/// Length, header and body of a request, ready to send.
fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation: i32,
    client_id: &StrBytes,
) -> Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(client_id.clone()));
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    header.encode(&mut frame, R::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| error.to_string())?;
    let length =
        i32::try_from(frame.len() - 4).map_err(|_| format!("{} bytes exceed a frame", frame.len()))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Ends all waiting when one of a connection's tasks ends, also when the tokio runtime that it ran on is shut down.
struct EndsWaiting(Arc<Waiting>);

impl Drop for EndsWaiting {
    fn drop(&mut self) {
        self.0.close("its tokio runtime was shut down");
    }
}

async fn write_frames(
    mut stream: WriteHalf<Box<dyn ByteStream>>,
    mut frames: mpsc::Receiver<Bytes>,
    waiting: EndsWaiting,
) {
    while let Some(frame) = frames.recv().await {
        let written = async {
            stream.write_all(&frame).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            waiting.0.close(&format!("writing failed: {error}"));
            return;
        }
    }
}

async fn read_answers(
    mut stream: ReadHalf<Box<dyn ByteStream>>,
    waiting: EndsWaiting,
    max_frame_bytes: usize,
) {
    loop {
        let payload = match read_frame(&mut stream, max_frame_bytes).await {
            Ok(payload) => payload,
            Err(error) => return waiting.0.close(&error.to_string()),
        };
        let correlation = payload.slice(..4).get_i32();
        if !waiting.0.answer(correlation, payload) {
            let text = format!("an answer came with correlation id {correlation}, which nobody waits for");
            return waiting.0.close(&text);
        }
    }
}

/// Reads one frame. Memory grows with the bytes that arrive, not with the length that was announced.
async fn read_frame(stream: &mut ReadHalf<Box<dyn ByteStream>>, max_frame_bytes: usize) -> io::Result<Bytes> {
    let announced = match stream.read_i32().await {
        Ok(announced) => announced,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(io::Error::new(error.kind(), "the broker closed the stream"));
        }
        Err(error) => return Err(error),
    };
    let length = match usize::try_from(announced) {
        Ok(length) if (4..=max_frame_bytes).contains(&length) => length,
        _ => {
            let text =
                format!("a frame of {announced} bytes was announced, allowed are 4 to {max_frame_bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    };
    let mut payload = BytesMut::with_capacity(length.min(READ_AHEAD_BYTES));
    while payload.len() < length {
        if payload.len() == payload.capacity() {
            // Exactly as much as is wanted: what is read may be kept for long.
            let room = length.min(payload.len() * READ_AHEAD_GROWTH);
            let mut larger = BytesMut::with_capacity(room);
            larger.extend_from_slice(&payload);
            payload = larger;
        }
        let missing = length - payload.len();
        if stream.take(missing as u64).read_buf(&mut payload).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the broker closed the stream within a frame",
            ));
        }
    }
    Ok(payload.freeze())
}

#[cfg(test)]
mod tests;
