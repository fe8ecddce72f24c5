//! An application by TLS with a login, as a whole: group, topics, records in and out. Takes the feature `ssl`.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use integration_tests::{Topics, count_of, word_count};
use log_server::{ClientAuth, Listener, LogServer, LogServerConfig, SecurityProtocol, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use streams_dsl::{KafkaStreams, StreamsConfig, StreamsState};

const LIMIT: Duration = Duration::from_secs(30);

/// A server with a plain listener for the scenario and one by TLS and SASL for the application, whose authority is in the
/// directory's `ca.pem`.
async fn start(directory: &std::path::Path) -> LogServer {
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
    let server = start(directory.path()).await;
    let port = server.address_of("SASL_SSL").unwrap().port();
    let plain = server.address_of("PLAINTEXT").unwrap().to_string();
    let ca = directory.path().join("ca.pem").display().to_string();
    for (mechanism, guarantee) in
        [("SCRAM-SHA-512", "exactly_once_v2"), ("SCRAM-SHA-256", "at_least_once"), ("PLAIN", "at_least_once")]
    {
        let topics = Topics::new(&plain, &format!("security-{}", mechanism.to_lowercase()));
        topics.create("lines", 2).await;
        topics.create("counts", 1).await;
        let state = tempfile::tempdir().unwrap();
        let config = |password: &str, ca: &str| {
            StreamsConfig::new(topics.name("app"), format!("localhost:{port}"))
                .state_dir(state.path())
                .commit_interval(Duration::from_millis(200))
                .startup_timeout(Duration::from_secs(5))
                .with("processing.guarantee", guarantee)
                .and_then(|config| config.with("security.protocol", "SASL_SSL"))
                .and_then(|config| config.with("sasl.mechanism", mechanism))
                .and_then(|config| config.with("sasl.username", "ada"))
                .and_then(|config| config.with("sasl.password", password))
                .and_then(|config| config.with("ssl.ca.location", ca))
                .unwrap()
        };
        let topology = || word_count(&topics.name("lines"), &topics.name("counts"));
        let streams = KafkaStreams::new(topology(), config("lovelace", &ca)).unwrap().start().await.unwrap();
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await);
        topics.send("lines", (0..50).map(|number| format!("w{}", number % 5))).await;
        topics.read_until("counts", |counts| count_of(counts, "w3") == 10).await;
        streams.shutdown().await.unwrap();

        let refused = KafkaStreams::new(topology(), config("babbage", &ca)).unwrap().start().await;
        let refused = refused.unwrap_err().to_string();
        assert!(!refused.contains("babbage"), "{refused}");
        let absent = KafkaStreams::new(topology(), config("lovelace", "/absent.pem")).unwrap().start().await;
        let absent = absent.unwrap_err().to_string();
        assert!(absent.contains("ssl.ca.location") && absent.contains("/absent.pem"), "{absent}");
    }
}
