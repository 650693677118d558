//! A node's identity while it runs: its key, its current certificate, its cluster's authority.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    CertificateError, CertificateInfo, NodeKey,
    certificate::{der_of_pem, fingerprint},
};
use crate::{NodeId, durable, tls};

const CERTIFICATE_FILE: &str = "node.crt";
const AUTHORITY_FILE: &str = "ca.crt";

/// Why a certificate cannot be this node's.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A certificate that does not parse.
    #[error("a certificate of this node is damaged")]
    Certificate(#[from] CertificateError),
    /// A certificate over another key.
    #[error("the certificate is node {certificate}'s, this node is {node}")]
    OtherKey {
        /// Whose key it was issued for.
        certificate: NodeId,
        /// This node.
        node: NodeId,
    },
    /// A certificate that does not make its holder a node.
    #[error("the certificate of {0:?} is not a node's")]
    NotANode(String),
    /// A certificate the authority did not sign, or that is not valid now.
    #[error("the certificate is not valid under the cluster's authority")]
    Untrusted(#[source] rustls::Error),
    /// A key rustls cannot sign with.
    #[error("the node key cannot sign")]
    Key(#[source] rustls::Error),
    /// A certificate file that cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What this node proves itself with. The certificate can be replaced while connections and
/// servers use it; new handshakes then show the new one.
pub struct Identity {
    key: NodeKey,
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    current: Arc<Current>,
}

/// The certificate shown in handshakes from now on.
struct Current(RwLock<Shown>);

struct Shown {
    pem: String,
    info: CertificateInfo,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// The identity of `key`'s holder in the cluster of this authority. The certificate may have
    /// expired, so that a node that was off for long can start and ask for a new one.
    ///
    /// # Errors
    /// A certificate over another key, of another authority or not of a node.
    pub fn new(key: NodeKey, cert_pem: &str, ca_pem: &str) -> Result<Self, IdentityError> {
        let ca_der = der_of_pem(ca_pem)?;
        let shown = check(&key, cert_pem, &ca_der)?;
        let current = Arc::new(Current(RwLock::new(shown)));
        Ok(Self { key, ca_pem: ca_pem.to_owned(), ca_der, current })
    }

    /// The identity saved in a data directory, if this node has ever been part of a cluster.
    ///
    /// # Errors
    /// Unreadable or damaged files, and everything [`Identity::new`] refuses.
    pub fn load(directory: &Path, key: NodeKey) -> Result<Option<Self>, IdentityError> {
        let read = |file| {
            let path = directory.join(file);
            durable::read(&path).map_err(|source| IdentityError::File { path, source })
        };
        match (read(CERTIFICATE_FILE)?, read(AUTHORITY_FILE)?) {
            (Some(cert_pem), Some(ca_pem)) => Self::new(key, &cert_pem, &ca_pem).map(Some),
            _ => Ok(None),
        }
    }

    /// Saves the certificates beside the key, for [`Identity::load`].
    ///
    /// # Errors
    /// What the system says about the files.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        // The node's certificate is last: with it the pair is complete.
        for (file, pem) in [(AUTHORITY_FILE, self.ca_pem()), (CERTIFICATE_FILE, &self.cert_pem())] {
            let path = directory.join(file);
            durable::write(&path, pem.as_bytes(), durable::PUBLIC)
                .map_err(|source| IdentityError::File { path, source })?;
        }
        Ok(())
    }

    /// Shows `cert_pem` in every handshake from now on.
    ///
    /// # Errors
    /// Everything [`Identity::new`] refuses; the current certificate then stays.
    pub fn replace_certificate(&self, cert_pem: &str) -> Result<(), IdentityError> {
        let shown = check(&self.key, cert_pem, &self.ca_der)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.key.id()
    }

    /// This node's key.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// This node's name, as its certificate says.
    pub fn name(&self) -> String {
        self.current.read(|shown| shown.info.node_name().unwrap_or_default().to_owned())
    }

    /// The current certificate.
    pub fn cert_pem(&self) -> String {
        self.current.read(|shown| shown.pem.clone())
    }

    /// The authority's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The authority's certificate in DER.
    pub fn ca_der(&self) -> &CertificateDer<'static> {
        &self.ca_der
    }

    /// SHA-256 of the authority's certificate.
    pub fn ca_fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.ca_der)
    }

    /// When the current certificate stops being valid.
    pub fn expires_at(&self) -> SystemTime {
        self.current.read(|shown| shown.info.not_after)
    }

    /// Whether two thirds of the current certificate's lifetime have passed.
    pub fn needs_renewal(&self, now: SystemTime) -> bool {
        self.current.read(|shown| renewal_due(&shown.info, now))
    }

    /// The certificate for servers of this node: always the current one.
    pub fn server_resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>
    }

    /// The certificate for clients on this node: always the current one.
    pub fn client_resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.current) as Arc<dyn ResolvesClientCert>
    }
}

