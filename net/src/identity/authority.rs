//! The cluster's certificate authority.
//!
//! Made by the first node and kept in the replicated store, so that every voter can issue. It signs
//! two kinds of leaf: nodes (peers of each other, servers of the API) and users of the API.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;

use super::{
    CertificateError, CertificateInfo, CertificateRequest, NODE_NAME_PREFIX, NODES_ORGANIZATION,
    certificate::{der_of_pem, fingerprint},
    subject,
};
use crate::limits::{CA_LIFETIME, CLOCK_SKEW, MAX_NAME_BYTES};

/// First address of the service range: `kubernetes.default` as pods see it.
const API_SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 1);

/// Names every node answers to as a server of the API.
const API_NAMES: [&str; 4] =
    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A name that cannot be a node's.
    #[error(
        "{0:?} is not a node name: lower-case letters, digits, '-' and '.', at most {MAX_NAME_BYTES}"
    )]
    NodeName(String),
    /// A user's certificate that would make its holder a node, or names nobody.
    #[error("user {user:?} in groups {groups:?} cannot have a certificate: {reason}")]
    User {
        /// The user's name.
        user: String,
        /// The groups asked for.
        groups: Vec<String>,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// An alternative name that is no DNS name.
    #[error("{0:?} is not a DNS name")]
    DnsName(String),
    /// The authority's own certificate does not parse or is not an authority's.
    #[error("the authority's certificate is damaged")]
    Authority(#[from] CertificateError),
    /// The authority's key does not belong to its certificate.
    #[error("the authority's key does not belong to its certificate")]
    KeyMismatch,
    /// The library refused.
    #[error("the certificate cannot be signed")]
    Sign(#[from] rcgen::Error),
}

/// What a node's certificate says beside its key.
#[derive(Clone, Debug, Default)]
pub struct NodeSubject {
    /// The node's name.
    pub name: String,
    /// Addresses under which clients reach its API.
    pub addresses: Vec<IpAddr>,
    /// DNS names under which clients reach its API.
    pub dns_names: Vec<String>,
}

/// A user's certificate and the key made for it.
#[derive(Clone)]
pub struct UserCertificate {
    /// The certificate.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
}

/// The certificate authority of one cluster.
pub struct ClusterCa {
    cert_pem: String,
    cert_der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl ClusterCa {
    /// A new authority, valid for ten years from `now`.
    ///
    /// # Errors
    /// [`IssueError::Sign`] without a source of randomness.
    pub fn generate(cluster_name: &str, now: SystemTime) -> Result<Self, IssueError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = valid(now, CA_LIFETIME);
        params.distinguished_name.push(DnType::CommonName, format!("skein {cluster_name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Self::from_pem(&certificate.pem(), &key.serialize_pem())
    }

    /// The authority as the store keeps it.
    ///
    /// # Errors
    /// Damaged PEM, or a key that is not the certificate's.
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, IssueError> {
        let cert_der = der_of_pem(cert_pem)?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem, &rcgen::PKCS_ECDSA_P256_SHA256)?;
        let key_id =
            super::key::id_of_public_key(&rcgen::PublicKeyData::subject_public_key_info(&key));
        if CertificateInfo::parse(&cert_der)?.id != key_id {
            return Err(IssueError::KeyMismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&cert_der, key)?;
        Ok(Self { cert_pem: cert_pem.to_owned(), cert_der, issuer })
    }

    /// The certificate, which everybody may know.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The certificate in DER.
    pub fn cert_der(&self) -> &CertificateDer<'static> {
        &self.cert_der
    }

    /// The private key, for the store alone.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of the certificate in DER: what join tokens carry.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.cert_der)
    }

    /// Issues a node's certificate, PEM, over the key in `request`.
    ///
    /// # Errors
    /// A name no node may have, or a library failure.
    pub fn issue_node(
        &self,
        request: &CertificateRequest,
        subject: &NodeSubject,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<String, IssueError> {
        check_node_name(&subject.name)?;
        let mut params = valid(now, lifetime);
        let name = format!("{NODE_NAME_PREFIX}{}", subject.name);
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, NODES_ORGANIZATION);
        params.subject_alt_names = alternative_names(subject)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(request.key(), &self.issuer)?.pem())
    }

    /// Issues a certificate for a user of the API, with a key made for it.
    ///
    /// # Errors
    /// An empty name, a name or group that belongs to nodes, or a library failure.
    pub fn issue_user(
        &self,
        user: &str,
        groups: &[String],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<UserCertificate, IssueError> {
        check_user(user, groups)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = valid(now, lifetime);
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let der = subject::replace(certificate.der(), user, groups, self.issuer.key())?;
        Ok(UserCertificate { cert_pem: subject::pem(&der), key_pem: key.serialize_pem() })
    }
}

fn valid(now: SystemTime, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + lifetime).into();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn alternative_names(subject: &NodeSubject) -> Result<Vec<SanType>, IssueError> {
    let dns = |name: &str| {
        let parsed = name.try_into().map_err(|_| IssueError::DnsName(name.to_owned()))?;
        Ok(SanType::DnsName(parsed))
    };
    let names = std::iter::once(subject.name.as_str())
        .chain(API_NAMES)
        .chain(subject.dns_names.iter().map(String::as_str));
    let addresses = [Ipv4Addr::LOCALHOST.into(), API_SERVICE_ADDRESS.into()]
        .into_iter()
        .chain(subject.addresses.iter().copied());
    let mut all = names.map(dns).collect::<Result<Vec<_>, IssueError>>()?;
    for address in addresses.map(SanType::IpAddress) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    Ok(all)
}

/// A node's name is a DNS subdomain (RFC 1123), as Kubernetes wants it.
fn check_node_name(name: &str) -> Result<(), IssueError> {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > MAX_NAME_BYTES || !name.split('.').all(label) {
        return Err(IssueError::NodeName(name.to_owned()));
    }
    Ok(())
}

/// Nobody becomes a node by asking for a user's certificate.
fn check_user(user: &str, groups: &[String]) -> Result<(), IssueError> {
    let reason = if user.is_empty() || groups.iter().any(String::is_empty) {
        "a name is empty"
    } else if user.starts_with(NODE_NAME_PREFIX) || groups.iter().any(|g| g == NODES_ORGANIZATION) {
        "these names belong to nodes"
    } else {
        return Ok(());
    };
    Err(IssueError::User { user: user.to_owned(), groups: groups.to_vec(), reason })
}

#[cfg(test)]
mod tests;
