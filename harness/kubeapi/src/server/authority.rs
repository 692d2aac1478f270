//! The certificate authority of a run: made anew, known to nobody else, and gone with the process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::sync::Arc;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// By which names clients reach a server on their own node.
const NAMES: [&str; 6] =
    ["127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// A certificate authority, and the certificate that its servers show.
pub struct Authority {
    certificate: String,
    acceptor: TlsAcceptor,
}

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A certificate cannot be made.
    #[error("cannot make a certificate for the Kubernetes API")]
    Certificate(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("cannot use the certificate of the Kubernetes API")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

impl Authority {
    /// Makes one, and a certificate for 127.0.0.1, ::1, localhost, kubernetes, kubernetes.default and
    /// kubernetes.default.svc.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn new() -> Result<Authority, AuthorityError> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "netproof");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = authority.self_signed(&authority_key)?.pem();
        let authority = Issuer::new(authority, authority_key);

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(NAMES.map(str::to_owned))?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let chain = vec![server.signed_by(&key, &authority)?.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = config.with_single_cert(chain, key)?;
        // One connection for each watch: agents that would rather have HTTP/2 are told so.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Authority { certificate, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The authority's certificate: what clients trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}
