//! `skein apply`: brings objects to what manifests say.
//!
//! An object that is there is changed by a merge patch computed from three sides, as
//! `kubectl apply` does it: what was applied last (kept in an annotation), what is to be applied,
//! and what is there. So a field that left the manifest is removed, and a field that somebody else
//! set is left alone.

mod merge;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use crate::connection::Connection;
use crate::discovery::{ApiKind, Kinds};
use crate::manifest::{self, Manifest};
use crate::request::{MERGE_PATCH, with_query};

/// The annotation that holds what was applied last; kubectl's, so that both can take turns.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Which manifests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein apply -f app.yaml
  skein apply -f deploy/ -R               every .yaml, .yml and .json below deploy
  cat app.yaml | skein apply -f -
  skein apply -f app.yaml --dry-run       check against the cluster, change nothing")]
pub(crate) struct ApplyArgs {
    /// Files, directories or `-` for standard input
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Also directories inside directories
    #[arg(short = 'R', long)]
    recursive: bool,

    /// Let the cluster check everything and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Created,
    Configured,
    Unchanged,
}

pub(crate) async fn run(session: &Session<'_>, args: &ApplyArgs) -> anyhow::Result<()> {
    let manifests = manifest::read(&args.files, args.recursive)?;
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let mut failures = 0;
    for manifest in &manifests {
        match apply(&connection, &kinds, manifest, args.dry_run).await {
            Ok(line) => session.terminal.print(&line)?,
            Err(error) => {
                failures += 1;
                session.terminal.error(&error.context(manifest.origin.clone()));
            }
        }
    }
    if failures > 0 {
        bail!("{failures} of {} objects were not applied", manifests.len());
    }
    Ok(())
}

async fn apply(
    connection: &Connection,
    kinds: &Kinds,
    manifest: &Manifest,
    dry_run: bool,
) -> anyhow::Result<String> {
    let kind = kinds.of(&manifest.api_version, &manifest.kind)?;
    if manifest.name.is_empty() {
        bail!("apply needs metadata.name, to find the object again the next time");
    }
    let outcome = converge(connection, kind, manifest, dry_run).await?;
    let done = match outcome {
        Outcome::Created => "created",
        Outcome::Configured => "configured",
        Outcome::Unchanged => "unchanged",
    };
    let remark = if dry_run { " (dry run)" } else { "" };
    Ok(format!("{}/{} {done}{remark}", kind.label(), manifest.name))
}

async fn converge(
    connection: &Connection,
    kind: &ApiKind,
    manifest: &Manifest,
    dry_run: bool,
) -> anyhow::Result<Outcome> {
    let namespace = manifest.namespace.as_deref().unwrap_or(connection.namespace());
    let desired = annotated(&manifest.object)?;
    let strict = [("fieldValidation", "Strict")];
    let options = || strict.into_iter().chain(dry_run.then_some(("dryRun", "All")));
    let path = kind.object_path(namespace, &manifest.name);
    let live = match connection.get(&path).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => {
            connection.post(&with_query(&kind.path(Some(namespace)), options()), &desired).await?;
            return Ok(Outcome::Created);
        }
        Err(error) => return Err(error.into()),
    };
    let original = last_applied(&live);
    let Some(patch) = merge::three_way(&original, &desired, &live) else {
        return Ok(Outcome::Unchanged);
    };
    let after = connection.patch(&with_query(&path, options()), MERGE_PATCH, &patch).await?;
    // The cluster's defaults may make of the patch what is there already.
    let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
    Ok(if !dry_run && version(&after) == version(&live) {
        Outcome::Unchanged
    } else {
        Outcome::Configured
    })
}

/// The object with itself in the annotation, as it will be compared with the next time.
fn annotated(object: &Value) -> anyhow::Result<Value> {
    let mut object = object.clone();
    if let Some(annotations) =
        object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{object}\n");
    let metadata = object["metadata"].as_object_mut().context("metadata is not a mapping")?;
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    let annotations =
        annotations.as_object_mut().context("metadata.annotations is not a mapping")?;
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(text));
    Ok(object)
}

/// What was applied last; an object made in another way has nothing that apply may remove.
fn last_applied(live: &Value) -> Value {
    live["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_holds_the_object_without_itself() {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {LAST_APPLIED: "old", "x": "y"}}});
        let once = annotated(&object).unwrap();
        assert_eq!(
            last_applied(&once),
            json!({"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"x": "y"}}})
        );
        assert_eq!(annotated(&once).unwrap(), once);
    }

    #[test]
    fn a_foreign_object_has_nothing_to_remove() {
        assert_eq!(last_applied(&json!({"metadata": {"name": "a"}})), json!({}));
    }
}
