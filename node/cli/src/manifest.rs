//! Manifests: files, directories or standard input, with several YAML or JSON documents each.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exit::UsageError;
use crate::limits::{MAX_DIRECTORY_DEPTH, MAX_MANIFEST_BYTES};

/// An object as a manifest gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// Where it was read, for messages.
    pub(crate) origin: String,
    /// `apiVersion` of the object.
    pub(crate) api_version: String,
    /// `kind` of the object.
    pub(crate) kind: String,
    /// `metadata.name`; empty if the cluster is to make one up.
    pub(crate) name: String,
    /// `metadata.namespace`.
    pub(crate) namespace: Option<String>,
    /// The whole object.
    pub(crate) object: Value,
}

/// Reads every object under the given paths, in order; `-` is standard input.
pub(crate) fn read(paths: &[PathBuf], recursive: bool) -> Result<Vec<Manifest>, UsageError> {
    let mut manifests = Vec::new();
    let mut left = MAX_MANIFEST_BYTES;
    for path in paths {
        for file in files(path, recursive, 0)? {
            let text = read_file(&file, &mut left)?;
            manifests.extend(parse(&file.display().to_string(), &text)?);
        }
    }
    if manifests.is_empty() {
        return Err(UsageError::new("the manifests hold no object"));
    }
    Ok(manifests)
}

/// The manifests of a directory by name, or the file itself.
fn files(path: &Path, recursive: bool, depth: usize) -> Result<Vec<PathBuf>, UsageError> {
    if path == Path::new("-") {
        return Ok(vec!["/dev/stdin".into()]);
    }
    let unreadable =
        |error: std::io::Error| UsageError::new(format!("cannot read {}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    if depth > MAX_DIRECTORY_DEPTH {
        return Err(UsageError::new(format!("{} lies too deep", path.display())));
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(unreadable)?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            if recursive {
                found.extend(files(&entry, recursive, depth + 1)?);
            }
        } else if entry.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"].iter().any(|known| extension == *known)
        }) {
            found.push(entry);
        }
    }
    Ok(found)
}

fn read_file(path: &Path, left: &mut u64) -> Result<String, UsageError> {
    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(*left).read_to_string(&mut text));
    let read =
        read.map_err(|error| UsageError::new(format!("cannot read {}: {error}", path.display())))?;
    *left -= read as u64;
    if *left == 0 {
        return Err(UsageError::new(format!(
            "the manifests hold more than {} MB",
            MAX_MANIFEST_BYTES >> 20
        )));
    }
    Ok(text)
}

/// The objects of a text; lists are taken apart, empty documents skipped.
pub(crate) fn parse(origin: &str, text: &str) -> Result<Vec<Manifest>, UsageError> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| UsageError::new(format!("{origin} is not valid YAML: {error}")))?;
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let origin = format!("{origin}, document {}", index + 1);
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document {
            Value::Object(mut list)
                if is_list && list.get("items").is_some_and(Value::is_array) =>
            {
                let Some(Value::Array(items)) = list.remove("items") else { continue };
                for item in items {
                    manifests.push(manifest(&origin, item)?);
                }
            }
            other => manifests.push(manifest(&origin, other)?),
        }
    }
    Ok(manifests)
}

fn manifest(origin: &str, object: Value) -> Result<Manifest, UsageError> {
    let text = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let required = |name: &str, pointer: &str| {
        text(pointer).map(str::to_owned).ok_or_else(|| {
            UsageError::new(format!("{origin}: {name} is missing; is this a Kubernetes object?"))
        })
    };
    let name = match text("/metadata/name") {
        Some(name) => name.to_owned(),
        None if text("/metadata/generateName").is_some() => String::new(),
        None => required("metadata.name", "/metadata/name")?,
    };
    Ok(Manifest {
        origin: origin.to_owned(),
        api_version: required("apiVersion", "/apiVersion")?,
        kind: required("kind", "/kind")?,
        name,
        namespace: text("/metadata/namespace").map(str::to_owned),
        object,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse("x.yaml", text)
            .unwrap()
            .into_iter()
            .map(|manifest| format!("{}/{}", manifest.kind, manifest.name))
            .collect()
    }

    #[test]
    fn several_documents_and_lists_are_taken_apart() {
        let text = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n---\n{\"apiVersion\":\"v1\",\"kind\":\"List\",\
                    \"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"b\"}}]}\n";
        assert_eq!(names(text), ["Pod/a", "Secret/b"]);
    }

    #[test]
    fn a_kind_that_only_ends_like_a_list_is_an_object() {
        assert_eq!(
            names("apiVersion: x/v1\nkind: AllowList\nmetadata: {name: a}\n"),
            ["AllowList/a"]
        );
    }

    #[test]
    fn mistakes_are_told_with_file_and_document() {
        let message = |text| parse("x.yaml", text).unwrap_err().to_string();
        assert!(message("kind: [").starts_with("x.yaml is not valid YAML: "));
        assert_eq!(
            message(
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: a}\n"
            ),
            "x.yaml, document 2: apiVersion is missing; is this a Kubernetes object?"
        );
        assert!(message("just text").contains("metadata.name is missing"));
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let error = read(&["/nonexistent/x.yaml".into()], false).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nonexistent/x.yaml: "));
    }
}
