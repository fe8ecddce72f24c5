//! SASL: mechanisms, and the server's side of an exchange as a state machine.

use super::scram::ScramMechanism;
use super::scram_exchange::{Challenge, ClientFirst};
use super::users::Users;

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password as it is: only over TLS, or within one machine.
    Plain,
    /// A proof that one knows the password (RFC 7677).
    ScramSha256,
    /// A proof that one knows the password.
    ScramSha512,
}

impl SaslMechanism {
    /// All mechanisms.
    pub const ALL: [SaslMechanism; 3] =
        [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

    /// SASL's name of it, for example `SCRAM-SHA-256`.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => ScramMechanism::Sha256.name(),
            SaslMechanism::ScramSha512 => ScramMechanism::Sha512.name(),
        }
    }

    /// The mechanism of a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// Why a client is not who it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaslFailure {
    #[error("{0} is malformed")]
    Malformed(&'static str),
    #[error("user or password is wrong")]
    WrongCredentials,
    #[error("acting for another user is not offered")]
    ActsForAnother,
}

/// An exchange of tokens.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The client's first token is awaited.
    Begun(SaslMechanism),
    /// The client's proof is awaited.
    Challenged(Box<Challenge>),
}

/// What follows from a client's token.
#[derive(Debug)]
pub(crate) enum Step {
    /// The server's token, and what is then awaited.
    Continue(Vec<u8>, Exchange),
    /// The client is this user; the server's last token.
    Done(String, Vec<u8>),
}

impl Exchange {
    /// Takes the client's next token. May take milliseconds of computation.
    ///
    /// # Errors
    /// [`SaslFailure`]; the exchange is over then.
    pub(crate) fn step(self, token: &[u8], users: &Users) -> Result<Step, SaslFailure> {
        match self {
            Exchange::Begun(SaslMechanism::Plain) => plain(token, users),
            Exchange::Begun(SaslMechanism::ScramSha256) => challenge(ScramMechanism::Sha256, token, users),
            Exchange::Begun(SaslMechanism::ScramSha512) => challenge(ScramMechanism::Sha512, token, users),
            Exchange::Challenged(challenge) => {
                let (user, message) = challenge.finish(token)?;
                Ok(Step::Done(user, message.into_bytes()))
            }
        }
    }
}

/// Reads `[authzid] NUL user NUL password` (RFC 4616).
fn plain(token: &[u8], users: &Users) -> Result<Step, SaslFailure> {
    let malformed = SaslFailure::Malformed("PLAIN's token");
    let text = std::str::from_utf8(token).map_err(|_| malformed)?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [act_as, user, password] = parts[..] else { return Err(malformed) };
    if user.is_empty() || password.is_empty() {
        return Err(malformed);
    }
    if !act_as.is_empty() && act_as != user {
        return Err(SaslFailure::ActsForAnother);
    }
    if !users.has_password(user, password) {
        return Err(SaslFailure::WrongCredentials);
    }
    Ok(Step::Done(user.to_owned(), Vec::new()))
}

fn challenge(mechanism: ScramMechanism, token: &[u8], users: &Users) -> Result<Step, SaslFailure> {
    let first = ClientFirst::parse(token)?;
    let credential = users.credential_or_decoy(&first.user, mechanism);
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let challenge = Challenge::new(mechanism, first, credential, &nonce);
    let message = challenge.message().as_bytes().to_vec();
    Ok(Step::Continue(message, Exchange::Challenged(Box::new(challenge))))
}
