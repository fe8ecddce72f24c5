//! `listeners` and what belongs to it, in Kafka's text form.

use std::collections::BTreeMap;

use crate::listener::{Listener, SecurityProtocol};

/// The texts of the four properties that describe listeners.
#[derive(Debug, Default)]
pub(super) struct ListenerTexts {
    /// `listeners`: `NAME://HOST:PORT`, separated by commas; an address alone is a `PLAINTEXT` listener.
    pub(super) listeners: Option<String>,
    /// `advertised.listeners`, in the same form.
    pub(super) advertised: String,
    /// `listener.security.protocol.map`: `NAME:PROTOCOL`, separated by commas.
    pub(super) protocols: String,
    /// `controller.listener.names`: listeners for controllers, which this server does not have.
    pub(super) controllers: String,
}

impl ListenerTexts {
    /// The listeners; none if nothing was said.
    ///
    /// # Errors
    /// A sentence that names the property and what is wrong with it.
    pub(super) fn parse(&self) -> Result<Vec<Listener>, String> {
        let Some(listeners) = &self.listeners else { return Ok(Vec::new()) };
        let protocols = protocols(&self.protocols)?;
        let controllers: Vec<&str> = items(&self.controllers).collect();
        let mut found = Vec::new();
        for item in items(listeners) {
            let (name, host, port) = place(item).ok_or_else(|| malformed("listeners", item))?;
            if controllers.contains(&name) {
                continue;
            }
            let protocol = protocols.get(name).copied().or_else(|| SecurityProtocol::from_name(name));
            let protocol = protocol.ok_or_else(|| {
                format!("listener {name} needs a protocol: add {name}:SASL_SSL (or another) to listener.security.protocol.map")
            })?;
            found.push(Listener::new(protocol, host, port).named(name));
        }
        for item in items(&self.advertised) {
            let (name, host, port) = place(item).ok_or_else(|| malformed("advertised.listeners", item))?;
            if host.is_empty() || host == "0.0.0.0" || host == "::" {
                return Err(format!(
                    "advertised.listeners has {item}, but clients cannot connect to that address"
                ));
            }
            match found.iter_mut().find(|listener| listener.name == name) {
                Some(listener) => listener.advertised = Some((host.to_owned(), port)),
                None if controllers.contains(&name) => {}
                None => return Err(format!("advertised.listeners has {name}, which is not in listeners")),
            }
        }
        if found.is_empty() { Err("listeners is empty".to_owned()) } else { Ok(found) }
    }
}

fn protocols(text: &str) -> Result<BTreeMap<&str, SecurityProtocol>, String> {
    let pair = |item| {
        let (name, protocol) = str::split_once(item, ':').ok_or_else(|| {
            format!("listener.security.protocol.map has {item:?}, which is not like NAME:PROTOCOL")
        })?;
        let known = SecurityProtocol::from_name(protocol).ok_or_else(|| {
            let names = SecurityProtocol::ALL.map(SecurityProtocol::name).join(", ");
            format!("listener.security.protocol.map has the protocol {protocol:?}, which is none of {names}")
        })?;
        Ok((name, known))
    };
    items(text).map(pair).collect()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Name, host and port of `NAME://HOST:PORT` or `HOST:PORT`.
fn place(item: &str) -> Option<(&str, &str, u16)> {
    let (name, address) = item.split_once("://").unwrap_or((SecurityProtocol::Plaintext.name(), item));
    let (host, port) = address.rsplit_once(':')?;
    // Rather than a host of that name, `://` has been forgotten.
    if SecurityProtocol::from_name(host).is_some() {
        return None;
    }
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => host,
    };
    Some((name, host, port.parse().ok()?))
}

fn malformed(property: &str, item: &str) -> String {
    format!("{property} has {item:?}, which is not like NAME://HOST:PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_forms_are_understood() {
        let texts = ListenerTexts {
            listeners: Some(
                "PLAINTEXT://localhost:9092, CLIENTS://:9093,CONTROLLER://:9094,SSL://[::1]:0".to_owned(),
            ),
            advertised: "CLIENTS://logs.example.org:19093,CONTROLLER://localhost:9094".to_owned(),
            protocols: "CLIENTS:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
            controllers: "CONTROLLER".to_owned(),
        };
        let expected = [
            Listener::new(SecurityProtocol::Plaintext, "localhost", 9092),
            Listener::new(SecurityProtocol::SaslSsl, "", 9093)
                .named("CLIENTS")
                .advertised("logs.example.org", 19093),
            Listener::new(SecurityProtocol::Ssl, "::1", 0),
        ];
        assert_eq!(texts.parse().unwrap(), expected);
        assert_eq!(expected[2].to_string(), "SSL://[::1]:0");
        let plain = ListenerTexts { listeners: Some("127.0.0.1:0".to_owned()), ..ListenerTexts::default() };
        assert_eq!(plain.parse().unwrap()[0].to_string(), "PLAINTEXT://127.0.0.1:0");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |listeners: &str, advertised: &str| {
            let (listeners, advertised) = (Some(listeners.to_owned()), advertised.to_owned());
            ListenerTexts { listeners, advertised, ..ListenerTexts::default() }.parse().unwrap_err()
        };
        assert!(refused("CLIENTS://:1", "").contains("listener.security.protocol.map"));
        assert!(refused("SSL:9093", "").contains("NAME://HOST:PORT"));
        assert!(refused("PLAINTEXT://localhost", "").contains("NAME://HOST:PORT"));
        assert!(refused("", "").contains("empty"));
        assert!(refused("SSL://:1", "SASL_SSL://x:1").contains("not in listeners"));
        assert!(refused("SSL://:1", "SSL://0.0.0.0:1").contains("cannot connect"));
    }
}
