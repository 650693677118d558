//! Requests for certificates.

use std::collections::BTreeSet;

use crate::field::{Errors, Field};
use crate::podspec::{require_text, validate_choice};
use crate::strategy::{NameRule, Strategy};

/// Fewest seconds for which a certificate may be asked: ten minutes.
const SECONDS: i64 = 600;

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(crate) struct CertificateRequestStrategy;

impl Strategy for CertificateRequestStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        require_text(&spec.get("request"), errors);
        let signer = spec.get("signerName");
        match signer.text().split_once('/') {
            _ if signer.is_empty() => errors.required(&signer, ""),
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {}
            _ => errors.invalid(
                &signer,
                "must be a fully qualified domain and path of the form 'example.com/signer-name'",
            ),
        }
        let seconds = spec.get("expirationSeconds");
        if seconds.integer().is_some_and(|seconds| seconds < SECONDS) {
            errors
                .invalid(&seconds, "may not specify a duration less than 600 seconds (10 minutes)");
        }
        let (usages, mut seen) = (spec.get("usages"), BTreeSet::new());
        if usages.is_empty() {
            errors.required(&usages, "usages must contain at least one usage");
        }
        for usage in usages.items() {
            validate_choice(&usage, &USAGES, errors);
            if !seen.insert(usage.text().to_owned()) {
                errors.duplicate(&usage);
            }
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("spec"), &old.get("spec"));
    }
}
