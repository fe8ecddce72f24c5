//! One client's connection: frames in, answers out in the order of their requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::api::{Answer, ApiTable, BoxFuture, RequestFault, bare_token};
use crate::broker::Broker;
use crate::memory::MemoryPart;
use crate::metrics::Stopwatch;
use crate::newcomers::Newcomer;
use crate::protocol::{AnswerFrame, FrameError, take_frame};
use crate::session::Session;

/// What the read buffer starts with.
const READ_BUFFER_BYTES: usize = 1024;

/// What each connection may hold of requests without taking from the memory that all share.
const FREE_REQUEST_BYTES: usize = 64 * 1024;

/// How long a request waits for memory before its connection is closed: so that requests that each hold a part and
/// wait for more do not wait for each other for ever.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(10);

/// A slow client has this many bytes of a large request sent in a second.
const MIN_BYTES_PER_SECOND: usize = 64 * 1024;

/// How often a connection looks whether its client is too slow, at most and at least.
const WATCH_INTERVALS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// Why a connection ended before the client closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] RequestFault),
    #[error("the client has not sent a request or logged in for {0:?} (connection.setup.timeout.ms)")]
    Setup(Duration),
    #[error("the client has not finished a request for {0:?} (request.receive.timeout.ms)")]
    Slow(Duration),
    #[error("the client has not taken an answer for {0:?} (request.receive.timeout.ms)")]
    Stalled(Duration),
    #[error("no request for {0:?} (connections.max.idle.ms)")]
    Idle(Duration),
    #[error("no memory for a request within {MEMORY_TIMEOUT:?} (queued.max.request.bytes)")]
    Memory,
    #[error("too many connections wait to be set up (max.connections)")]
    Evicted,
}

/// An answer that waits for its turn, with what counts and times it.
struct Owed {
    answer: OwedAnswer,
    watch: Stopwatch,
    /// The memory of the request, which the answer may still need.
    _memory: Option<MemoryPart>,
}

enum OwedAnswer {
    Ready(AnswerFrame),
    Pending(BoxFuture<Result<AnswerFrame, RequestFault>>),
}

/// A request that is being begun.
struct Serving {
    future: BoxFuture<Result<Answer, RequestFault>>,
    watch: Stopwatch,
    memory: Option<MemoryPart>,
}

struct Connection<S> {
    broker: Arc<Broker>,
    session: Arc<Session>,
    stream: S,
    buffer: BytesMut,
    /// What the buffer's bytes have taken from the memory that all share.
    memory: Option<MemoryPart>,
    memory_bytes: usize,
    owed: VecDeque<Owed>,
    serving: Option<Serving>,
    /// Held until the client has shown that it is one.
    newcomer: Option<Newcomer>,
    opened: Instant,
    /// When the last request came whole.
    last_request: Instant,
    /// When the bytes of a request began to come that is not whole.
    begun: Option<Instant>,
}

