//! Certificate requests as the issuing side sees them.

use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use super::key::id_of_public_key;
use crate::NodeId;

/// Why bytes are not an acceptable certificate request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Not a PKCS #10 request.
    #[error("not a certificate request")]
    Malformed,
    /// The sender does not hold the private key.
    #[error("the request is not signed with the key it names")]
    Signature,
    /// A key of another kind than every node has.
    #[error("the request's key is not ECDSA P-256")]
    Algorithm,
    /// A request for somebody else's key.
    #[error("the request is for node {requested}, but node {sender} sent it")]
    OtherNode {
        /// Whose key is in the request.
        requested: NodeId,
        /// Whose certificate or claim it came with.
        sender: NodeId,
    },
}

/// A checked certificate request: whoever sent it holds the private key of node `id`.
pub struct CertificateRequest {
    id: NodeId,
    key: rcgen::SubjectPublicKeyInfo,
}

impl CertificateRequest {
    /// Parses and verifies a PKCS #10 request in DER. Everything in it but the key is ignored.
    ///
    /// # Errors
    /// Malformed bytes, a wrong signature, another kind of key.
    pub fn parse(der: &[u8]) -> Result<Self, RequestError> {
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| RequestError::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        let info_der = request.certification_request_info.subject_pki.raw;
        let key =
            rcgen::SubjectPublicKeyInfo::from_der(info_der).map_err(|_| RequestError::Algorithm)?;
        if rcgen::PublicKeyData::algorithm(&key) != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(RequestError::Algorithm);
        }
        request.verify_signature().map_err(|_| RequestError::Signature)?;
        Ok(Self { id: id_of_public_key(info_der), key })
    }

    /// Like [`CertificateRequest::parse`], for a renewal asked by the peer `sender` for itself.
    ///
    /// # Errors
    /// Also [`RequestError::OtherNode`] if the key in the request is not the sender's.
    pub fn parse_from(der: &[u8], sender: NodeId) -> Result<Self, RequestError> {
        let request = Self::parse(der)?;
        if request.id != sender {
            return Err(RequestError::OtherNode { requested: request.id, sender });
        }
        Ok(request)
    }

    /// The node whose key is in the request.
    pub fn id(&self) -> NodeId {
        self.id
    }

    pub(super) fn key(&self) -> &rcgen::SubjectPublicKeyInfo {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::NodeKey;

    #[test]
    fn a_request_names_the_node_that_signed_it() {
        let key = NodeKey::generate().unwrap();
        let der = key.certificate_request().unwrap();
        assert_eq!(CertificateRequest::parse(&der).unwrap().id(), key.id());
        assert!(CertificateRequest::parse_from(&der, key.id()).is_ok());
    }

    #[test]
    fn a_request_for_another_node_is_refused() {
        let der = NodeKey::generate().unwrap().certificate_request().unwrap();
        let sender = NodeKey::generate().unwrap().id();
        let error = CertificateRequest::parse_from(&der, sender).err().unwrap();
        assert!(matches!(error, RequestError::OtherNode { .. }));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_refused_or_changes_nothing(
            at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            let key = NodeKey::generate().unwrap();
            let mut der = key.certificate_request().unwrap();
            let at = at.index(der.len());
            der[at] = to;
            if let Ok(request) = CertificateRequest::parse(&der) {
                prop_assert_eq!(request.id(), key.id());
            }
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes in any::<Vec<u8>>()) {
            prop_assert!(CertificateRequest::parse(&bytes).is_err());
        }
    }
}
