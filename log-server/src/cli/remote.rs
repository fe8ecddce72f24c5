//! A connection to a running server, one request at a time.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use clap::Args;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use log_server::Error;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

/// How long connecting and each answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The server.
    #[arg(long, short, global = true, env = "LOG_SERVER_SERVER", default_value = "127.0.0.1:9092")]
    server: String,
    /// The user to log in as (PLAIN).
    #[arg(long, global = true, env = "LOG_SERVER_USER")]
    user: Option<String>,
    /// The user's password; better given by the environment, where other users of the machine do not see it.
    #[arg(long, global = true, env = "LOG_SERVER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Connect by TLS, and believe certificates of these authorities (PEM).
    #[arg(long, global = true, env = "LOG_SERVER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What can be read and written.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection to a server.
pub(super) struct Remote {
    server: String,
    stream: Box<dyn Stream>,
    correlation_id: i32,
}

impl Target {
    /// Connects, and logs in if a user is named.
    ///
    /// # Errors
    /// [`Error::Remote`] or [`Error::Tls`].
    pub(super) fn connect(&self) -> Result<Remote, Error> {
        let lost = |error: std::io::Error| remote(&self.server, explain(&error));
        let mut addresses = self.server.to_socket_addrs().map_err(lost)?;
        let address = addresses.next().ok_or_else(|| remote(&self.server, "it has no address".to_owned()))?;
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(lost)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(lost)?;
        let stream: Box<dyn Stream> = match &self.ca {
            None => Box::new(stream),
            Some(ca) => Box::new(self.encrypt(stream, ca)?),
        };
        let mut remote = Remote { server: self.server.clone(), stream, correlation_id: 0 };
        if let Some(user) = &self.user {
            remote.log_in(user, self.password.as_deref().unwrap_or_default())?;
        }
        Ok(remote)
    }

    fn encrypt(
        &self,
        stream: TcpStream,
        ca: &PathBuf,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
        let unusable = |reason: String| Error::Tls { path: ca.clone(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|fault| unusable(fault.to_string()))? {
            let certificate = certificate.map_err(|fault| unusable(fault.to_string()))?;
            roots.add(certificate).map_err(|fault| unusable(fault.to_string()))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|fault| unusable(fault.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = self.server.rsplit_once(':').map_or(self.server.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|fault| remote(&self.server, fault.to_string()))?;
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|fault| remote(&self.server, fault.to_string()))?;
        Ok(StreamOwned::new(connection, stream))
    }
}

impl Remote {
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Remote`].
    pub(super) fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Error> {
        let frame = self.exchange(request, version).map_err(|error| self.fault(explain(&error)))?;
        let mut frame = Bytes::from(frame);
        ResponseHeader::decode(&mut frame, R::Response::header_version(version))
            .and_then(|_| R::Response::decode(&mut frame, version))
            .map_err(|error| self.fault(format!("the answer cannot be read: {error}")))
    }

    fn exchange<R: Request>(&mut self, request: &R, version: i16) -> std::io::Result<Vec<u8>> {
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
        request.encode(&mut frame, version).map_err(std::io::Error::other)?;
        let length = i32::try_from(frame.len() - 4).map_err(std::io::Error::other)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame)?;
        self.stream.flush()?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(std::io::Error::other)?;
        if length > MAX_ANSWER_BYTES {
            return Err(std::io::Error::other(format!("the answer has {length} bytes")));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<(), Error> {
        let subject = format!("login of user {user}");
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let shaken = self.call(&handshake, 1)?;
        self.check(outcome_of(&subject, shaken.error_code, None))?;
        let token = Bytes::from(format!("\0{user}\0{password}"));
        let response = self.call(&SaslAuthenticateRequest::default().with_auth_bytes(token), 2)?;
        self.check(outcome_of(&subject, response.error_code, response.error_message.as_deref()))
    }

    /// Turns an answer's error into one of the program.
    ///
    /// # Errors
    /// [`Error::Remote`] if there is one.
    pub(super) fn check(&self, outcome: Result<(), String>) -> Result<(), Error> {
        outcome.map_err(|reason| self.fault(reason))
    }

    /// An error that names the server.
    pub(super) fn fault(&self, reason: String) -> Error {
        remote(&self.server, reason)
    }
}

/// What an answer's error code and message mean for what it is about, for instance `topic orders`.
///
/// # Errors
/// A sentence if the code is not 0.
pub(super) fn outcome_of(subject: &str, code: i16, message: Option<&str>) -> Result<(), String> {
    let Some(error) = ResponseError::try_from_code(code) else { return Ok(()) };
    let message = message.filter(|message| !message.is_empty()).map(|message| format!(", {message}"));
    Err(format!("{subject}: {error:?}{}{}", message.unwrap_or_default(), remedy(error)))
}

/// What can be done about an error.
fn remedy(error: ResponseError) -> &'static str {
    use ResponseError as E;
    match error {
        E::UnknownTopicOrPartition => "; `topics list` shows the topics that there are",
        E::GroupIdNotFound => "; `groups list` shows the groups that there are",
        E::NonEmptyGroup | E::UnknownMemberId => "; stop the group's members first",
        E::TopicAuthorizationFailed | E::GroupAuthorizationFailed | E::ClusterAuthorizationFailed => {
            "; log in as another user (--user), or let this one do it: `kafka-acls --add --allow-principal User:NAME …`"
        }
        E::SaslAuthenticationFailed => "; check --user and the password (LOG_SERVER_PASSWORD)",
        E::IllegalSaslState | E::UnsupportedSaslMechanism => {
            "; this listener takes no login by PLAIN: leave --user out, or name another --server"
        }
        E::KafkaStorageError => "; look into the server's log: its disk may be full",
        _ => "",
    }
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            "the server closed the connection: does the listener need TLS (--ca) or a login (--user)?"
                .to_owned()
        }
        std::io::ErrorKind::ConnectionRefused => {
            format!("{error}; does a server run there? --server names another, 127.0.0.1:9092 is the default")
        }
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            format!(
                "no answer within {TIMEOUT:?}; is the server overloaded, or something else than a log server?"
            )
        }
        _ => error.to_string(),
    }
}

fn remote(server: &str, reason: String) -> Error {
    Error::Remote { server: server.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_they_are_about_and_what_to_do() {
        let said = |error: ResponseError| outcome_of("topic orders", error.code(), Some("")).unwrap_err();
        let absent = said(ResponseError::UnknownTopicOrPartition);
        assert_eq!(
            absent,
            "topic orders: UnknownTopicOrPartition; `topics list` shows the topics that there are"
        );
        assert!(said(ResponseError::TopicAuthorizationFailed).contains("--user"));
        assert_eq!(outcome_of("topic orders", 0, None), Ok(()));
        let refused = explain(&std::io::ErrorKind::ConnectionRefused.into());
        assert!(refused.contains("--server"), "{refused}");
    }
}
