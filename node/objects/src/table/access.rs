//! Columns and cells of the bindings of roles and of requests for certificates.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{AGE, NAME, list, text};
use super::{Cell, Column, NONE, age};

/// Bindings of roles and of cluster roles.
pub(crate) const BINDING: &[Column<'static>] = &[
    NAME,
    Column::new("Role", Cell::Computed(role), "What may be done."),
    AGE,
    Column::new("Users", Cell::Computed(users), "Which users may.").wide(),
    Column::new("Groups", Cell::Computed(groups), "Which groups may.").wide(),
    Column::new("ServiceAccounts", Cell::Computed(accounts), "Which service accounts may.").wide(),
];

/// Requests for certificates.
pub(crate) const CERTIFICATE_REQUEST: &[Column<'static>] = &[
    NAME,
    AGE,
    Column::new("SignerName", Cell::Text("/spec/signerName"), "Who is to sign."),
    Column::new("Requestor", Cell::Optional("/spec/username"), "Who asked."),
    Column::new("RequestedDuration", Cell::Computed(requested), "For how long."),
    Column::new("Condition", Cell::Computed(condition), "What became of it."),
];

fn role(binding: &Value, _now: Timestamp) -> Value {
    let role = &binding["roleRef"];
    Value::from(format!("{}/{}", text(role, "/kind"), text(role, "/name")))
}

fn subjects(binding: &Value, kind: &str, name: impl Fn(&Value) -> String) -> Value {
    let subjects = list(binding, "/subjects").iter().filter(|one| one["kind"] == kind);
    Value::from(subjects.map(name).collect::<Vec<_>>().join(", "))
}

fn name(subject: &Value) -> String {
    text(subject, "/name").to_owned()
}

fn users(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "User", name)
}

fn groups(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "Group", name)
}

fn accounts(binding: &Value, _now: Timestamp) -> Value {
    subjects(binding, "ServiceAccount", |one| {
        format!("{}/{}", text(one, "/namespace"), text(one, "/name"))
    })
}

fn requested(request: &Value, _now: Timestamp) -> Value {
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_i64);
    Value::from(seconds.map_or(NONE.to_owned(), age::duration))
}

fn condition(request: &Value, _now: Timestamp) -> Value {
    let has = |kind: &str| {
        list(request, "/status/conditions").iter().any(|condition| condition["type"] == kind)
    };
    let mut words = Vec::new();
    match (has("Denied"), has("Approved")) {
        (true, _) => words.push("Denied"),
        (_, true) => words.push("Approved"),
        _ => words.push("Pending"),
    }
    if has("Failed") {
        words.push("Failed");
    }
    if !text(request, "/status/certificate").is_empty() {
        words.push("Issued");
    }
    Value::from(words.join(","))
}
