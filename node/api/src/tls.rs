//! TLS: the node's certificate towards clients, the cluster CA for theirs.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier},
};
use rustls_pki_types::CertificateDer;

/// Where the server's certificate comes from and whose client certificates it takes.
#[derive(Clone)]
pub struct TlsConfig {
    /// Gives the current certificate, so that a renewed one is used without a restart.
    pub resolver: Arc<dyn ResolvesServerCert>,
    /// The certificate of the cluster CA.
    pub client_ca_der: CertificateDer<'static>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA certificate or the protocol versions are unusable.
    #[error("the TLS configuration is unusable")]
    Rustls(#[from] rustls::Error),
    /// Client certificates cannot be verified with the CA certificate.
    #[error("the cluster CA cannot verify client certificates")]
    Verifier(#[from] VerifierBuilderError),
}

impl TlsConfig {
    /// The rustls configuration: HTTP/2 and HTTP/1.1, client certificates verified where offered.
    pub(crate) fn into_server_config(self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.client_ca_der)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .allow_unauthenticated()
                .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
