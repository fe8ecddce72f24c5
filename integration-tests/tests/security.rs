//! An application by TLS with a login, as a whole: group, topics, records in and out. Takes the feature `ssl`.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use integration_tests::{Topics, count_of, word_count};
use log_server::{ClientAuth, Listener, LogServer, LogServerConfig, SecurityProtocol, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use streams_dsl::{KafkaStreams, StreamsConfig, StreamsState};

const LIMIT: Duration = Duration::from_secs(30);

/// A broker with a plain listener for the scenario and one by TLS and SASL for the application.
struct Secured {
    plain: String,
    secured: String,
    ca: String,
    user: &'static str,
    password: &'static str,
    // Keeps the server alive.
    _server: Option<LogServer>,
}

/// The log server; or the broker of `KAFKA_BOOTSTRAP` and `SASL_BOOTSTRAP`, whose authority is in `CA_FILE` and which knows alice.
async fn secured(directory: &Path) -> Secured {
    let named = |name: &str| std::env::var(name).ok();
    if let (Some(plain), Some(secured), Some(ca)) =
        (named("KAFKA_BOOTSTRAP"), named("SASL_BOOTSTRAP"), named("CA_FILE"))
    {
        return Secured { plain, secured, ca, user: "alice", password: "alice-secret", _server: None };
    }
    let server = start(directory).await;
    Secured {
        plain: server.address_of("PLAINTEXT").unwrap().to_string(),
        secured: format!("localhost:{}", server.address_of("SASL_SSL").unwrap().port()),
        ca: directory.join("ca.pem").display().to_string(),
        user: "ada",
        password: "lovelace",
        _server: Some(server),
    }
}

/// A log server whose authority is in the directory's `ca.pem`.
async fn start(directory: &Path) -> LogServer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut certificate =
        CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    // OpenSSL takes a certificate whose subject is its issuer's for one that has signed itself.
    certificate.distinguished_name = DistinguishedName::new();
    certificate.distinguished_name.push(DnType::CommonName, "server");
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let file = directory.join("server.pem");
    std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();
    let tls = TlsConfig {
        certificate_file: file.clone(),
        key_file: file,
        client_ca_file: None,
        client_auth: ClientAuth::None,
    };
    let config = LogServerConfig::temporary()
        .unwrap()
        .auto_create_topics(false)
        .group_initial_rebalance_delay(Duration::ZERO)
        .listener(Listener::new(SecurityProtocol::Plaintext, "127.0.0.1", 0))
        .listener(Listener::new(SecurityProtocol::SaslSsl, "localhost", 0))
        .user("ada", "lovelace")
        .tls(tls);
    LogServer::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_works_by_tls_with_each_mechanism_and_refuses_whom_it_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let Secured { plain, secured, ca, user, password, .. } = &secured(directory.path()).await;
    for (mechanism, guarantee) in
        [("SCRAM-SHA-512", "exactly_once_v2"), ("SCRAM-SHA-256", "at_least_once"), ("PLAIN", "at_least_once")]
    {
        let topics = Topics::new(plain, &format!("security-{}", mechanism.to_lowercase()));
        topics.create("lines", 2).await;
        topics.create("counts", 1).await;
        let state = tempfile::tempdir().unwrap();
        let config = |password: &str, ca: &str| {
            StreamsConfig::new(topics.name("app"), secured)
                .state_dir(state.path())
                .commit_interval(Duration::from_millis(200))
                .startup_timeout(Duration::from_secs(5))
                .with("processing.guarantee", guarantee)
                .and_then(|config| config.with("security.protocol", "SASL_SSL"))
                .and_then(|config| config.with("sasl.mechanism", mechanism))
                .and_then(|config| config.with("sasl.username", user))
                .and_then(|config| config.with("sasl.password", password))
                .and_then(|config| config.with("ssl.ca.location", ca))
                .unwrap()
        };
        let topology = || word_count(&topics.name("lines"), &topics.name("counts"));
        let streams = KafkaStreams::new(topology(), config(password, ca)).unwrap().start().await.unwrap();
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await);
        topics.send("lines", (0..50).map(|number| format!("w{}", number % 5))).await;
        topics.read_until("counts", |counts| count_of(counts, "w3") == 10).await;
        streams.shutdown().await.unwrap();

        let refused = KafkaStreams::new(topology(), config("babbage", ca)).unwrap().start().await;
        let refused = refused.unwrap_err().to_string();
        assert!(!refused.contains("babbage"), "{refused}");
        let absent = KafkaStreams::new(topology(), config(password, "/absent.pem")).unwrap().start().await;
        let absent = absent.unwrap_err().to_string();
        assert!(absent.contains("ssl.ca.location") && absent.contains("/absent.pem"), "{absent}");
    }
}
