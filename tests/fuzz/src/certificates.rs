//! What a host shows to be let in: tokens, certificates and requests for them.

use skein_net::{CertificateInfo, CertificateRequest, JoinToken};

use crate::input;

/// A join token is printed as what it was parsed from, spaces around it aside.
pub(crate) fn token(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    let Ok(token) = text.parse::<JoinToken>() else { return };
    let printed = token.to_string();
    assert!(printed.eq_ignore_ascii_case(text.trim()), "{printed} was {text:?}");
    assert_eq!(printed.parse().as_ref(), Ok(&token));
    assert!(!format!("{token:?}").contains(token.secret()), "the secret shows");
}

/// A certificate in DER.
pub(crate) fn certificate(bytes: &[u8]) {
    let Ok(info) = CertificateInfo::parse(bytes) else { return };
    assert!(info.node_name().is_none() || info.is_node());
}

/// A certificate request in DER is its sender's alone.
pub(crate) fn certificate_request(bytes: &[u8]) {
    let Ok(request) = CertificateRequest::parse(bytes) else { return };
    assert!(CertificateRequest::parse_from(bytes, request.id()).is_ok());
}
