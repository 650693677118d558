//! Which certificates make a peer, and the TLS settings shared by every connection between nodes.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identity::CertificateInfo;

/// The cryptography of every connection: ring, always named explicitly.
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Checks that `leaf` is signed by the authority and valid at `now`.
pub(crate) fn verify_chain(
    leaf: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned())?;
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, &[], now, algorithms().all)
}

/// Checks that `leaf` makes its holder a peer: signed by the authority, valid, and a node's.
pub(crate) fn verify_peer(
    leaf: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<CertificateInfo, Error> {
    verify_chain(leaf, authority, now)?;
    let info = CertificateInfo::parse(leaf)
        .map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
    if !info.is_node() {
        let reason = rustls::CertificateError::ApplicationVerificationFailure;
        return Err(Error::InvalidCertificate(reason));
    }
    Ok(info)
}

/// How the certificate of the other side is judged.
pub(crate) trait JudgeCertificate: Send + Sync + 'static {
    /// Accepts the other side's certificate or says why not.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error>;
}

/// Peers of one cluster.
pub(crate) struct ClusterPeers(pub(crate) CertificateDer<'static>);

impl JudgeCertificate for ClusterPeers {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        verify_peer(leaf, &self.0, now).map(drop)
    }
}

/// Judges servers and clients alike by their certificate alone: the name dialled means nothing.
pub(crate) struct Verifier<J> {
    judge: Arc<J>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<J> Verifier<J> {
    pub(crate) fn new(judge: Arc<J>) -> Arc<Self> {
        Arc::new(Self { judge, algorithms: algorithms() })
    }
}

impl<J> fmt::Debug for Verifier<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// How both sides of a handshake check that the other holds its certificate's key: rustls has the
/// same methods in a trait for servers and in one for clients.
macro_rules! judge_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl<J: JudgeCertificate> ServerCertVerifier for Verifier<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    judge_signatures!();
}

impl<J: JudgeCertificate> ClientCertVerifier for Verifier<J> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// A joiner has no certificate; what it may do then is decided by the ALPN name it chose.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge.judge(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    judge_signatures!();
}
