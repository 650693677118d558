//! Subjects with several organisations.
//!
//! Kubernetes reads a user's groups from repeated O attributes, but rcgen keeps one value per
//! attribute type. So the certificate is made by rcgen, and here its subject is replaced and the
//! whole signed again.

use rcgen::{KeyPair, SigningKey};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::IssueError;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;

/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758, 3.2).
const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// The certificate `der` with this common name and these organisations, signed by `authority`,
/// whose key is ECDSA P-256.
pub(super) fn replace(
    der: &[u8],
    common_name: &str,
    organizations: &[String],
    authority: &KeyPair,
) -> Result<Vec<u8>, IssueError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| super::CertificateError::Malformed)?;
    let signed = &certificate.tbs_certificate;
    let old = signed.subject.as_raw();
    let whole: &[u8] = signed.as_ref();
    // Both are slices of `der`, one within the other.
    let before = old.as_ptr() as usize - whole.as_ptr() as usize;
    let (_, content) =
        x509_parser::der_parser::der::parse_der_sequence_defined_g(|content: &[u8], _| {
            Ok::<_, x509_parser::nom::Err<_>>((&[][..], content))
        })(whole)
        .map_err(|_: x509_parser::nom::Err<x509_parser::asn1_rs::Error>| {
            super::CertificateError::Malformed
        })?;
    let header = whole.len() - content.len();

    let mut attributes = attribute(&COMMON_NAME, common_name);
    for organization in organizations {
        attributes.extend(attribute(&ORGANIZATION, organization));
    }
    let mut fields = content[..before - header].to_vec();
    fields.extend(element(SEQUENCE, &attributes));
    fields.extend(&whole[before + old.len()..]);
    let fields = element(SEQUENCE, &fields);

    let mut signature = vec![0];
    signature.extend(authority.sign(&fields)?);
    let algorithm = element(SEQUENCE, &element(OBJECT_IDENTIFIER, &ECDSA_SHA256));
    let parts = [fields, algorithm, element(BIT_STRING, &signature)];
    Ok(element(SEQUENCE, &parts.concat()))
}

/// The PEM text of a certificate.
pub(super) fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn attribute(kind: &[u8], value: &str) -> Vec<u8> {
    let pair = [element(OBJECT_IDENTIFIER, kind), element(UTF8_STRING, value.as_bytes())];
    element(SET, &element(SEQUENCE, &pair.concat()))
}

/// One DER element: tag, length in its shortest form, content (X.690, 8.1 and 10.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    match length {
        [] => element.push(0),
        &[short] if short < 0x80 => element.push(short),
        long => {
            element.push(0x80 | long.len() as u8);
            element.extend(long);
        }
    }
    element.extend(content);
    element
}