/// Serves the connection until the client closes it, a fault occurs or the server stops.
///
/// Requests are begun one after the other, in order; an answer that must wait (a produce request's, for the
/// disk) does not hold up the next request, only the answers behind it.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(
    broker: Arc<Broker>,
    session: Arc<Session>,
    stream: S,
    newcomer: Newcomer,
) -> Result<(), ConnectionError> {
    let now = Instant::now();
    let mut connection = Connection {
        broker,
        session,
        stream,
        buffer: BytesMut::with_capacity(READ_BUFFER_BYTES),
        memory: None,
        memory_bytes: 0,
        owed: VecDeque::new(),
        serving: None,
        newcomer: Some(newcomer),
        opened: now,
        last_request: now,
        begun: None,
    };
    connection.run().await?;
    // Tells a TLS client that nothing was cut off; whoever is gone need not know.
    let _ = timeout(connection.broker.config().limits.request_timeout, connection.stream.shutdown()).await;
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    async fn run(&mut self) -> Result<(), ConnectionError> {
        let max_owed = self.broker.config().limits.max_in_flight_requests;
        let stopping = self.broker.shutdown_token().clone();
        let watch = self.watch_interval();
        let mut next_watch = Box::pin(tokio::time::sleep(watch));
        loop {
            let has_room = self.owed.len() < max_owed && !self.session.is_ending();
            if self.serving.is_none() && has_room {
                self.begin_next()?;
            }
            if self.session.is_ending() && self.serving.is_none() && self.owed.is_empty() {
                return Ok(());
            }
            let may_read = self.serving.is_none() && has_room && self.reserve_memory().await?;
            tokio::select! {
                biased;
                answer = next_answer(&mut self.owed), if !self.owed.is_empty() => {
                    let (frame, watch) = answer?;
                    self.write_frame(frame, watch).await?;
                }
                answer = in_progress(&mut self.serving), if self.serving.is_some() => {
                    self.take_answer(answer?).await?;
                }
                read = self.stream.read_buf(&mut self.buffer), if may_read => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                () = stopping.cancelled(), if self.serving.is_none() && self.owed.is_empty() => return Ok(()),
                () = evicted(&self.newcomer), if self.newcomer.is_some() => return Err(ConnectionError::Evicted),
                () = &mut next_watch => {
                    self.check_time()?;
                    next_watch.as_mut().reset(tokio::time::Instant::now() + watch);
                }
            }
        }
    }

    /// Begins the next request if it is there.
    fn begin_next(&mut self) -> Result<(), ConnectionError> {
        let limits = &self.broker.config().limits;
        let limit_bytes = match self.session.is_authenticated() {
            true => limits.max_request_bytes,
            false => limits.max_login_request_bytes.min(limits.max_request_bytes),
        };
        let Some(frame) = take_frame(&mut self.buffer, limit_bytes)? else {
            if self.buffer.is_empty() {
                self.begun = None;
            } else {
                self.begun.get_or_insert_with(Instant::now);
            }
            return Ok(());
        };
        self.last_request = Instant::now();
        self.begun = None;
        let (broker, session) = (Arc::clone(&self.broker), Arc::clone(&self.session));
        broker.metrics().bytes_in.fetch_add(frame.len() as u64, Ordering::Relaxed);
        let watch = Stopwatch::start(api_key(&frame, &session), self.last_request);
        let future: BoxFuture<Result<Answer, RequestFault>> = match session.takes_tokens() {
            true => Box::pin(async move { bare_token(&broker, &session, frame).await }),
            false => Box::pin(async move { ApiTable::get().serve(&broker, &session, frame).await }),
        };
        self.memory_bytes = 0;
        self.serving = Some(Serving { future, watch, memory: self.memory.take() });
        Ok(())
    }

    /// Takes memory for what the buffer has grown to. Without any left it waits, unless there are answers to be sent
    /// first: then it returns false.
    async fn reserve_memory(&mut self) -> Result<bool, ConnectionError> {
        let wanted = self.buffer.capacity().saturating_sub(FREE_REQUEST_BYTES);
        if wanted <= self.memory_bytes {
            return Ok(true);
        }
        let more = wanted - self.memory_bytes;
        let budget = self.broker.request_memory();
        let part = match budget.try_take(more) {
            Some(part) => part,
            None if !self.owed.is_empty() => return Ok(false),
            None => {
                let waited = timeout(MEMORY_TIMEOUT, budget.take(more)).await;
                // The client could not go on meanwhile.
                self.begun = Some(Instant::now());
                waited.map_err(|_| ConnectionError::Memory)?
            }
        };
        self.memory_bytes = wanted;
        match &mut self.memory {
            Some(memory) => memory.merge(part),
            memory => *memory = Some(part),
        }
        Ok(true)
    }

    /// Sends or queues the answer to the request in progress.
    async fn take_answer(&mut self, answer: Answer) -> Result<(), ConnectionError> {
        let Some(Serving { watch, memory, .. }) = self.serving.take() else { return Ok(()) };
        if self.session.is_authenticated() {
            self.newcomer = None;
        }
        let answer = match answer {
            Answer::Ready(frame) if self.owed.is_empty() => return self.write_frame(frame, watch).await,
            Answer::Ready(frame) => OwedAnswer::Ready(frame),
            Answer::Pending(answer) => OwedAnswer::Pending(answer),
            Answer::None => {
                self.broker.metrics().count_request(watch);
                return Ok(());
            }
        };
        self.owed.push_back(Owed { answer, watch, _memory: memory });
        Ok(())
    }

    /// Writes all chunks of an answer.
    async fn write_frame(&mut self, frame: AnswerFrame, watch: Stopwatch) -> Result<(), ConnectionError> {
        let metrics = self.broker.metrics();
        metrics.count_request(watch);
        let patience = self.broker.config().limits.request_timeout;
        let (mut chunks, _memory) = frame.into_parts();
        let bytes: usize = chunks.iter().map(Bytes::len).sum();
        metrics.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut left = &mut chunks[..];
        while !left.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                left.iter().take(MAX_CHUNKS_PER_WRITE).map(|chunk| IoSlice::new(chunk)).collect();
            let write = timeout(patience, self.stream.write_vectored(&slices));
            let mut written = write.await.map_err(|_| ConnectionError::Stalled(patience))??;
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
            while let Some(first) = left.first_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                left = &mut left[1..];
            }
        }
        // TLS keeps a rest of its own.
        timeout(patience, self.stream.flush()).await.map_err(|_| ConnectionError::Stalled(patience))??;
        Ok(())
    }

    /// How often time-outs are looked at: some times within the shortest.
    fn watch_interval(&self) -> Duration {
        let limits = &self.broker.config().limits;
        let shortest = limits.idle_timeout.min(limits.setup_timeout).min(limits.request_timeout);
        (shortest / 4).clamp(WATCH_INTERVALS.0, WATCH_INTERVALS.1)
    }

    /// Ends the connection of a client that is too slow.
    fn check_time(&self) -> Result<(), ConnectionError> {
        let limits = &self.broker.config().limits;
        if self.newcomer.is_some() && self.opened.elapsed() > limits.setup_timeout {
            return Err(ConnectionError::Setup(limits.setup_timeout));
        }
        if self.serving.is_some() || !self.owed.is_empty() {
            return Ok(());
        }
        if let Some(begun) = self.begun {
            let bonus = Duration::from_secs((self.buffer.len() / MIN_BYTES_PER_SECOND) as u64);
            if begun.elapsed() > limits.request_timeout + bonus {
                return Err(ConnectionError::Slow(limits.request_timeout));
            }
        } else if self.last_request.elapsed() > limits.idle_timeout {
            return Err(ConnectionError::Idle(limits.idle_timeout));
        }
        Ok(())
    }
}

