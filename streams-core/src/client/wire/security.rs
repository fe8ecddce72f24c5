//! How a client proves who it is and whom it believes: from the settings of Kafka's clients, the Java client's names or
//! librdkafka's, to those of a connection.

use std::collections::BTreeMap;
use std::fmt;

use super::config::{Sasl, WireConfig};
use crate::config::ConfigError;

/// The settings in plain words.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Security {
    /// TLS, where `security.protocol` asks for it.
    pub(crate) tls: Option<TlsSettings>,
    /// Credentials, where `security.protocol` asks for them.
    pub(crate) sasl: Option<Sasl>,
}

/// Whom a client believes, and by which certificate it is known itself. All in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The authorities; the system's where none are given.
    pub(crate) authorities: Option<Pem>,
    /// The client's own certificate and its key.
    pub(crate) identity: Option<(Pem, Pem)>,
    /// Whether the broker's certificate is checked at all.
    pub(crate) verify: bool,
    /// Whether it must be for the broker's host name.
    pub(crate) verify_host: bool,
}

/// PEM, in a file or as it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pem {
    File(String),
    Text(String),
}

impl Security {
    /// Reads the settings; files are not opened.
    ///
    /// # Errors
    /// The first setting that cannot be used, with the remedy.
    pub(crate) fn of(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let get = |key: &str| properties.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let protocol = get("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let (tls, sasl) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => {
                let expected = "`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`";
                return Err(invalid("security.protocol", &protocol, expected));
            }
        };
        let security = Security {
            tls: if tls { Some(TlsSettings::of(properties)?) } else { None },
            sasl: if sasl { Some(credentials(properties)?) } else { None },
        };
        security.check_build(&protocol)?;
        Ok(security)
    }

    /// Both clients must be able to do what is asked: the one for records out is librdkafka.
    fn check_build(&self, protocol: &str) -> Result<(), ConfigError> {
        if cfg!(feature = "ssl") {
            return Ok(());
        }
        let reason = "build streams-core with the feature `ssl` (OpenSSL of the system) or `ssl-vendored` (compiled along)";
        if self.tls.is_some() {
            let key = "security.protocol".to_owned();
            return Err(ConfigError::Unsupported { key, value: protocol.to_owned(), reason });
        }
        match &self.sasl {
            Some(Sasl::Scram { mechanism, .. }) => {
                let (key, value) = ("sasl.mechanism".to_owned(), mechanism.name().to_owned());
                Err(ConfigError::Unsupported { key, value, reason })
            }
            _ => Ok(()),
        }
    }

    /// Sets a connection up like this.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub(crate) fn apply(self, mut wire: WireConfig) -> Result<WireConfig, ConfigError> {
        wire.sasl = self.sasl;
        #[cfg(feature = "ssl")]
        if let Some(tls) = &self.tls {
            wire.transport = std::sync::Arc::new(super::tls::TlsTransport::new(tls)?);
        }
        Ok(wire)
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("tls", &self.tls.is_some()).field("sasl", &self.sasl).finish()
    }
}

impl TlsSettings {
    fn of(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let get = |key: &str| properties.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let pem = |file: &str, text: &str| {
            get(text)
                .map(|text| Pem::Text(text.to_owned()))
                .or_else(|| get(file).map(|file| Pem::File(file.to_owned())))
        };
        for key in ["ssl.truststore.type", "ssl.keystore.type"] {
            if let Some(kind) = get(key).filter(|kind| !kind.eq_ignore_ascii_case("pem")) {
                let reason =
                    "only PEM files can be read: `keytool` and `openssl pkcs12` convert stores of the JVM";
                return Err(ConfigError::Unsupported { key: key.to_owned(), value: kind.to_owned(), reason });
            }
        }
        if get("ssl.key.password").is_some() || get("ssl.keystore.password").is_some() {
            let reason = "keys with a password cannot be read: `openssl pkey` takes it off, and the file's rights protect it";
            let key = "ssl.key.password".to_owned();
            return Err(ConfigError::Unsupported { key, value: "***".to_owned(), reason });
        }
        let certificate = pem("ssl.certificate.location", "ssl.certificate.pem")
            .or_else(|| pem("ssl.keystore.location", "ssl.keystore.certificate.chain"));
        let key = pem("ssl.key.location", "ssl.key.pem")
            .or_else(|| pem("ssl.keystore.location", "ssl.keystore.key"));
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let remedy =
                    "a client certificate takes both `ssl.certificate.location` and `ssl.key.location`";
                return Err(ConfigError::Missing { key: "ssl.key.location", remedy });
            }
        };
        let check = properties.get("ssl.endpoint.identification.algorithm").map_or("https", String::as_str);
        Ok(TlsSettings {
            authorities: pem("ssl.ca.location", "ssl.ca.pem")
                .or_else(|| pem("ssl.truststore.location", "ssl.truststore.certificates")),
            identity,
            verify: get("enable.ssl.certificate.verification") != Some("false"),
            verify_host: check.eq_ignore_ascii_case("https"),
        })
    }
}

