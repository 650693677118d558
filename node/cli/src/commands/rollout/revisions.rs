//! The versions of a Deployment, as its replica sets keep them. Pure.

use jiff::Timestamp;
use serde_json::Value;

use crate::exit::UsageError;
use crate::render::columns::{Cell, layout};
use crate::render::status::age;
use crate::terminal::{Palette, Tone};

const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// The label by which a replica set tells its pods from those of another version.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// A version, and the replica set that holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Revision {
    /// Its number; a version that comes back gets a new one.
    pub(super) number: u64,
    set: Value,
}

impl Revision {
    /// The pod template without what the replica set added to it.
    pub(super) fn template(&self) -> Value {
        let mut template = self.set["spec"]["template"].clone();
        if let Some(labels) =
            template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut)
        {
            labels.remove(TEMPLATE_HASH);
        }
        template
    }
}

/// The revisions of a Deployment among replica sets, oldest first.
pub(super) fn of(deployment: &Value, sets: Vec<Value>) -> Vec<Revision> {
    let owner = deployment.pointer("/metadata/uid");
    let is_owned = |set: &Value| {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owner.is_some()
            && owners.is_some_and(|owners| owners.iter().any(|one| one.get("uid") == owner))
    };
    let mut revisions: Vec<Revision> = sets
        .into_iter()
        .filter(is_owned)
        .filter_map(|set| {
            let number = set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()?;
            Some(Revision { number, set })
        })
        .collect();
    revisions.sort_by_key(|revision| revision.number);
    revisions
}

/// The revision to go back to: the one asked for, or the one before the newest.
pub(super) fn target(revisions: &[Revision], to: Option<u64>) -> Result<&Revision, UsageError> {
    let Some((newest, earlier)) = revisions.split_last() else {
        return Err(UsageError::new("there is no revision yet"));
    };
    match to {
        None => earlier.last().ok_or_else(|| UsageError::new("there is no earlier revision")),
        Some(number) if number == newest.number => {
            Err(UsageError::new(format!("revision {number} is the one that runs")))
        }
        Some(number) => {
            earlier.iter().find(|revision| revision.number == number).ok_or_else(|| {
                let known: Vec<String> =
                    earlier.iter().map(|revision| revision.number.to_string()).collect();
                UsageError::new(format!(
                    "there is no revision {number}; there are: {}",
                    known.join(", ")
                ))
            })
        }
    }
}

/// A line per revision.
pub(super) fn render(revisions: &[Revision], now: Timestamp, palette: Palette) -> String {
    let newest = revisions.last().map(|revision| revision.number);
    let rows: Vec<Vec<Cell>> =
        revisions.iter().map(|revision| row(revision, newest, now)).collect();
    layout(&["REVISION", "IMAGES", "REPLICAS", "AGE", "CAUSE"], &rows, palette)
}

fn row(revision: &Revision, newest: Option<u64>, now: Timestamp) -> Vec<Cell> {
    let set = &revision.set;
    let containers = set.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let images: Vec<&str> = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container["image"].as_str())
        .collect();
    let created = set["metadata"]["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
    let tone = if Some(revision.number) == newest { Tone::Good } else { Tone::Plain };
    vec![
        Cell::new(revision.number.to_string(), tone),
        Cell::plain(images.join(",")),
        Cell::plain(set["status"]["replicas"].as_u64().unwrap_or(0).to_string()),
        Cell::plain(created.map_or_else(|| "-".to_owned(), |created| age(created, now))),
        Cell::plain(set["metadata"]["annotations"][CHANGE_CAUSE].as_str().unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(revision: &str, owner: &str, image: &str) -> Value {
        json!({
            "metadata": {
                "annotations": {REVISION: revision, CHANGE_CAUSE: format!("to {image}")},
                "ownerReferences": [{"uid": owner}], "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"template": {
                "metadata": {"labels": {"app": "web", TEMPLATE_HASH: "abc"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            }},
            "status": {"replicas": 2},
        })
    }

    fn revisions() -> Vec<Revision> {
        let deployment = json!({"metadata": {"uid": "u1"}});
        of(
            &deployment,
            vec![
                set("10", "u1", "web:3"),
                set("2", "u1", "web:1"),
                set("3", "u2", "other:1"),
                set("9", "u1", "web:2"),
            ],
        )
    }

    #[test]
    fn only_owned_sets_count_and_the_newest_is_last() {
        let numbers: Vec<u64> = revisions().iter().map(|revision| revision.number).collect();
        assert_eq!(numbers, [2, 9, 10]);
    }

    #[test]
    fn undo_goes_to_the_one_before_or_the_one_named() {
        let revisions = revisions();
        assert_eq!(target(&revisions, None).unwrap().number, 9);
        assert_eq!(target(&revisions, Some(2)).unwrap().number, 2);
        let message = |to| target(&revisions, to).unwrap_err().to_string();
        assert_eq!(message(Some(7)), "there is no revision 7; there are: 2, 9");
        assert_eq!(message(Some(10)), "revision 10 is the one that runs");
        assert!(target(&revisions[..1], None).is_err());
    }

    #[test]
    fn the_template_goes_back_without_the_hash() {
        assert_eq!(revisions()[0].template()["metadata"]["labels"], json!({"app": "web"}));
    }

    #[test]
    fn history_shows_images_and_causes() {
        insta::assert_snapshot!(render(
            &revisions(),
            "2026-01-01T01:00:00Z".parse().unwrap(),
            Palette::PLAIN
        ));
    }
}
