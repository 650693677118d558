//! Sets of fields: what a manager owns.
//!
//! The form on the wire is `FieldsV1`: a member `.` says that the field itself is in the set,
//! `f:NAME` leads to the member of a map, `k:{…}` to the item of a list with these keys, `v:…` to
//! an item of a list of scalars, `i:N` to the item at a place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The member of `FieldsV1` that stands for the field itself.
const ITSELF: &str = ".";

/// What the steps of a path begin with.
const STEPS: [&str; 4] = ["f:", "i:", "k:", "v:"];

/// A set of fields, as a tree of the steps that lead to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// Whether the field that the steps so far lead to is in the set.
    itself: bool,
    /// What is in the set below it; never empty sets.
    members: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set of the field itself.
    pub(super) fn itself() -> Self {
        Self { itself: true, members: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.itself && self.members.is_empty()
    }

    /// What is in the set behind a step.
    pub(super) fn behind(&self, step: &str) -> Option<&Self> {
        self.members.get(step)
    }

    /// Adds the field itself.
    pub(super) fn add_itself(&mut self) {
        self.itself = true;
    }

    /// Adds a set behind a step.
    pub(super) fn add(&mut self, step: &str, set: Self) {
        if !set.is_empty() {
            self.members.entry(step.to_owned()).or_default().unite(set);
        }
    }

    /// Takes out whatever is behind a step.
    pub(super) fn take(&mut self, step: &str) -> Option<Self> {
        self.members.remove(step)
    }

    /// Adds all of another set.
    pub(super) fn unite(&mut self, other: Self) {
        self.itself |= other.itself;
        for (step, set) in other.members {
            self.members.entry(step).or_default().unite(set);
        }
    }

    /// Takes out all of another set.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.itself &= !other.itself;
        for (step, gone) in &other.members {
            if let Some(set) = self.members.get_mut(step) {
                set.subtract(gone);
                if set.is_empty() {
                    self.members.remove(step);
                }
            }
        }
    }

    /// What both sets have.
    pub(super) fn common(&self, other: &Self) -> Self {
        let mut both = Self { itself: self.itself && other.itself, members: BTreeMap::new() };
        for (step, set) in &self.members {
            if let Some(other) = other.members.get(step) {
                both.add(step, set.common(other));
            }
        }
        both
    }

    /// The paths of the fields below which nothing is in the set, as messages have them:
    /// `.spec.containers[name="a"].image`.
    pub(super) fn leaves(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_leaves(&mut String::new(), &mut paths);
        paths
    }

    fn collect_leaves(&self, path: &mut String, paths: &mut Vec<String>) {
        if self.members.is_empty() && self.itself {
            paths.push(path.clone());
        }
        for (step, set) in &self.members {
            let end = path.len();
            push_step(path, step);
            set.collect_leaves(path, paths);
            path.truncate(end);
        }
    }

    /// As `FieldsV1`.
    pub(super) fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        if self.itself && !self.members.is_empty() {
            map.insert(ITSELF.to_owned(), Value::Object(Map::new()));
        }
        for (step, set) in &self.members {
            map.insert(step.clone(), set.to_fields_v1());
        }
        Value::Object(map)
    }

    /// Reads `FieldsV1`; the whole object is never in a set. `None` where it is something else.
    pub(super) fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut set = Self::read(fields)?;
        set.itself = false;
        Some(set)
    }

    fn read(fields: &Value) -> Option<Self> {
        let map = fields.as_object()?;
        let mut set = Self { itself: map.is_empty(), members: BTreeMap::new() };
        for (step, below) in map {
            if step == ITSELF {
                set.itself = true;
            } else if STEPS.iter().any(|start| step.starts_with(start)) {
                set.add(step, Self::read(below)?);
            } else {
                return None;
            }
        }
        Some(set)
    }
}

/// Writes a step of a path as messages have it.
fn push_step(path: &mut String, step: &str) {
    let (kind, rest) = step.split_at_checked(2).unwrap_or(("", step));
    match kind {
        "f:" => {
            path.push('.');
            path.push_str(rest);
        }
        "k:" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> =
                keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            path.push_str(&format!("[{}]", keys.join(",")));
        }
        "v:" => path.push_str(&format!("[={rest}]")),
        _ => path.push_str(&format!("[{rest}]")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(fields: &Value) -> FieldSet {
        FieldSet::from_fields_v1(fields).unwrap()
    }

    #[test]
    fn what_is_read_is_written_again() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}},
        });
        assert_eq!(set(&fields).to_fields_v1(), fields);
        assert_eq!(
            set(&fields).leaves(),
            [".metadata.labels.app", ".spec.containers[name=\"a\"].image"]
        );
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for broken in [json!([]), json!({"f:a": 1}), json!({"a": {}}), json!({"é": {}})] {
            assert_eq!(FieldSet::from_fields_v1(&broken), None, "{broken}");
        }
    }

    fn sets() -> impl Strategy<Value = FieldSet> {
        let leaf = any::<bool>().prop_map(|itself| FieldSet { itself, ..FieldSet::default() });
        leaf.prop_recursive(3, 24, 3, |below| {
            let members = prop::collection::btree_map("f:[abc]", below, 0..4);
            (any::<bool>(), members).prop_map(|(itself, members)| {
                let mut set = FieldSet { itself, ..FieldSet::default() };
                members.into_iter().for_each(|(step, below)| set.add(&step, below));
                set
            })
        })
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(one in sets(), other in sets()) {
            let (mut all, mut rest) = (one.clone(), one.clone());
            all.unite(other.clone());
            rest.subtract(&other);
            let both = one.common(&other);
            prop_assert_eq!(&both, &other.common(&one));
            prop_assert!(rest.common(&other).is_empty());
            let mut parts = rest;
            parts.unite(both);
            prop_assert_eq!(parts, one);
            prop_assert_eq!(all.common(&other), other);
        }
    }
}