fn credentials(properties: &BTreeMap<String, String>) -> Result<Sasl, ConfigError> {
    let get = |key: &str| properties.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let (jaas_name, jaas_password) = get("sasl.jaas.config").map_or((None, None), jaas);
    let username = get("sasl.username").map(str::to_owned).or(jaas_name);
    let password = get("sasl.password").map(str::to_owned).or(jaas_password);
    let remedy = "give `sasl.username` and `sasl.password`, or both within `sasl.jaas.config`";
    let username = username.ok_or(ConfigError::Missing { key: "sasl.username", remedy })?;
    let password = password.ok_or(ConfigError::Missing { key: "sasl.password", remedy })?;
    let mechanism = get("sasl.mechanism").or_else(|| get("sasl.mechanisms")).unwrap_or("PLAIN");
    match mechanism {
        "PLAIN" => Ok(Sasl::Plain { username, password }),
        "SCRAM-SHA-256" => Ok(Sasl::Scram { mechanism: ScramMechanism::Sha256, username, password }),
        "SCRAM-SHA-512" => Ok(Sasl::Scram { mechanism: ScramMechanism::Sha512, username, password }),
        other => Err(invalid("sasl.mechanism", other, "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`")),
    }
}

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramMechanism {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

impl ScramMechanism {
    /// The mechanism's name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// Properties for librdkafka, whose names differ from the Java client's where stores and logins are concerned.
pub(crate) fn for_librdkafka(properties: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut translated = BTreeMap::new();
    for (key, value) in properties {
        let ours = match key.as_str() {
            "ssl.truststore.location" => "ssl.ca.location",
            "ssl.truststore.certificates" => "ssl.ca.pem",
            "ssl.keystore.certificate.chain" => "ssl.certificate.pem",
            "ssl.keystore.key" => "ssl.key.pem",
            "ssl.truststore.type" | "ssl.keystore.type" | "ssl.keystore.location" | "sasl.jaas.config" => {
                continue;
            }
            key => key,
        };
        let value = match ours {
            "security.protocol" => value.to_ascii_lowercase(),
            "ssl.endpoint.identification.algorithm" if value.is_empty() => "none".to_owned(),
            _ => value.clone(),
        };
        translated.insert(ours.to_owned(), value);
    }
    if let Some(store) = properties.get("ssl.keystore.location") {
        for key in ["ssl.certificate.location", "ssl.key.location"] {
            translated.entry(key.to_owned()).or_insert_with(|| store.clone());
        }
    }
    if let (Some(username), Some(password)) =
        properties.get("sasl.jaas.config").map_or((None, None), |it| jaas(it))
    {
        translated.entry("sasl.username".to_owned()).or_insert(username);
        translated.entry("sasl.password".to_owned()).or_insert(password);
    }
    translated
}

/// User name and password within `sasl.jaas.config`: `….PlainLoginModule required username="…" password="…";`.
fn jaas(text: &str) -> (Option<String>, Option<String>) {
    let value = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        let mut value = String::new();
        let mut letters = rest.chars();
        loop {
            match letters.next()? {
                '"' => return Some(value),
                '\\' => value.push(letters.next()?),
                letter => value.push(letter),
            }
        }
    };
    (value("username"), value("password"))
}

fn invalid(key: &str, value: &str, expected: &str) -> ConfigError {
    ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Security, ConfigError> {
        Security::of(&pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn credentials_come_by_either_name_and_are_never_shown() {
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"ada\" \
                    password=\"hunter\\\"2\";";
        let security = of(&[("security.protocol", "SASL_PLAINTEXT"), ("sasl.jaas.config", jaas)]).unwrap();
        let plain = Sasl::Plain { username: "ada".to_owned(), password: "hunter\"2".to_owned() };
        assert_eq!(security.sasl, Some(plain));
        assert!(!format!("{security:?}").contains("hunter"));
        let properties = BTreeMap::from([("sasl.jaas.config".to_owned(), jaas.to_owned())]);
        assert_eq!(for_librdkafka(&properties)["sasl.password"], "hunter\"2");
        assert_eq!(of(&[("sasl.username", "ada"), ("sasl.password", "x")]).unwrap(), Security::default());
    }

    #[test]
    fn what_cannot_be_used_names_the_remedy() {
        let text = |pairs: &[(&str, &str)]| of(pairs).unwrap_err().to_string();
        assert!(text(&[("security.protocol", "tls")]).contains("sasl_ssl"));
        assert!(text(&[("security.protocol", "sasl_plaintext")]).contains("sasl.username"));
        let login = [("security.protocol", "sasl_plaintext"), ("sasl.username", "a"), ("sasl.password", "b")];
        let gssapi = [&login[..], &[("sasl.mechanism", "GSSAPI")]].concat();
        assert!(text(&gssapi).contains("SCRAM-SHA-256"));
        let jks = [("security.protocol", "ssl"), ("ssl.truststore.type", "JKS")];
        assert!(text(&jks).contains("PEM"));
    }

    #[cfg(not(feature = "ssl"))]
    #[test]
    fn a_build_without_tls_says_which_feature_has_it() {
        let text = |pairs: &[(&str, &str)]| of(pairs).unwrap_err().to_string();
        assert!(text(&[("security.protocol", "ssl")]).contains("feature `ssl`"));
        let login = [("security.protocol", "sasl_plaintext"), ("sasl.username", "a"), ("sasl.password", "b")];
        let scram = [&login[..], &[("sasl.mechanism", "SCRAM-SHA-512")]].concat();
        assert!(text(&scram).contains("feature `ssl`"));
    }
}
