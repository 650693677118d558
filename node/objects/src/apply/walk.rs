//! Walks over values that know which lists are sets or maps: their fields, how two differ, how one
//! is merged into another, and what of one is taken away.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::topology::{Keys, Topology, topology};
use crate::kind::Kind;
use crate::schema::TypeRef;

/// A member of a key that items may leave out, and what it is then.
const DEFAULT_KEY: (&str, &str) = ("protocol", "TCP");

/// A value's type, and what the field it is in says about it.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    of: TypeRef<'s>,
    said: Option<Topology<'s>>,
}

/// A part of a value that has an owner of its own.
struct Part<'s, 'v> {
    step: String,
    /// The name of a member; `None` of an item.
    name: Option<&'v str>,
    place: Place<'s>,
    value: &'v Value,
    /// Whether it is owned for being there, apart from what is in it.
    counts: bool,
}

impl<'s> Place<'s> {
    /// Where an object of a kind begins.
    pub(super) fn of(kind: &'s Kind) -> Place<'s> {
        Place { of: TypeRef::of(kind), said: None }
    }

    fn topology(self, value: &Value) -> Topology<'s> {
        let said = self.said.or_else(|| topology(self.of.name, ""));
        said.or_else(|| Topology::declared(self.of)).unwrap_or(match value {
            Value::Object(_) => Topology::Granular,
            _ => Topology::Atomic,
        })
    }

    /// The parts of a value; `None` where it has one owner as a whole.
    fn parts<'v>(self, value: &'v Value) -> Option<Vec<Part<'s, 'v>>> {
        match (value, self.topology(value)) {
            (Value::Object(members), Topology::Granular) => {
                Some(members.iter().map(|(name, value)| self.member(name, value)).collect())
            }
            (Value::Array(items), Topology::Set | Topology::Map(_)) => {
                Some(items.iter().map(|item| self.item(item, value)).collect())
            }
            _ => None,
        }
    }

    fn member<'v>(self, name: &'v str, value: &'v Value) -> Part<'s, 'v> {
        let place = Place { of: self.of.member(name), said: topology(self.of.name, name) };
        let is_bare = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        let counts = is_bare || !self.of.declares(name);
        Part { step: format!("f:{name}"), name: Some(name), place, value, counts }
    }

    fn item<'v>(self, item: &'v Value, list: &Value) -> Part<'s, 'v> {
        let step = match self.topology(list) {
            Topology::Map(keys) => format!("k:{}", Value::Object(key_of(item, keys))),
            _ => format!("v:{item}"),
        };
        let place = Place { of: self.of.items(), said: None };
        Part { step, name: None, place, value: item, counts: true }
    }
}

/// What identifies an item of a list.
fn key_of(item: &Value, keys: Keys<'_>) -> Map<String, Value> {
    let mut found = Map::new();
    for key in keys.iter() {
        match item.get(key) {
            Some(value) => found.insert(key.to_owned(), value.clone()),
            None if key == DEFAULT_KEY.0 => found.insert(key.to_owned(), DEFAULT_KEY.1.into()),
            None => None,
        };
    }
    found
}

/// Parts by their steps; of several items with one key, the first.
type Index<'a, 's, 'v> = BTreeMap<&'a str, &'a Part<'s, 'v>>;

fn index<'a, 's, 'v>(parts: &'a [Part<'s, 'v>]) -> Index<'a, 's, 'v> {
    parts.iter().rev().map(|part| (part.step.as_str(), part)).collect()
}

/// All fields of a value.
pub(super) fn fields(place: Place<'_>, value: &Value) -> FieldSet {
    let Some(parts) = place.parts(value) else { return FieldSet::itself() };
    let mut set = FieldSet::default();
    for part in parts {
        set.add(&part.step, part.fields());
    }
    set
}

impl Part<'_, '_> {
    fn fields(&self) -> FieldSet {
        let mut set = fields(self.place, self.value);
        if self.counts {
            set.add_itself();
        }
        set
    }
}

/// How a value differs from what it was.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Fields that were not there or had another value.
    pub(super) changed: FieldSet,
    /// Fields that are no longer there.
    pub(super) gone: FieldSet,
}

