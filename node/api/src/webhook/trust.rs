//! Whom a host believes to be a webhook: whoever the `caBundle` vouches for and, where there is none,
//! whoever the authorities do that the host's operating system trusts.
//!
//! A bundle may also hold the very certificate that the webhook shows, as one that is signed by
//! itself, whatever it says about being an authority.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use skein_objects::certificates;
use x509_parser::{parse_x509_certificate, time::ASN1Time};

/// TLS towards a webhook with this `caBundle`.
///
/// # Errors
/// Says what is wrong with the bundle, or that there is none and the host trusts nobody.
pub(super) async fn client_config(ca_bundle: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let given = if ca_bundle.is_empty() { Vec::new() } else { certificates(ca_bundle)? };
    let roots = if given.is_empty() { trusted_by_host().await? } else { given.clone() };
    let provider = Arc::new(ring::default_provider());
    let mut store = RootCertStore::empty();
    let (usable, _) = store.add_parsable_certificates(roots);
    if usable == 0 {
        return Err("none of the certificates can be read".to_owned());
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
    let chains = builder.build().map_err(|error| error.to_string())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { given, chains }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The authorities of the operating system, read anew each time: they change without a restart.
async fn trusted_by_host() -> Result<Vec<CertificateDer<'static>>, String> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let loaded = loaded.map_err(|error| error.to_string())?;
    match loaded.errors.first() {
        Some(error) if loaded.certs.is_empty() => Err(error.to_string()),
        None if loaded.certs.is_empty() => {
            Err("there is no caBundle, and this host trusts no authorities".to_owned())
        }
        _ => Ok(loaded.certs),
    }
}

#[derive(Debug)]
struct Verifier {
    /// The certificates of the bundle.
    given: Vec<CertificateDer<'static>>,
    /// What checks all that is not in the bundle itself.
    chains: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.given.contains(end_entity) {
            let chains = &self.chains;
            return chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        check_time(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) =
        parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| CertificateError::BadEncoding)?;
    match parsed.validity() {
        validity if now < validity.not_before => Err(CertificateError::NotValidYet.into()),
        validity if now > validity.not_after => Err(CertificateError::Expired.into()),
        _ => Ok(()),
    }
}
