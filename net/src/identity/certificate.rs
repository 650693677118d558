//! What a certificate says about its holder.

use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{prelude::FromDer, time::ASN1Time};

use super::{NODE_NAME_PREFIX, NODES_ORGANIZATION, key::id_of_public_key};
use crate::NodeId;

/// Why bytes are not a usable certificate.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CertificateError {
    /// Text that holds no certificate.
    #[error("no PEM certificate found")]
    Pem,
    /// Bytes that are no X.509 certificate.
    #[error("not an X.509 certificate")]
    Malformed,
}

/// The parts of a certificate that decide who its holder is. Reading them proves nothing: the
/// chain to the cluster's authority is checked elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// CN of the subject: `system:node:NAME` or a user's name.
    pub common_name: String,
    /// Every O of the subject: a user's groups.
    pub organizations: Vec<String>,
    /// The id that follows from the public key, whoever holds it.
    pub id: NodeId,
    /// Not valid before.
    pub not_before: SystemTime,
    /// Not valid after.
    pub not_after: SystemTime,
}

impl CertificateInfo {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`] for anything else.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der)
            .map_err(|_| CertificateError::Malformed)?;
        let subject = certificate.subject();
        let common_name = subject
            .iter_common_name()
            .find_map(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let organizations = subject
            .iter_organization()
            .filter_map(|name| name.as_str().ok().map(str::to_owned))
            .collect();
        Ok(Self {
            common_name,
            organizations,
            id: id_of_public_key(certificate.public_key().raw),
            not_before: system_time(certificate.validity().not_before),
            not_after: system_time(certificate.validity().not_after),
        })
    }

    /// Whether the holder is a node.
    pub fn is_node(&self) -> bool {
        self.organizations.iter().any(|organization| organization == NODES_ORGANIZATION)
    }

    /// The node's name, if the holder is a node.
    pub fn node_name(&self) -> Option<&str> {
        self.common_name.strip_prefix(NODE_NAME_PREFIX).filter(|_| self.is_node())
    }
}

fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The first certificate in a PEM text.
pub(crate) fn der_of_pem(pem: &str) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateError::Pem)
}

/// SHA-256 of a certificate in DER.
pub(crate) fn fingerprint(der: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    fingerprint
}
