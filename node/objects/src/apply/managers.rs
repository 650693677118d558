//! `metadata.managedFields`: who owns which fields of an object.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::field_set::FieldSet;
use crate::lifecycle::rfc3339;
use crate::limits;

/// Who stands for the updaters that are no longer told apart.
const ANCIENT: &str = "ancient-changes";

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// By applying a configuration: what it no longer mentions goes.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    /// When its fields were last others.
    pub(super) time: String,
    /// `status`, `scale`, `ephemeralcontainers` or `resize`; empty for the object itself.
    pub(super) subresource: String,
    pub(super) fields: FieldSet,
}

impl Manager {
    fn read(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry[name].as_str().unwrap_or("").to_owned();
        let operation = match entry["operation"].as_str() {
            Some("Apply") => Operation::Apply,
            Some("Update") => Operation::Update,
            _ => return None,
        };
        Some(Self {
            name: text("manager"),
            operation,
            api_version: text("apiVersion"),
            time: text("time"),
            subresource: text("subresource"),
            fields: FieldSet::from_fields_v1(&entry["fieldsV1"])?,
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.name,
            "operation": self.operation.as_str(),
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_fields_v1(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    /// Whether writes of the other one are writes of this one.
    fn is(&self, other: &Self) -> bool {
        (&self.name, self.operation, &self.subresource)
            == (&other.name, other.operation, &other.subresource)
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As conflicts name it.
    pub(super) fn display(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Managers(pub(super) Vec<Manager>);

impl Managers {
    /// Reads `managedFields`; `None` where an entry is not understood.
    pub(super) fn read(list: &Value) -> Option<Self> {
        let entries = list.as_array()?;
        entries.iter().map(Manager::read).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The entry of a manager, if it has one.
    pub(super) fn find(&self, wanted: &Manager) -> Option<&Manager> {
        self.0.iter().find(|manager| manager.is(wanted))
    }

    /// Those that are not this one.
    pub(super) fn others_mut(&mut self, one: &Manager) -> impl Iterator<Item = &mut Manager> {
        self.0.iter_mut().filter(move |manager| !manager.is(one))
    }

    /// Gives a manager these fields and no others.
    pub(super) fn set(&mut self, one: Manager) {
        match self.0.iter_mut().find(|manager| manager.is(&one)) {
            Some(manager) => *manager = one,
            None => self.0.push(one),
        }
    }

    /// What all of them own together.
    pub(super) fn owned(&self) -> FieldSet {
        let mut all = FieldSet::default();
        self.0.iter().for_each(|manager| all.unite(manager.fields.clone()));
        all
    }

    /// As `managedFields`, in Kubernetes' order. Whose fields are others than in `before` changed
    /// them now; who owns nothing goes.
    pub(super) fn write(mut self, before: &Self, now: Timestamp) -> Value {
        self.0.retain(|manager| !manager.fields.is_empty());
        for manager in &mut self.0 {
            let is_same = |was: &&Manager| {
                was.fields == manager.fields && was.api_version == manager.api_version
            };
            manager.time = match before.find(manager).filter(is_same) {
                Some(was) if !was.time.is_empty() => was.time.clone(),
                _ => rfc3339(now),
            };
        }
        self.join_ancient();
        self.0.sort_by(|a, b| {
            (a.operation, &a.time, &a.name, &a.subresource).cmp(&(
                b.operation,
                &b.time,
                &b.name,
                &b.subresource,
            ))
        });
        self.0.iter().map(Manager::write).collect()
    }

    fn join_ancient(&mut self) {
        let (mut updaters, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|one| one.operation == Operation::Update);
        updaters.sort_by(|a, b| (b.name != ANCIENT, &b.time).cmp(&(a.name != ANCIENT, &a.time)));
        let old = updaters.split_off(updaters.len().min(limits::UPDATERS));
        for one in old {
            match updaters.iter_mut().find(|known| known.name == ANCIENT) {
                Some(ancient) => ancient.fields.unite(one.fields),
                None => updaters.push(Manager {
                    name: ANCIENT.to_owned(),
                    subresource: String::new(),
                    ..one
                }),
            }
        }
        kept.extend(updaters);
        self.0 = kept;
    }
}
