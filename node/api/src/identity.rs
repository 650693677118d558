//! Who a client is: what its certificate says, and nothing else.

use http::HeaderMap;
use rustls_pki_types::CertificateDer;
use skein_objects::{Reason, StatusError};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// A client with a certificate of the cluster CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate's common name.
    pub user: String,
    /// The certificate's organizations.
    pub groups: Vec<String>,
}

impl Identity {
    /// Reads a certificate that TLS has verified. `None` where it names nobody.
    pub(crate) fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|organization| organization.as_str().ok().map(str::to_owned))
            .collect();
        Some(Self { user, groups })
    }
}

/// The first stage of every request: no certificate, no service.
pub(crate) fn authenticate(identity: Option<&Identity>) -> Result<&Identity, StatusError> {
    identity.ok_or_else(StatusError::unauthorized)
}

/// Nobody may act as somebody else: a request that asks for it is not served as if it had not.
pub(crate) fn refuse_impersonation(headers: &HeaderMap) -> Result<(), StatusError> {
    let Some(asked) = headers.keys().find(|name| name.as_str().starts_with("impersonate-")) else {
        return Ok(());
    };
    let why = format!("impersonation is not supported: the request has the header {asked}");
    Err(StatusError::new(Reason::Forbidden, why))
}
