//! The configuration as properties: Kafka's names, and a few of our own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::listener_list::ListenerTexts;
use super::property_table::{IGNORED, IGNORED_PREFIXES, PROPERTIES, TOPIC_DEFAULTS};
use super::{FsyncPolicy, LogServerConfig, jaas};
use crate::error::Error;
use crate::security::{ClientAuth, SaslMechanism, TlsConfig};

/// How alike two names must be for one to be suggested for the other, between 0 and 1.
const LIKENESS: f64 = 0.82;

/// A property that the server understands.
#[derive(Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it does, with its default.
    pub doc: &'static str,
    pub(super) set: fn(&mut Draft, &str) -> Result<(), String>,
}

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: LogServerConfig,
    pub(super) listeners: ListenerTexts,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) client_auth: ClientAuth,
    pub(super) syncs_at_interval: bool,
    pub(super) fsync_interval: Duration,
}

/// How often records are synced, if they are at an interval and it is not said.
const FSYNC_INTERVAL: Duration = Duration::from_secs(1);

impl LogServerConfig {
    /// A configuration from properties, as they stand in a file. The directory of the logs, `log.dirs`, must be among
    /// them. Of a name that comes twice the last value holds.
    ///
    /// ```
    /// use log_server::LogServerConfig;
    ///
    /// let config = LogServerConfig::from_properties([("log.dirs", "/var/lib/log"), ("num.partitions", "4")])?;
    /// let refused = LogServerConfig::from_properties([("log.dirs", "/var/lib/log"), ("num.partition", "4")]);
    /// assert!(refused.unwrap_err().to_string().contains("did you mean num.partitions?"));
    /// # let _ = config;
    /// # Ok::<(), log_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] that names every property that is unknown or has a wrong value.
    pub fn from_properties<N: Into<String>, V: Into<String>>(
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, Error> {
        let properties: std::collections::BTreeMap<String, String> =
            properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut faults = Vec::new();
        let data_dir = properties.get("log.dirs").or(properties.get("log.dir")).cloned();
        if data_dir.is_none() {
            faults.push("log.dirs (--data-dir) is missing: it says where the logs are kept".to_owned());
        }
        let mut draft = Draft {
            // The default of Kafka; a program that embeds the server gets a free port.
            config: LogServerConfig::new(data_dir.unwrap_or_default()).listen(([127, 0, 0, 1], 9092).into()),
            listeners: ListenerTexts::default(),
            certificate: None,
            key: None,
            client_ca: None,
            client_auth: ClientAuth::None,
            syncs_at_interval: false,
            fsync_interval: FSYNC_INTERVAL,
        };
        // In the order of the table, in which what is more exact comes later: hours before milliseconds.
        for property in PROPERTIES {
            if let Some(value) = properties.get(property.name)
                && let Err(fault) = (property.set)(&mut draft, value.trim())
            {
                faults.push(format!("{} = {value}: {fault}", property.name));
            }
        }
        for (name, value) in &properties {
            match other_property(&mut draft, name, value.trim()) {
                Ok(()) => {}
                Err(fault) => faults.push(fault),
            }
        }
        let config = draft.finish(&mut faults);
        if faults.is_empty() { Ok(config) } else { Err(Error::Config(faults.join("; "))) }
    }

    /// All properties that [`LogServerConfig::from_properties`] understands, beside topic defaults, `users.NAME` and those
    /// of Kafka that have no meaning for one node.
    pub fn properties() -> &'static [Property] {
        PROPERTIES
    }
}

/// A property that is not in the table of those that the server understands.
fn other_property(draft: &mut Draft, name: &str, value: &str) -> Result<(), String> {
    if PROPERTIES.iter().any(|property| property.name == name) {
        return Ok(());
    }
    if let Some((_, topic_name)) = TOPIC_DEFAULTS.iter().find(|(known, _)| *known == name) {
        draft.topic_default(topic_name, value);
        return Ok(());
    }
    if let Some(user) = name.strip_prefix("users.") {
        draft.config.security.users.insert(user.to_owned(), value.to_owned());
        return Ok(());
    }
    if name == "sasl.jaas.config"
        || (name.starts_with("listener.name.") && name.ends_with(".sasl.jaas.config"))
    {
        let users = jaas::users(value).map_err(|fault| format!("{name}: {fault}"))?;
        draft.config.security.users.extend(users);
        return Ok(());
    }
    if IGNORED.contains(&name) || IGNORED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        draft.config.ignored_properties.push(name.to_owned());
        return Ok(());
    }
    Err(match suggestion(name) {
        Some(known) => format!("unknown property {name}: did you mean {known}?"),
        None => format!("unknown property {name}; `log-server properties` lists those that there are"),
    })
}

/// The known name that is most like `name`.
fn suggestion(name: &str) -> Option<&'static str> {
    let known = PROPERTIES.iter().map(|property| property.name);
    let known = known.chain(TOPIC_DEFAULTS.iter().map(|(known, _)| *known)).chain(IGNORED.iter().copied());
    let rated = known.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let (likeness, best) = rated.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (likeness >= LIKENESS || strsim::jaro_winkler(name, best) >= 0.95).then_some(best)
}

impl Draft {
    pub(super) fn topic_default(&mut self, name: &str, value: &str) {
        self.config.topic_defaults.retain(|(known, _)| known != name);
        self.config.topic_defaults.push((name.to_owned(), value.to_owned()));
    }

    fn finish(mut self, faults: &mut Vec<String>) -> LogServerConfig {
        match self.listeners.parse() {
            Ok(listeners) => self.config.listeners = listeners,
            Err(fault) => faults.push(fault),
        }
        if self.syncs_at_interval {
            self.config.fsync = FsyncPolicy::Interval(self.fsync_interval);
        }
        match (self.certificate, self.key) {
            (Some(certificate_file), key) => {
                let key_file = key.unwrap_or_else(|| certificate_file.clone());
                self.config.security.tls = Some(TlsConfig {
                    certificate_file,
                    key_file,
                    client_ca_file: self.client_ca,
                    client_auth: self.client_auth,
                });
            }
            (None, Some(_)) => faults.push("ssl.key.location needs ssl.certificate.location".to_owned()),
            (None, None) => {}
        }
        self.config
    }
}

/// Reads a number or flag.
pub(super) fn parse<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a value of its kind"))
}

/// Reads a number of which -1 or less means no limit.
pub(super) fn parse_limit(text: &str) -> Result<usize, String> {
    parse::<i64>(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// Reads milliseconds.
pub(super) fn parse_millis(text: &str) -> Result<Duration, String> {
    parse(text).map(Duration::from_millis)
}

/// Reads the names of mechanisms.
pub(super) fn parse_mechanisms(text: &str) -> Result<Vec<SaslMechanism>, String> {
    let mechanism = |name: &str| {
        SaslMechanism::from_name(name).ok_or_else(|| {
            let names = SaslMechanism::ALL.map(SaslMechanism::name).join(", ");
            format!("{name} is none of the mechanisms {names}")
        })
    };
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(mechanism).collect()
}
