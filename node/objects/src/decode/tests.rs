//! Bodies become objects, or clear errors.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::registry;

fn pod() -> &'static Kind {
    registry().by_resource("", "v1", "pods").unwrap()
}

fn yaml(text: &str, validation: FieldValidation) -> Result<Decoded, StatusError> {
    decode(pod(), text.as_bytes(), MediaType::Yaml, validation)
}

const MANIFEST: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, creationTimestamp: null}
spec:
  nodeNam: h1
  containers:
  - name: a
    image: hello
    imagee: x
    resources: {limits: {cpu: 1}}
    args: [yes, '1']
  restartPolicy: Never
  restartPolicy: Always
";

#[test]
fn yaml_and_json_become_the_same_object() {
    let from_yaml =
        yaml("{kind: Pod, metadata: {name: a}, spec: {containers: []}}", FieldValidation::Strict);
    let json = br#"{"apiVersion":"v1","metadata":{"name":"a"},"spec":{"containers":[]}}"#;
    let from_json = decode(pod(), json, MediaType::Json, FieldValidation::Strict);
    assert_eq!(from_yaml.unwrap(), from_json.unwrap());
}

#[test]
fn strict_validation_names_unknown_and_duplicate_fields() {
    let text = MANIFEST.replace("args: [yes, '1']", "args: ['1']");
    let error = yaml(&text, FieldValidation::Strict).unwrap_err();
    assert_eq!(error.code, 400);
    assert_eq!(
        error.message,
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: \
         duplicate field \"spec.restartPolicy\", \
         unknown field \"spec.containers[0].imagee\", unknown field \"spec.nodeNam\""
    );
}

#[test]
fn warnings_name_the_same_and_ignoring_is_silent() {
    let text = MANIFEST.replace("args: [yes, '1']", "args: ['1']");
    let warned = yaml(&text, FieldValidation::Warn).unwrap();
    assert_eq!(warned.warnings.len(), 3);
    assert_eq!(warned.object["spec"]["restartPolicy"], "Always");
    assert_eq!(warned.object["spec"].get("nodeNam"), None);
    assert_eq!(warned.object["metadata"], json!({"name": "web"}));
    assert!(yaml(&text, FieldValidation::Ignore).unwrap().warnings.is_empty());
}

#[test]
fn a_number_is_a_quantity() {
    let text = MANIFEST.replace("args: [yes, '1']", "args: ['1']");
    let object = yaml(&text, FieldValidation::Ignore).unwrap().object;
    assert_eq!(object["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
}

#[test]
fn a_null_entry_of_a_config_map_or_secret_is_empty() {
    for (plural, maps) in
        [("configmaps", ["data", "binaryData"]), ("secrets", ["data", "stringData"])]
    {
        let kind = registry().by_resource("", "v1", plural).unwrap();
        for map in maps {
            let text = format!("{{metadata: {{name: one}}, {map}: {{empty: , full: YQ==}}}}");
            let decoded =
                decode(kind, text.as_bytes(), MediaType::Yaml, FieldValidation::Strict).unwrap();
            assert_eq!(decoded.object[map], json!({"empty": "", "full": "YQ=="}), "{plural} {map}");
        }
    }
}

#[test]
fn a_wrong_type_names_the_field() {
    let error = yaml(MANIFEST, FieldValidation::Ignore).unwrap_err();
    assert_eq!(error.code, 400);
    assert!(error.message.contains("spec.containers[0].args[0]"), "{error}");
    assert!(error.message.contains("invalid type: boolean"), "{error}");
}

#[test]
fn another_kind_is_refused() {
    let error = yaml("{apiVersion: apps/v1, kind: Deployment}", FieldValidation::Warn).unwrap_err();
    assert_eq!(error.code, 400);
    assert!(error.message.contains("Deployment"), "{error}");
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["", "[]", "3", "a: [", "{a: b", "--- 1\n--- 2", "a: b\n---\nc: d", "\u{0}"] {
        assert_eq!(yaml(text, FieldValidation::Warn).unwrap_err().code, 400, "{text:?}");
    }
}

#[test]
fn deep_large_and_exploding_documents_are_refused() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let json = decode(pod(), deep.as_bytes(), MediaType::Json, FieldValidation::Warn);
    assert_eq!(json.unwrap_err().code, 400);
    assert_eq!(yaml(&deep, FieldValidation::Warn).unwrap_err().code, 400);
    let large = " ".repeat(limits::OBJECT_BYTES + 1);
    assert_eq!(yaml(&large, FieldValidation::Warn).unwrap_err().code, 413);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(yaml(&bomb, FieldValidation::Warn).unwrap_err().code, 400);
}

#[test]
fn every_kind_decodes_an_empty_object() {
    for kind in registry().all() {
        let body = json!({"metadata": {"name": "a"}});
        let decoded = check(kind, body, FieldValidation::Strict);
        assert_eq!(decoded.unwrap().object["kind"], *kind.kind);
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(pod(), &bytes, MediaType::Yaml, FieldValidation::Strict);
        let _ = decode(pod(), &bytes, MediaType::Json, FieldValidation::Strict);
    }

    #[test]
    fn yaml_like_garbage_never_panics(text in "[a-c:{}\\[\\],&*!|> \n'\"-]{0,60}") {
        let _ = yaml(&text, FieldValidation::Strict);
    }
}
