use x509_parser::prelude::{FromDer, GeneralName};

use super::*;
use crate::NodeKey;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn ca() -> ClusterCa {
    ClusterCa::generate("test", SystemTime::now()).unwrap()
}

fn info(pem: &str) -> CertificateInfo {
    CertificateInfo::parse(&der_of_pem(pem).unwrap()).unwrap()
}

fn issue(ca: &ClusterCa, key: &NodeKey, subject: &NodeSubject) -> Result<String, IssueError> {
    let request = CertificateRequest::parse(&key.certificate_request().unwrap()).unwrap();
    ca.issue_node(&request, subject, DAY, SystemTime::now())
}

fn named(name: &str) -> NodeSubject {
    NodeSubject { name: name.into(), ..NodeSubject::default() }
}

#[test]
fn a_stored_authority_is_the_same_authority() {
    let first = ca();
    let again = ClusterCa::from_pem(first.cert_pem(), &first.key_pem()).unwrap();
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert_eq!(again.key_pem(), first.key_pem());
}

#[test]
fn the_key_of_another_authority_is_refused() {
    let mixed = ClusterCa::from_pem(ca().cert_pem(), &ca().key_pem());
    assert!(matches!(mixed.err(), Some(IssueError::KeyMismatch)));
}

#[test]
fn a_node_certificate_names_the_node_its_key_and_its_addresses() {
    let key = NodeKey::generate().unwrap();
    let subject = NodeSubject {
        name: "h1".into(),
        addresses: vec!["10.77.0.1".parse().unwrap()],
        dns_names: vec!["h1.example.org".into()],
    };
    let pem = issue(&ca(), &key, &subject).unwrap();
    let certificate = info(&pem);
    assert_eq!(certificate.id, key.id());
    assert_eq!(certificate.node_name(), Some("h1"));
    let der = der_of_pem(&pem).unwrap();
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(&der).unwrap();
    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    for name in ["h1", "h1.example.org", "localhost", "kubernetes.default.svc"] {
        assert!(names.contains(&GeneralName::DNSName(name)), "{name} in {names:?}");
    }
    for address in [[10, 77, 0, 1], [127, 0, 0, 1], [10, 43, 0, 1]] {
        assert!(names.contains(&GeneralName::IPAddress(&address)), "{address:?} in {names:?}");
    }
}

#[test]
fn the_lifetime_starts_a_little_before_now() {
    let now = SystemTime::now();
    let certificate = info(&issue(&ca(), &NodeKey::generate().unwrap(), &named("h1")).unwrap());
    assert!(certificate.not_before < now);
    let over = now + DAY + Duration::from_secs(5);
    assert!(certificate.not_after > now + DAY - Duration::from_secs(5));
    assert!(certificate.not_after < over);
}

#[test]
fn names_that_no_node_may_have_are_refused() {
    let (ca, key) = (ca(), NodeKey::generate().unwrap());
    let long = "a".repeat(254);
    for name in ["", "H1", "h 1", "-h1", "h1.", "h1/../x", "hé", long.as_str()] {
        let refused = issue(&ca, &key, &named(name));
        assert!(matches!(refused, Err(IssueError::NodeName(_))), "{name:?}");
    }
}

#[test]
fn a_user_certificate_carries_every_group_and_is_signed_by_the_authority() {
    let ca = ca();
    let groups: Vec<String> = ["developers", "auditors", "Göteborg"].map(String::from).into();
    let user = ca.issue_user("anna", &groups, DAY, SystemTime::now()).unwrap();
    let certificate = info(&user.cert_pem);
    assert_eq!(certificate.common_name, "anna");
    assert_eq!(certificate.organizations, groups);
    assert!(!certificate.is_node());
    let (leaf, root) = (der_of_pem(&user.cert_pem).unwrap(), ca.cert_der().clone());
    let (_, leaf) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
    let (_, root) = x509_parser::certificate::X509Certificate::from_der(&root).unwrap();
    leaf.verify_signature(Some(root.public_key())).unwrap();
}

#[test]
fn nobody_becomes_a_node_through_a_user_certificate() {
    let ca = ca();
    let nodes = vec![NODES_ORGANIZATION.to_owned()];
    let none: Vec<String> = Vec::new();
    for (user, groups) in [("anna", &nodes), ("system:node:h1", &none), ("", &none)] {
        let refused = ca.issue_user(user, groups, DAY, SystemTime::now());
        assert!(matches!(refused, Err(IssueError::User { .. })), "{user:?} {groups:?}");
    }
}
