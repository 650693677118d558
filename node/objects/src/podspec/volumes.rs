//! Rules of volumes.

use std::collections::BTreeSet;

use crate::field::{Errors, Field};
use crate::names;

use super::containers::require_text;
use super::resources;

/// Checks the volumes of a pod and gives their names.
pub(super) fn validate<'a>(list: &'a Field<'a>, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (volume, item) in list.items().zip(list.value.as_array().into_iter().flatten()) {
        let name = volume.get("name");
        if name.text().is_empty() {
            errors.required(&name, "");
        } else if let Err(rule) = names::label(name.text()) {
            errors.invalid(&name, rule);
        } else if !seen.insert(item["name"].as_str().unwrap_or("")) {
            errors.duplicate(&name);
        }
        let sources = volume.entries().map(|(source, _)| source).filter(|source| *source != "name");
        let sources: Vec<&str> = sources.collect();
        if let [_, second, ..] = sources.as_slice() {
            errors.forbidden(&volume.get(second), "may not specify more than 1 volume type");
        }
        validate_source(&volume, errors);
    }
    seen
}

fn validate_source(volume: &Field<'_>, errors: &mut Errors) {
    for (source, required) in [
        ("configMap", "name"),
        ("secret", "secretName"),
        ("hostPath", "path"),
        ("persistentVolumeClaim", "claimName"),
    ] {
        let source = volume.get(source);
        if source.is_set() {
            require_text(&source.get(required), errors);
        }
    }
    let host = volume.get("hostPath");
    let path = host.get("path");
    if path.text().split('/').any(|step| step == "..") {
        errors.invalid(&path, "must not contain '..'");
    }
    let empty = volume.get("emptyDir");
    let size = empty.get("sizeLimit");
    if size.is_set() {
        resources::validate_quantity(&size, errors);
    }
    for source in ["configMap", "secret"] {
        let source = volume.get(source);
        let items = source.get("items");
        for item in items.items() {
            require_text(&item.get("key"), errors);
            let path = item.get("path");
            require_text(&path, errors);
            if path.text().starts_with('/') || path.text().split('/').any(|step| step == "..") {
                errors.invalid(&path, "must be a relative path and must not contain '..'");
            }
        }
    }
}
