//! TLS by rustls: certificate and key from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::error::Error;

/// Whether clients must show a certificate (`ssl.client.auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; whoever has none is anonymous.
    Requested,
    /// Whoever has none is refused.
    Required,
}

/// How listeners that use TLS identify themselves, and whom they believe.
///
/// All files are PEM. Clients are known by their certificate's subject, for example `User:CN=app,O=example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate, followed by those that lead to the authority.
    pub certificate_file: PathBuf,
    /// The certificate's private key, without a password; the same file as the certificate if that holds both.
    pub key_file: PathBuf,
    /// The authorities whose client certificates are believed.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
}

/// Reads the files and makes what turns connections into TLS sessions. Blocks on the disk.
///
/// # Errors
/// [`Error::Tls`] if a file cannot be read or holds something else.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, Error> {
    let certificates = certificates(&config.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|fault| {
        tls_error(&config.key_file, format!("{fault}; it must hold a private key in PEM without a password"))
    })?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|fault| tls_error(&config.certificate_file, fault.to_string()))?;
    let builder = match config.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        wanted => {
            let Some(file) = &config.client_ca_file else {
                let reason = "ssl.client.auth needs ssl.truststore.location, the authorities to believe";
                return Err(Error::Config(reason.to_owned()));
            };
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(file)? {
                roots.add(certificate).map_err(|fault| tls_error(file, fault.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match wanted {
                ClientAuth::Requested => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(
                verifier.build().map_err(|fault| tls_error(file, fault.to_string()))?,
            )
        }
    };
    let server = builder
        .with_single_cert(certificates, key)
        .map_err(|fault| tls_error(&config.certificate_file, fault.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|fault| tls_error(file, fault.to_string()))?;
    if certificates.is_empty() {
        return Err(tls_error(file, "it holds no certificate".to_owned()));
    }
    Ok(certificates)
}

fn tls_error(file: &Path, reason: String) -> Error {
    Error::Tls { path: file.to_owned(), reason }
}