/// How many chunks of an answer go to the operating system in one call.
const MAX_CHUNKS_PER_WRITE: usize = 64;

/// The API that a frame is for, as far as can be seen without reading it.
fn api_key(frame: &Bytes, session: &Session) -> i16 {
    match frame.first_chunk::<2>() {
        Some(key) if !session.takes_tokens() => i16::from_be_bytes(*key),
        _ => -1,
    }
}

async fn evicted(newcomer: &Option<Newcomer>) {
    match newcomer {
        Some(newcomer) => newcomer.evicted().await,
        None => std::future::pending().await,
    }
}

/// The first owed answer, once it is there. Cancel-safe: it leaves the queue only when it is complete.
async fn next_answer(owed: &mut VecDeque<Owed>) -> Result<(AnswerFrame, Stopwatch), RequestFault> {
    let Some(first) = owed.front_mut() else { return std::future::pending().await };
    let frame = match &mut first.answer {
        OwedAnswer::Ready(frame) => std::mem::take(frame),
        OwedAnswer::Pending(answer) => answer.await?,
    };
    let watch = first.watch;
    owed.pop_front();
    Ok((frame, watch))
}

/// The request in progress, once it is done.
async fn in_progress(serving: &mut Option<Serving>) -> Result<Answer, RequestFault> {
    match serving {
        Some(serving) => (&mut serving.future).await,
        None => std::future::pending().await,
    }
}
