use super::{
    parse::{SchemaError, parse},
    *,
};

#[test]
fn every_kind_there_should_be_is_known() {
    let schema = Schema::get();
    let kinds = [
        ("v1", "Pod"),
        ("v1", "Namespace"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"),
        ("policy/v1", "Eviction"),
        ("autoscaling/v1", "Scale"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("authentication.k8s.io/v1", "TokenRequest"),
        ("v1", "DeleteOptions"),
        ("apps/v1", "DeleteOptions"),
    ];
    for (api_version, kind) in kinds {
        assert!(schema.kind(api_version, kind).is_some(), "{api_version} {kind}");
    }
    assert!(schema.kind("v1", "PodSpec").is_none());
    assert!(schema.kind("apps/v1", "Pod").is_none());
}

/// The deepest nesting from a message on.
fn depth(schema: &Schema, id: MessageId, above: &mut Vec<MessageId>) -> usize {
    assert!(!above.contains(&id), "a message contains itself");
    above.push(id);
    let inner = schema.message(id).fields.iter().filter_map(|field| match field.kind {
        Kind::Message(inner) => Some(inner),
        _ => None,
    });
    let deepest = inner.map(|inner| depth(schema, inner, above)).max();
    above.pop();
    1 + deepest.unwrap_or(0)
}

#[test]
fn no_message_is_deeper_than_the_limit() {
    let schema = Schema::get();
    let deepest = schema.kinds.values().map(|id| depth(schema, *id, &mut Vec::new())).max();
    assert_eq!(deepest, Some(13));
}

#[test]
fn broken_schemas_say_what_is_wrong() {
    let line = |text: &str| SchemaError::Line(text.to_owned());
    let cases = [
        ("", line("")),
        ("kind Pod", line("kind Pod")),
        ("api v1\n  1 name string", line("  1 name string")),
        ("api v1\nkinds Pod", line("kinds Pod")),
        ("api v1\nkind Pod\n  one name string", line("one name string")),
        ("api v1\nkind Pod\n  1 name", line("1 name")),
        ("api v1\nkind Pod\n  1 + string", line("1 + string")),
        ("api v1\nkind Pod\nkind Pod", SchemaError::Twice("core.Pod".into())),
        ("api v1\nkind Pod\n  1 spec PodSpec", SchemaError::NoMessage("core.PodSpec".into())),
        ("api v1\nkind Pod\n  2 a string\n  1 b string", SchemaError::Order("b".into())),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&[("core", text)]).unwrap_err(), expected, "{text}");
    }
}
