//! Field selectors: equalities over the few fields that a kind declares.

use serde_json::Value;

use crate::kind::Kind;
use crate::limits;
use crate::status::StatusError;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    field: String,
    value: String,
    equal: bool,
}

/// A conjunction of field equalities; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<Requirement>,
}

impl FieldSelector {
    /// Parses `status.phase=Running,spec.nodeName!=h1` for a kind.
    ///
    /// # Errors
    /// 400 for bad syntax or a field that the kind does not declare.
    pub fn parse(kind: &Kind, text: &str) -> Result<Self, StatusError> {
        let mut requirements = Vec::new();
        for clause in split(text, ',').into_iter().filter(|clause| !clause.is_empty()) {
            requirements.push(requirement(kind, clause)?);
        }
        if requirements.len() > limits::SELECTOR_REQUIREMENTS {
            return Err(StatusError::bad_request("the field selector has too many requirements"));
        }
        Ok(Self { requirements })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The name it demands, so that a list of one need not read the rest.
    pub fn demanded_name(&self) -> Option<&str> {
        self.requirements
            .iter()
            .find(|one| one.equal && one.field == "metadata.name")
            .map(|one| one.value.as_str())
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.requirements.iter().all(|one| (field(object, &one.field) == one.value) == one.equal)
    }
}

fn requirement(kind: &Kind, clause: &str) -> Result<Requirement, StatusError> {
    let invalid = || {
        StatusError::bad_request(format!(
            "invalid selector: '{clause}'; can't understand '{clause}'"
        ))
    };
    let (name, value, equal) = if let Some((name, value)) = clause.split_once("!=") {
        (name, value, false)
    } else if let Some((name, value)) = clause.split_once("==") {
        (name, value, true)
    } else {
        let (name, value) = clause.split_once('=').ok_or_else(invalid)?;
        (name, value, true)
    };
    let known = matches!(name, "metadata.name")
        || (name == "metadata.namespace" && kind.is_namespaced())
        || kind.fields.iter().any(|field| *field == name);
    if !known {
        return Err(StatusError::bad_request(format!("field label not supported: {name}")));
    }
    let value = unescape(value).ok_or_else(invalid)?;
    Ok(Requirement { field: name.to_owned(), value, equal })
}

/// Splits at a separator that no backslash escapes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == separator {
            out.push(&text[start..index]);
            start = index + separator.len_utf8();
        }
    }
    out.push(&text[start..]);
    out
}

fn unescape(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                escaped @ ('\\' | ',' | '=') => out.push(escaped),
                _ => return None,
            },
            '=' | ',' => return None,
            plain => out.push(plain),
        }
    }
    Some(out)
}

/// The text of a field. What is absent is empty, but a flag is `false` and a count 0.
fn field(object: &Value, name: &str) -> String {
    let at = |path: &str| path.split('.').try_fold(object, |value, member| value.get(member));
    let value = match name {
        "source" => at("source.component").or_else(|| at("reportingComponent")),
        "status.successful" => at("status.succeeded"),
        other => at(other),
    };
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ if matches!(name, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        _ if matches!(name, "status.replicas" | "status.successful") => "0".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<FieldSelector, StatusError> {
        FieldSelector::parse(registry().by_resource("", "v1", "pods").unwrap(), text)
    }

    #[test]
    fn fields_are_compared_with_their_text() {
        let pod = json!({"metadata": {"name": "a", "namespace": "d"},
            "spec": {"nodeName": "h1"}, "status": {"phase": "Running"}});
        for (text, selected) in [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name==a,status.phase=Running", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=", false),
            ("spec.hostNetwork=false", true),
            ("status.podIP=", true),
        ] {
            assert_eq!(parse(text).unwrap().matches(&pod), selected, "{text}");
        }
    }

    #[test]
    fn a_job_is_found_by_its_successes() {
        let jobs = registry().by_resource("batch", "v1", "jobs").unwrap();
        let selected = |text: &str, status: serde_json::Value| {
            FieldSelector::parse(jobs, text).unwrap().matches(&json!({"status": status}))
        };
        assert!(selected("status.successful=2", json!({"succeeded": 2})));
        assert!(selected("status.successful=0", json!({})));
    }

    #[test]
    fn undeclared_fields_are_refused() {
        let error = parse("spec.image=x").unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.image");
        assert_eq!(error.code, 400);
    }

    #[test]
    fn escapes_are_taken_literally() {
        let selector = parse(r"metadata.name=a\,b\=c").unwrap();
        assert_eq!(selector.demanded_name(), Some("a,b=c"));
        assert!(parse(r"metadata.name=a\x").is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
