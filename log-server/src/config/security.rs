//! What a server is told of security.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::listener::Listener;
use crate::security::{ClientAuth, SaslMechanism, TlsConfig};

/// How long the answer to a failed login is held back, unless configured: Kafka's default.
const FAILED_LOGIN_DELAY: Duration = Duration::from_millis(100);

/// TLS, login and authorization.
#[derive(Clone)]
pub(crate) struct SecurityConfig {
    pub(crate) tls: Option<TlsConfig>,
    /// `sasl.enabled.mechanisms`.
    pub(crate) mechanisms: Vec<SaslMechanism>,
    /// Passwords by user.
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) authorizer: bool,
    pub(crate) allow_everyone_if_no_acl: bool,
    pub(crate) super_users: Vec<String>,
    /// `connections.max.reauth.ms`.
    pub(crate) max_reauth: Option<Duration>,
    /// `connection.failed.authentication.delay.ms`.
    pub(crate) failed_login_delay: Duration,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        SecurityConfig {
            tls: None,
            mechanisms: SaslMechanism::ALL.to_vec(),
            users: BTreeMap::new(),
            authorizer: false,
            allow_everyone_if_no_acl: false,
            super_users: Vec::new(),
            max_reauth: None,
            failed_login_delay: FAILED_LOGIN_DELAY,
        }
    }
}

impl std::fmt::Debug for SecurityConfig {
    /// Passwords do not belong in logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SecurityConfig")
            .field("tls", &self.tls)
            .field("mechanisms", &self.mechanisms)
            .field("users", &self.users.keys())
            .field("authorizer", &self.authorizer)
            .field("super_users", &self.super_users)
            .finish_non_exhaustive()
    }
}

impl SecurityConfig {
    /// Whether clients are known by the certificates that they must show.
    pub(super) fn requires_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::Required)
    }

    /// # Errors
    /// [`Error::Config`] for what cannot work.
    pub(super) fn validate(&self, listeners: &[Listener]) -> Result<(), Error> {
        if let Some(listener) =
            listeners.iter().find(|listener| listener.protocol.uses_tls() && self.tls.is_none())
        {
            let reason = format!(
                "listener {listener} uses TLS, which needs a certificate and a key: set ssl.keystore.location, or \
                 ssl.certificate.location and ssl.key.location (LogServerConfig::tls)"
            );
            return Err(Error::Config(reason));
        }
        if listeners.iter().any(|listener| listener.protocol.uses_sasl()) && self.mechanisms.is_empty() {
            return Err(Error::Config("sasl.enabled.mechanisms is empty, so nobody could log in".to_owned()));
        }
        for principal in &self.super_users {
            if principal.strip_prefix("User:").is_none_or(str::is_empty) {
                return Err(Error::Config(format!(
                    "super.users has {principal:?}, which is not like User:name"
                )));
            }
        }
        match self.users.iter().find(|(name, password)| name.is_empty() || password.is_empty()) {
            Some((name, _)) => Err(Error::Config(format!("the user {name:?} lacks a name or a password"))),
            None => Ok(()),
        }
    }
}
