//! Bodies that `kubectl` 1.32 sent, next to what it prints for the same command with
//! `--dry-run=client -o json`; and bodies that nobody should send.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

macro_rules! captured {
    ($($name:literal),* $(,)?) => {
        [$((
            $name,
            include_bytes!(concat!("tests/captured/", $name, ".bin")).as_slice(),
            include_str!(concat!("tests/captured/", $name, ".json")),
        )),*]
    };
}

const CAPTURED: [(&str, &[u8], &str); 16] = captured![
    "budget",
    "configmap",
    "cron_job",
    "delete_options",
    "deployment",
    "ingress",
    "job",
    "namespace",
    "priority_class",
    "quota",
    "role",
    "role_binding",
    "secret",
    "service",
    "serviceaccount",
    "token",
];

#[test]
fn bodies_of_kubectl_are_what_it_prints_as_json() {
    for (name, body, expected) in CAPTURED {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(decode(body).unwrap(), expected, "{name}");
    }
}

/// A field that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

fn body(api_version: &str, kind: &str, raw: &[u8], content_type: &str) -> Vec<u8> {
    let type_meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    let parts = [field(1, &type_meta), field(2, raw), field(4, content_type.as_bytes())];
    [b"k8s\0".as_slice(), &parts.concat()].concat()
}

#[test]
fn zero_is_kept_where_presence_matters() {
    let spec = [0x08, 0x00, 0x28, 0x00, 0x38, 0x00]; // replicas, minReadySeconds, paused
    let decoded = decode(&body("apps/v1", "Deployment", &field(2, &spec), "")).unwrap();
    assert_eq!(decoded["spec"], json!({"replicas": 0}));
}

#[test]
fn messages_in_pieces_are_merged() {
    let raw = [field(1, &field(1, b"web")), field(1, &field(3, b"default"))].concat();
    let decoded = decode(&body("v1", "Pod", &raw, "")).unwrap();
    assert_eq!(decoded["metadata"], json!({"name": "web", "namespace": "default"}));
}

#[test]
fn numbers_are_taken_one_by_one_and_packed() {
    let context = [&[0x20, 0x05][..], &field(4, &[0x07, 0x80, 0x01])].concat();
    let raw = field(2, &field(14, &context));
    let decoded = decode(&body("v1", "Pod", &raw, "")).unwrap();
    assert_eq!(decoded["spec"]["securityContext"]["supplementalGroups"], json!([5, 7, 128]));
}

#[test]
fn json_in_the_envelope_is_taken_as_it_is() {
    let decoded = decode(&body("v1", "Pod", b"{\"kind\":\"Pod\"}", "application/json"));
    assert_eq!(decoded, Ok(json!({"kind": "Pod"})));
}

#[test]
fn errors_name_what_was_wrong() {
    let container = [field(1, b"main"), field(2, b"\xff")].concat();
    let pod = field(2, &[field(2, b""), field(2, &container)].concat());
    let label = field(1, &field(11, &[field(1, b"app"), vec![0x10, 0x01]].concat()));
    let many = field(2, &field(2, b"").repeat(limits::VALUES));
    let cases = [
        (b"{}".to_vec(), "the body does not begin as Kubernetes' protobuf does"),
        (b"k8s\0\x0a".to_vec(), "the envelope of the object is unusable: the bytes end too early"),
        (vec![0; limits::BODY_BYTES + 1], "the body is larger than 3145728 bytes"),
        (
            body("v1", "Pud", b"", ""),
            "\"Pud\" of \"v1\" is not understood as protobuf: send it as JSON",
        ),
        (
            body("v1", "Pod", b"", "text/plain"),
            "the content type \"text/plain\" of the object is not understood",
        ),
        (body("v1", "Pod", &pod, ""), "Pod.spec.containers[1].image: the text is not UTF-8"),
        (
            body("v1", "Pod", &label, ""),
            "Pod.metadata.labels[\"app\"]: the bytes are not those of a string",
        ),
        (
            body("v1", "Pod", &many, ""),
            "Pod.spec.containers[249999]: there are more than 250000 values",
        ),
        (body("v1", "Pod", &[0x0b], ""), "Pod: wire type 3 is not understood"),
    ];
    for (body, expected) in cases {
        let message = decode(&body).unwrap_err().to_string();
        assert_eq!(message, expected);
    }
}

proptest! {
    #[test]
    fn garbage_in_an_envelope_never_panics(
        kind in prop::sample::select(vec![
            ("v1", "Pod"), ("v1", "Service"), ("v1", "Event"), ("apps/v1", "Deployment"),
            ("batch/v1", "CronJob"), ("networking.k8s.io/v1", "NetworkPolicy"),
        ]),
        raw in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let _ = decode(&body(kind.0, kind.1, &raw, ""));
    }

    #[test]
    fn damaged_bodies_never_panic(
        which in 0..CAPTURED.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut body = CAPTURED[which].1.to_vec();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let _ = decode(&body);
        let _ = decode(&body[..length.index(body.len())]);
    }
}
