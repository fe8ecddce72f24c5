//! Servers with real connections.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::{FsyncPolicy, Limits};

mod many_slow_clients;
mod tls;

/// A client on any stream, one request at a time.
struct Client<S> {
    stream: S,
    correlation_id: i32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Client { stream, correlation_id: 0 }
    }

    async fn call<R: Request>(&mut self, request: &R, version: i16) -> std::io::Result<R::Response> {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        frame.put_i16(R::KEY);
        frame.put_i16(version);
        frame.put_i32(self.correlation_id);
        frame.put_i16(-1);
        if R::header_version(version) >= 2 {
            frame.put_u8(0);
        }
        request.encode(&mut frame, version).unwrap();
        let length = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        let length = self.stream.read_i32().await?;
        let mut answer = vec![0; length as usize];
        self.stream.read_exact(&mut answer).await?;
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        Ok(R::Response::decode(&mut answer, version).unwrap())
    }

    async fn log_in(&mut self, user: &str, password: &str) -> std::io::Result<i16> {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        assert_eq!(self.call(&handshake, 1).await?.error_code, 0);
        let token = Bytes::from(format!("\0{user}\0{password}"));
        let request = SaslAuthenticateRequest::default().with_auth_bytes(token);
        Ok(self.call(&request, 2).await?.error_code)
    }
}

async fn connect(address: SocketAddr) -> Client<TcpStream> {
    Client::new(TcpStream::connect(address).await.unwrap())
}

fn config() -> LogServerConfig {
    LogServerConfig::temporary().unwrap().fsync(FsyncPolicy::Never)
}

fn metadata() -> MetadataRequest {
    MetadataRequest::default().with_topics(Some(Vec::new()))
}

#[tokio::test]
async fn several_listeners_tell_clients_their_own_addresses() {
    let config = config()
        .user("alice", "alice-secret")
        .listener(Listener::new(SecurityProtocol::Plaintext, "127.0.0.1", 0))
        .listener(
            Listener::new(SecurityProtocol::SaslPlaintext, "localhost", 0)
                .named("CLIENTS")
                .advertised("logs.example.org", 19_092),
        );
    let server = LogServer::start(config).await.unwrap();
    let plain = server.address_of("PLAINTEXT").unwrap();
    assert_eq!((server.address(), server.address_of("SSL")), (plain, None));
    let broker = connect(plain).await.call(&metadata(), 9).await.unwrap().brokers.remove(0);
    assert_eq!((&*broker.host, broker.port), ("127.0.0.1", i32::from(plain.port())));
    let mut client = connect(server.address_of("CLIENTS").unwrap()).await;
    assert_eq!(client.log_in("alice", "alice-secret").await.unwrap(), 0);
    let broker = client.call(&metadata(), 9).await.unwrap().brokers.remove(0);
    assert_eq!((&*broker.host, broker.port), ("logs.example.org", 19_092));
    let mut client = connect(server.address_of("CLIENTS").unwrap()).await;
    assert!(client.call(&metadata(), 9).await.is_err(), "the connection is closed before a login");
    let mut client = connect(server.address_of("CLIENTS").unwrap()).await;
    assert_eq!(client.log_in("alice", "wrong").await.unwrap(), 58);
    assert!(client.call(&metadata(), 9).await.is_err(), "the connection is closed after a failed login");
    server.shutdown().await.unwrap();
}