/// Compares two values of a place.
pub(super) fn compare(place: Place<'_>, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    if old == new {
        return difference;
    }
    let (Some(before), Some(after)) = (place.parts(old), place.parts(new)) else {
        difference.changed = fields(place, new);
        difference.gone = fields(place, old);
        difference.gone.subtract(&difference.changed);
        return difference;
    };
    let (were, are) = (index(&before), index(&after));
    for part in &after {
        match were.get(part.step.as_str()) {
            None => difference.changed.add(&part.step, part.fields()),
            Some(was) => {
                let below = compare(part.place, was.value, part.value);
                difference.changed.add(&part.step, below.changed);
                difference.gone.add(&part.step, below.gone);
            }
        }
    }
    for part in before.iter().filter(|part| !are.contains_key(part.step.as_str())) {
        difference.gone.add(&part.step, part.fields());
    }
    difference
}

/// The value that a configuration makes of a live one: what the configuration says holds, what it
/// does not mention stays.
pub(super) fn merge(place: Place<'_>, live: &Value, config: &Value) -> Value {
    let (Some(before), Some(wanted)) = (place.parts(live), place.parts(config)) else {
        return config.clone();
    };
    let were = index(&before);
    let merged = |part: &Part<'_, '_>| match were.get(part.step.as_str()) {
        Some(was) => merge(part.place, was.value, part.value),
        None => part.value.clone(),
    };
    match live {
        Value::Object(members) => {
            let mut members = members.clone();
            for part in &wanted {
                members.extend(part.name.map(|name| (name.to_owned(), merged(part))));
            }
            Value::Object(members)
        }
        _ => Value::Array(merge_items(&before, &wanted, merged)),
    }
}

/// The items of both lists: those that only the live one has when it is their turn there, the
/// others in the order of the configuration.
fn merge_items<'s, 'v>(
    before: &[Part<'s, 'v>],
    wanted: &[Part<'s, 'v>],
    merged: impl Fn(&Part<'s, 'v>) -> Value,
) -> Vec<Value> {
    let (were, are) = (index(before), index(wanted));
    let mut items = Vec::with_capacity(before.len() + wanted.len());
    let mut rest = before.iter().peekable();
    // The items of both that are still to come.
    let shared = wanted.iter().map(|part| part.step.as_str());
    let mut shared = shared.filter(|step| were.contains_key(step)).peekable();
    for part in wanted {
        while let Some(other) = rest.next_if(|other| shared.peek() != Some(&other.step.as_str())) {
            if !are.contains_key(other.step.as_str()) {
                items.push(other.value.clone());
            }
        }
        shared.next_if_eq(&part.step.as_str());
        items.push(merged(part));
    }
    let others = rest.filter(|other| !are.contains_key(other.step.as_str()));
    items.extend(others.map(|other| other.value.clone()));
    items
}

/// Takes away what was somebody's (`former`) and is nobody's any more (`owned` is what all
/// managers own together); what is below goes with it.
pub(super) fn prune(place: Place<'_>, value: &Value, former: &FieldSet, owned: &FieldSet) -> Value {
    let Some(parts) = place.parts(value) else { return value.clone() };
    let kept = parts.into_iter().filter_map(|part| {
        let Some(former) = former.behind(&part.step) else {
            return Some((part.name, part.value.clone()));
        };
        let owned = owned.behind(&part.step)?;
        Some((part.name, prune(part.place, part.value, former, owned)))
    });
    match value {
        Value::Array(_) => Value::Array(kept.map(|(_, item)| item).collect()),
        _ => kept.filter_map(|(name, member)| Some((name?.to_owned(), member))).collect(),
    }
}

/// The first list with two items of one key, as `PATH: KEY`.
pub(super) fn duplicate(place: Place<'_>, value: &Value) -> Option<String> {
    let parts = place.parts(value)?;
    let first = index(&parts);
    for part in &parts {
        let is_first = first.get(part.step.as_str()).is_some_and(|one| std::ptr::eq(*one, part));
        if !is_first && part.name.is_none() {
            return Some(format!(": {}", part.step));
        }
        if let Some(below) = duplicate(part.place, part.value) {
            return Some(part.name.map_or(below.clone(), |name| format!(".{name}{below}")));
        }
    }
    None
}
