//! A throw-away certificate authority.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::TlsConfig;

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: rcgen::Certificate,
    pub(super) key: KeyPair,
}

impl Pair {
    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

fn server(pair: Pair) -> Arc<ServerConfig> {
    let chain = vec![pair.certificate.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, pair.key_der())
        .unwrap();
    Arc::new(config)
}

/// The authority of a cluster.
pub(super) struct Authority {
    pub(super) certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "test cluster");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, groups: &[&str], usage: ExtendedKeyUsagePurpose) -> Pair {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        for group in groups {
            subject.push(DnType::OrganizationName, *group);
        }
        params.distinguished_name = subject;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate, key }
    }

    /// TLS of a server with these names.
    pub(super) fn serves(&self, names: &[&str]) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server(Pair { certificate, key })
    }

    /// TLS of a server whose certificate, which is here as PEM, nobody but itself has signed, and
    /// which says that it is an authority.
    pub(super) fn serves_itself(names: &[&str]) -> (String, Arc<ServerConfig>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), server(Pair { certificate, key }))
    }

    pub(super) fn issue_user(&self, name: &str, groups: &[&str]) -> Pair {
        self.issue(name, groups, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(super) fn server_config(&self) -> TlsConfig {
        let pair = self.issue("server", &[], ExtendedKeyUsagePurpose::ServerAuth);
        let chain = vec![pair.certificate.der().clone()];
        let certified = CertifiedKey::from_der(chain, pair.key_der(), &default_provider()).unwrap();
        TlsConfig {
            resolver: Arc::new(SingleCertAndKey::from(certified)),
            client_ca_der: self.certificate.der().clone(),
        }
    }

    /// A client that trusts this authority and shows `pair`, if any.
    pub(super) fn client_config(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain: Vec<CertificateDer<'static>> = vec![pair.certificate.der().clone()];
                builder.with_client_auth_cert(chain, pair.key_der()).unwrap()
            }
        };
        Arc::new(config)
    }
}