fn check(
    key: &NodeKey,
    cert_pem: &str,
    ca_der: &CertificateDer<'static>,
) -> Result<Shown, IdentityError> {
    let der = der_of_pem(cert_pem)?;
    let info = CertificateInfo::parse(&der)?;
    if info.id != key.id() {
        return Err(IdentityError::OtherKey { certificate: info.id, node: key.id() });
    }
    if !info.is_node() {
        return Err(IdentityError::NotANode(info.common_name));
    }
    let since_epoch = info.not_before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    tls::verify_chain(&der, ca_der, UnixTime::since_unix_epoch(since_epoch))
        .map_err(IdentityError::Untrusted)?;
    // The authority goes along, so that a joiner can compare it with its token.
    let chain = vec![der, ca_der.clone()];
    let certified = CertifiedKey::from_der(chain, key.private_der(), &tls::provider())
        .map_err(IdentityError::Key)?;
    Ok(Shown { pem: cert_pem.to_owned(), info, certified: Arc::new(certified) })
}

fn renewal_due(info: &CertificateInfo, now: SystemTime) -> bool {
    let lifetime = info.not_after.duration_since(info.not_before).unwrap_or_default();
    now >= info.not_before + lifetime * 2 / 3
}

impl Current {
    fn read<T>(&self, part: impl FnOnce(&Shown) -> T) -> T {
        part(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|shown| write!(f, "Current({})", shown.info.common_name))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read(|shown| Arc::clone(&shown.certified)))
    }
}

impl ResolvesClientCert for Current {
    fn resolve(
        &self,
        _root_hints: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.read(|shown| Arc::clone(&shown.certified)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{CertificateRequest, ClusterCa, NodeSubject};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn issue(ca: &ClusterCa, key: &NodeKey, now: SystemTime) -> String {
        let request = CertificateRequest::parse(&key.certificate_request().unwrap()).unwrap();
        let subject = NodeSubject { name: "h1".into(), ..NodeSubject::default() };
        ca.issue_node(&request, &subject, DAY, now).unwrap()
    }

    fn ca() -> ClusterCa {
        ClusterCa::generate("test", SystemTime::now() - 30 * DAY).unwrap()
    }

    #[test]
    fn a_saved_identity_is_loaded_again() {
        let directory = tempfile::tempdir().unwrap();
        let (ca, key) = (ca(), NodeKey::load_or_generate(directory.path()).unwrap());
        assert!(Identity::load(directory.path(), key.clone()).unwrap().is_none());
        let pem = issue(&ca, &key, SystemTime::now());
        Identity::new(key.clone(), &pem, ca.cert_pem()).unwrap().save(directory.path()).unwrap();
        let loaded = Identity::load(directory.path(), key).unwrap().unwrap();
        assert_eq!((loaded.name(), loaded.cert_pem()), ("h1".to_owned(), pem));
    }

    #[test]
    fn renewal_is_due_after_two_thirds_of_the_lifetime() {
        let (ca, key, now) = (ca(), NodeKey::generate().unwrap(), SystemTime::now());
        let identity = Identity::new(key.clone(), &issue(&ca, &key, now), ca.cert_pem()).unwrap();
        assert!(!identity.needs_renewal(now));
        assert!(!identity.needs_renewal(now + DAY / 2));
        assert!(identity.needs_renewal(now + DAY * 3 / 4));
        identity.replace_certificate(&issue(&ca, &key, now + DAY * 3 / 4)).unwrap();
        assert!(!identity.needs_renewal(now + DAY * 3 / 4));
    }

    #[test]
    fn an_expired_certificate_still_loads_so_that_it_can_be_renewed() {
        let (ca, key) = (ca(), NodeKey::generate().unwrap());
        let pem = issue(&ca, &key, SystemTime::now() - 3 * DAY);
        let identity = Identity::new(key, &pem, ca.cert_pem()).unwrap();
        assert!(identity.expires_at() < SystemTime::now());
        assert!(identity.needs_renewal(SystemTime::now()));
    }

    #[test]
    fn certificates_of_others_are_refused() {
        let (ca, key, other) = (ca(), NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let now = SystemTime::now();
        let new = |key: &NodeKey, pem: &str, ca: &ClusterCa| {
            Identity::new(key.clone(), pem, ca.cert_pem()).err().unwrap()
        };
        let foreign = new(&key, &issue(&ca, &other, now), &ca);
        assert!(matches!(foreign, IdentityError::OtherKey { .. }), "{foreign}");
        let another_cluster = new(&key, &issue(&self::ca(), &key, now), &ca);
        assert!(matches!(another_cluster, IdentityError::Untrusted(_)), "{another_cluster}");
        let garbage = new(&key, "nothing", &ca);
        assert!(matches!(garbage, IdentityError::Certificate(_)), "{garbage}");
    }
}
