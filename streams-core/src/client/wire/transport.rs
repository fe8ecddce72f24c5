//! How bytes reach a broker.

use std::fmt;
use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A two-way stream of bytes: a TCP connection, a TLS session, or a pipe in a test.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Opens byte streams to brokers; the place to put TLS.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Opens a stream to `address` (`host:port`).
    ///
    /// # Errors
    /// Whatever the operating system or the TLS handshake reports.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn ByteStream>>;
}

/// Plain TCP with Nagle's algorithm off, since requests are small and waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpTransport;

#[async_trait]
impl Transport for TcpTransport {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn ByteStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
