//! TLS, with and without certificates of clients.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::*;
use crate::security::{ClientAuth, TlsConfig};

/// An authority that the test makes up, with its files in a directory.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, directory }
    }

    /// A file with a certificate of that name, and its key.
    fn issue(&self, name: &str) -> std::path::PathBuf {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.directory.path().join(format!("{name}.pem"));
        std::fs::write(&path, certificate.pem() + &key.serialize_pem()).unwrap();
        path
    }

    fn server(&self, client_auth: ClientAuth) -> TlsConfig {
        let file = self.issue("server");
        let client_ca_file = Some(self.directory.path().join("ca.pem"));
        TlsConfig { certificate_file: file.clone(), key_file: file, client_ca_file, client_auth }
    }

    async fn connect(
        &self,
        address: SocketAddr,
        certificate: Option<&Path>,
    ) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let chain = CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(file).unwrap()).unwrap()
            }
        };
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        Ok(Client::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }
}

/// A topic's name as requests have it.
fn t() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

#[tokio::test]
async fn records_pass_through_tls_after_a_login() {
    let authority = Authority::new();
    let config = config()
        .user("alice", "alice-secret")
        .tls(authority.server(ClientAuth::None))
        .listener(Listener::new(SecurityProtocol::SaslSsl, "localhost", 0));
    let server = LogServer::start(config).await.unwrap();
    let mut client = authority.connect(server.address(), None).await.unwrap();
    assert_eq!(client.log_in("alice", "alice-secret").await.unwrap(), 0);
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(t()));
    let creating =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    assert_eq!(client.call(&creating, 9).await.unwrap().topics[0].error_code, 0);
    // Larger than a TLS record and than what a connection may hold without taking from the shared memory.
    let mut batch = crate::records::BatchBuilder::new(0);
    let value = Bytes::from(vec![7; 500_000]);
    batch.push(&crate::records::NewRecord { value: Some(value), ..Default::default() });
    let records = batch.build().unwrap();
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records.clone()));
    let data =
        produce_request::TopicProduceData::default().with_name(t()).with_partition_data(vec![partition]);
    let produce = ProduceRequest::default().with_acks(-1).with_topic_data(vec![data]);
    let produced = client.call(&produce, 9).await.unwrap();
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_topic(t()).with_partitions(vec![partition]);
    let fetch = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    let fetched = client.call(&fetch, 11).await.unwrap();
    let bytes = fetched.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(bytes.len(), records.len());
    // A client that does not speak TLS is turned away.
    let mut plain = connect(server.address()).await;
    assert!(plain.call(&metadata(), 9).await.is_err());
    drop((client, plain));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn clients_are_known_by_their_certificates() {
    let authority = Authority::new();
    let config = config()
        .authorizer(true)
        .super_user("User:CN=admin")
        .tls(authority.server(ClientAuth::Required))
        .listener(Listener::new(SecurityProtocol::Ssl, "localhost", 0));
    let server = LogServer::start(config).await.unwrap();
    let users = DescribeUserScramCredentialsRequest::default();
    for (name, code) in [("admin", 0), ("app", 31)] {
        let file = authority.issue(name);
        let mut client = authority.connect(server.address(), Some(&file)).await.unwrap();
        assert_eq!(client.call(&users, 0).await.unwrap().error_code, code, "{name}");
    }
    let stranger = Authority::new();
    let foreign = stranger.issue("admin");
    for certificate in [None, Some(foreign.as_path())] {
        // In TLS 1.3 the client learns only with the first answer that it was turned away.
        let refused = match authority.connect(server.address(), certificate).await {
            Ok(mut client) => client.call(&users, 0).await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "{certificate:?}");
    }
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let mut tls = authority.server(ClientAuth::None);
    tls.key_file = authority.directory.path().join("ca.pem");
    let config = config().listener(Listener::new(SecurityProtocol::Ssl, "localhost", 0));
    let refused = LogServer::start(config.clone().tls(tls.clone())).await.unwrap_err().to_string();
    assert!(refused.contains("ca.pem") && refused.contains("private key"), "{refused}");
    tls.certificate_file = "/no/such/file".into();
    let refused = LogServer::start(config.tls(tls)).await.unwrap_err().to_string();
    assert!(refused.contains("/no/such/file"), "{refused}");
}
