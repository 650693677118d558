//! Who a client is: what its certificate says, or its token.

use std::collections::BTreeMap;

use http::HeaderMap;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use skein_objects::{Reason, StatusError};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// Whom everybody is one of that is known.
const AUTHENTICATED: &str = "system:authenticated";

/// Who nobody knows, as Kubernetes names him and his group.
pub(crate) const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A client with a certificate of the cluster CA, or with a token of a service account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The certificate's common name, or the service account's as a user.
    pub user: String,
    /// The service account's uid.
    pub uid: String,
    /// The certificate's organizations, or the groups of service accounts.
    pub groups: Vec<String>,
    /// What else a token says.
    pub extra: BTreeMap<String, Vec<String>>,
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
        Some(Self { user, groups, ..Self::default() })
    }

    /// A client that did not prove to be anybody.
    pub(crate) fn anonymous() -> Self {
        let (user, groups) = (ANONYMOUS.to_owned(), vec![UNAUTHENTICATED.to_owned()]);
        Self { user, groups, ..Self::default() }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        let is_unknown = self.groups.iter().any(|group| group == UNAUTHENTICATED);
        is_unknown || self.user.is_empty() || self.user == ANONYMOUS
    }

    /// All groups the client is one of.
    pub(crate) fn all_groups(&self) -> impl Iterator<Item = &str> {
        let known = (!self.is_anonymous()).then_some(AUTHENTICATED);
        self.groups.iter().map(String::as_str).chain(known)
    }

    /// The client as a `UserInfo` of `authentication.k8s.io/v1`.
    pub(crate) fn user_info(&self) -> Value {
        let groups: Vec<&str> = self.all_groups().collect();
        let mut info = json!({"username": self.user, "groups": groups});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// Nobody may act as somebody else: a request that asks for it is not served as if it had not.
pub(crate) fn refuse_impersonation(headers: &HeaderMap) -> Result<(), StatusError> {
    let Some(asked) = headers.keys().find(|name| name.as_str().starts_with("impersonate-")) else {
        return Ok(());
    };
    let why = format!("impersonation is not supported: the request has the header {asked}");
    Err(StatusError::new(Reason::Forbidden, why))
}
