//! A node's private key and the id that follows from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{NodeId, durable};

const FILE: &str = "node.key";

/// Why a node's key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key's file or directory cannot be read or written.
    #[error("the node key at {path} cannot be read or written")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is there but holds no ECDSA P-256 key. It is never replaced: that would make
    /// this a different node.
    #[error("{path} holds no usable private key")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: rcgen::Error,
    },
    /// The key could not be generated or used.
    #[error("the node key cannot be used")]
    Crypto(#[from] rcgen::Error),
}

/// A node's ECDSA P-256 key. Clones share it; it never leaves the data directory.
#[derive(Clone)]
pub struct NodeKey {
    pair: Arc<KeyPair>,
}

impl NodeKey {
    /// A key that lives in memory alone.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] without a source of randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { pair: Arc::new(pair) })
    }

    /// Reads the key of the data directory `directory`, or makes it there: mode 0600, synced
    /// before it is used for the first time.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] for a file that is no key; it is left as it is.
    pub fn load_or_generate(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        let file_error = |source| KeyError::File { path: path.clone(), source };
        if let Some(pem) = durable::read(&path).map_err(file_error)? {
            let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_ECDSA_P256_SHA256)
                .map_err(|source| KeyError::Damaged { path: path.clone(), source })?;
            return Ok(Self { pair: Arc::new(pair) });
        }
        let key = Self::generate()?;
        fs::create_dir_all(directory).map_err(file_error)?;
        durable::write(&path, key.pair.serialize_pem().as_bytes(), durable::PRIVATE)
            .map_err(file_error)?;
        Ok(key)
    }

    /// The id of the node that holds this key.
    pub fn id(&self) -> NodeId {
        id_of_public_key(&self.pair.subject_public_key_info())
    }

    /// A certificate request (PKCS #10, DER) signed with this key, which proves that its sender
    /// holds it. The subject in it means nothing: the authority names the node.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if signing fails.
    pub fn certificate_request(&self) -> Result<Vec<u8>, KeyError> {
        let request = CertificateParams::default().serialize_request(self.pair.as_ref())?;
        Ok(request.der().to_vec())
    }

    /// A secret for another use that only this key's holder can compute, the same after a restart.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.pair.serialized_der());
        let mut secret = [0; 32];
        secret.copy_from_slice(ring::hmac::sign(&key, purpose.as_bytes()).as_ref());
        secret
    }

    pub(crate) fn private_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pair.serialize_der()).into()
    }
}

/// The id of the node whose public key has this DER `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
pub(crate) fn id_of_public_key(info_der: &[u8]) -> NodeId {
    let hash = digest(&SHA256, info_der);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    NodeId(u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_keeps_its_key_and_id() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let first = NodeKey::load_or_generate(&data).unwrap();
        assert_eq!(NodeKey::load_or_generate(&data).unwrap().id(), first.id());
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_directories_are_two_nodes() {
        assert_ne!(NodeKey::generate().unwrap().id(), NodeKey::generate().unwrap().id());
    }

    #[test]
    fn a_damaged_key_is_an_error_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, "not a key").unwrap();
        let error = NodeKey::load_or_generate(directory.path()).err().unwrap();
        assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a key");
    }
}
