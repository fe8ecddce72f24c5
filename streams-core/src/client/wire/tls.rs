//! TLS by rustls.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::security::{Pem, TlsSettings};
use super::transport::{ByteStream, Transport};
use crate::config::ConfigError;

/// TLS sessions over TCP.
pub(super) struct TlsTransport(TlsConnector);

impl TlsTransport {
    /// Reads the certificates. Blocks on the disk.
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, ConfigError> {
        let provider = Arc::new(default_provider());
        let refused = |fault: &dyn std::fmt::Display| unusable("security.protocol", "ssl", fault);
        let roots = roots(settings.authorities.as_ref())?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|fault| refused(&fault))?;
        let builder = if settings.verify && settings.verify_host {
            builder.with_root_certificates(roots)
        } else {
            let known = match settings.verify {
                true => Some(
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                        .build()
                        .map_err(|fault| unusable("ssl.ca.location", "", &fault))?,
                ),
                false => None,
            };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Lenient { known, provider }))
        };
        let config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, "ssl.certificate.location")?;
                let key = match key {
                    Pem::File(path) => PrivateKeyDer::from_pem_file(path),
                    Pem::Text(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()),
                };
                let key = key.map_err(|fault| unusable("ssl.key.location", "", &fault))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|fault| unusable("ssl.certificate.location", "", &fault))?
            }
        };
        Ok(TlsTransport(TlsConnector::from(Arc::new(config))))
    }
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport")
    }
}

#[async_trait]
impl Transport for TlsTransport {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn ByteStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(self.0.connect(name, stream).await?))
    }
}

fn roots(authorities: Option<&Pem>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            for certificate in certificates(pem, "ssl.ca.location")? {
                roots.add(certificate).map_err(|fault| unusable("ssl.ca.location", &name(pem), &fault))?;
            }
        }
        None => {
            let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                let remedy =
                    "the system has no list of certificate authorities: give the file of the brokers' own";
                return Err(ConfigError::Missing { key: "ssl.ca.location", remedy });
            }
        }
    }
    Ok(roots)
}

fn certificates(pem: &Pem, key: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = match pem {
        Pem::File(path) => {
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>)
        }
        Pem::Text(text) => CertificateDer::pem_slice_iter(text.as_bytes()).collect(),
    };
    let found = read.map_err(|fault| unusable(key, &name(pem), &fault))?;
    if found.is_empty() {
        return Err(unusable(key, &name(pem), &"there is no certificate in it"));
    }
    Ok(found)
}

fn name(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.clone(),
        Pem::Text(_) => "(text)".to_owned(),
    }
}

fn unusable(key: &str, value: &str, fault: &dyn std::fmt::Display) -> ConfigError {
    let expected = format!("a PEM file: {fault}");
    ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned(), expected }
}

/// Believes certificates of the known authorities whatever host they are for; without authorities, any at all.
#[derive(Debug)]
struct Lenient {
    known: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(known) = &self.known else { return Ok(ServerCertVerified::assertion()) };
        match known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
