//! One client's connection: frames in, answers out in the order of their requests.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::{Answer, BoxFuture, RequestFault};
use crate::broker::Broker;
use crate::protocol::{AnswerFrame, FrameError, take_frame};

/// How many answers a connection may owe before it stops reading: bounds what a client that sends requests
/// without reading answers can hold.
const MAX_OWED_ANSWERS: usize = 64;

/// What the read buffer starts with.
const READ_BUFFER_BYTES: usize = 1024;

/// Why a connection ended before the client closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] RequestFault),
}

/// An answer that waits for its turn.
enum Owed {
    Ready(AnswerFrame),
    Pending(BoxFuture<Result<AnswerFrame, RequestFault>>),
}

/// Serves the connection until the client closes it, a fault occurs or the server stops.
///
/// Requests are begun one after the other, in order; an answer that must wait (a produce request's, for the
/// disk) does not hold up the next request, only the answers behind it.
pub(crate) async fn run(
    broker: Arc<Broker>,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<(), ConnectionError> {
    let ends = (peer, stream.local_addr()?);
    let limit_bytes = broker.config().max_request_bytes;
    let stopping = broker.shutdown_token().clone();
    let mut buffer = BytesMut::with_capacity(READ_BUFFER_BYTES);
    let mut owed: VecDeque<Owed> = VecDeque::new();
    let mut serving: Option<BoxFuture<Result<Answer, RequestFault>>> = None;
    loop {
        if serving.is_none()
            && owed.len() < MAX_OWED_ANSWERS
            && let Some(frame) = take_frame(&mut buffer, limit_bytes)?
        {
            let broker = Arc::clone(&broker);
            broker.metrics().bytes_in.fetch_add(frame.len() as u64, Ordering::Relaxed);
            serving = Some(Box::pin(async move { broker.apis().serve(&broker, ends, frame).await }));
        }
        let may_read = serving.is_none() && owed.len() < MAX_OWED_ANSWERS;
        tokio::select! {
            biased;
            answer = next_answer(&mut owed), if !owed.is_empty() => {
                write_frame(&broker, &mut stream, answer?).await?;
            }
            answer = in_progress(&mut serving), if serving.is_some() => {
                serving = None;
                match answer? {
                    Answer::Ready(frame) if owed.is_empty() => write_frame(&broker, &mut stream, frame).await?,
                    Answer::Ready(frame) => owed.push_back(Owed::Ready(frame)),
                    Answer::Pending(answer) => owed.push_back(Owed::Pending(answer)),
                    Answer::None => {}
                }
            }
            read = stream.read_buf(&mut buffer), if may_read => {
                if read? == 0 {
                    return Ok(());
                }
            }
            () = stopping.cancelled(), if serving.is_none() && owed.is_empty() => return Ok(()),
        }
    }
}

/// How many chunks of an answer go to the operating system in one call.
const MAX_CHUNKS_PER_WRITE: usize = 64;

/// Writes all chunks of an answer.
async fn write_frame(broker: &Broker, stream: &mut TcpStream, frame: AnswerFrame) -> std::io::Result<()> {
    let mut chunks = frame.into_chunks();
    let bytes: usize = chunks.iter().map(bytes::Bytes::len).sum();
    broker.metrics().bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    if let [whole] = &chunks[..] {
        return stream.write_all(whole).await;
    }
    let mut left = &mut chunks[..];
    while !left.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            left.iter().take(MAX_CHUNKS_PER_WRITE).map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
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
    Ok(())
}

/// The first owed answer, once it is there. Cancel-safe: it leaves the queue only when it is complete.
async fn next_answer(owed: &mut VecDeque<Owed>) -> Result<AnswerFrame, RequestFault> {
    let answer = match owed.front_mut() {
        Some(Owed::Ready(frame)) => Ok(std::mem::take(frame)),
        Some(Owed::Pending(answer)) => answer.await,
        None => std::future::pending().await,
    };
    owed.pop_front();
    answer
}

/// The request in progress, once it is done.
async fn in_progress(
    serving: &mut Option<BoxFuture<Result<Answer, RequestFault>>>,
) -> Result<Answer, RequestFault> {
    match serving {
        Some(serving) => serving.await,
        None => std::future::pending().await,
    }
}
