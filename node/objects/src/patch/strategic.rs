//! Strategic merge patch: a merge patch that knows which lists are sets.
//!
//! Follows the Kubernetes contributors' page "Strategic Merge Patch": the directives `$patch`,
//! `$retainKeys`, `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`.

use serde_json::{Map, Value};

use super::{MergeRule, merge_rule};
use crate::kind::Kind;
use crate::schema::TypeRef;
use crate::status::StatusError;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_SCALARS: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch to an object of a kind.
///
/// # Errors
/// 400 when the patch is not a map, an item lacks its merge key, or a directive is malformed.
pub fn strategic_merge_patch(
    kind: &Kind,
    object: &Value,
    patch: &Value,
) -> Result<Value, StatusError> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(refuse("a strategic merge patch is a map".to_owned()));
    };
    merge_map(object.clone(), patch, TypeRef::of(kind)).map(Value::Object)
}

fn refuse(detail: String) -> StatusError {
    StatusError::bad_request(format!("error applying patch: {detail}"))
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, StatusError> {
    match patch.get(PATCH) {
        None => Ok(Directive::Merge),
        Some(Value::String(word)) if word == "merge" => Ok(Directive::Merge),
        Some(Value::String(word)) if word == "replace" => Ok(Directive::Replace),
        Some(Value::String(word)) if word == "delete" => Ok(Directive::Delete),
        Some(other) => Err(refuse(format!("unrecognized {PATCH} directive {other}"))),
    }
}

fn merge_map(
    mut target: Map<String, Value>,
    patch: &Map<String, Value>,
    of: TypeRef<'_>,
) -> Result<Map<String, Value>, StatusError> {
    match directive(patch)? {
        Directive::Merge => {}
        Directive::Delete => return Ok(Map::new()),
        Directive::Replace => {
            let mut replacement = patch.clone();
            replacement.remove(PATCH);
            return Ok(replacement);
        }
    }
    let places = original_places(&target, patch);
    retain_keys(&mut target, patch)?;
    delete_scalars(&mut target, patch)?;
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        let rule = merge_rule(of.name, name);
        let member = of.member(name);
        let replaces = rule.is_some_and(MergeRule::replaces);
        let merged = match (target.remove(name), value) {
            (_, Value::Null) => continue,
            (Some(Value::Object(old)), Value::Object(new)) if !replaces => {
                Value::Object(merge_map(old, new, member)?)
            }
            (_, Value::Object(new)) => Value::Object(merge_map(Map::new(), new, member)?),
            (old, Value::Array(new)) => {
                let old = match old {
                    Some(Value::Array(old)) => old,
                    _ => Vec::new(),
                };
                Value::Array(merge_list(old, new, rule, member)?)
            }
            (_, scalar) => scalar.clone(),
        };
        target.insert(name.clone(), merged);
    }
    set_orders(&mut target, patch, of, &places)?;
    Ok(target)
}

/// Drops the members that `$retainKeys` does not list.
fn retain_keys(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), StatusError> {
    let Some(listed) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let Some(listed) = listed.as_array() else {
        return Err(refuse(format!("{RETAIN_KEYS} is not a list")));
    };
    let keeps = |name: &String| listed.iter().any(|one| one == name.as_str());
    let unlisted = patch
        .iter()
        .find(|(name, value)| !name.starts_with('$') && !value.is_null() && !keeps(name));
    if let Some((name, _)) = unlisted {
        return Err(refuse(format!("{name} is in the patch but not in its {RETAIN_KEYS}")));
    }
    target.retain(|name, _| keeps(name));
    Ok(())
}

fn delete_scalars(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), StatusError> {
    for (name, gone) in patch {
        let Some(field) = name.strip_prefix(DELETE_SCALARS) else { continue };
        let Some(gone) = gone.as_array() else {
            return Err(refuse(format!("{name} is not a list")));
        };
        if let Some(list) = target.get_mut(field).and_then(Value::as_array_mut) {
            list.retain(|item| !gone.contains(item));
        }
    }
    Ok(())
}

fn merge_list(
    old: Vec<Value>,
    patch: &[Value],
    rule: Option<MergeRule>,
    of: TypeRef<'_>,
) -> Result<Vec<Value>, StatusError> {
    match rule.filter(|rule| rule.merges()) {
        None => plain_list(patch, of.items()),
        Some(rule) if rule.key.is_empty() => Ok(merge_scalars(old, patch)),
        Some(rule) => merge_items(old, patch, rule.key, of.items()),
    }
}

/// A list that replaces the old one: only the directives inside its items are carried out.
fn plain_list(patch: &[Value], of: TypeRef<'_>) -> Result<Vec<Value>, StatusError> {
    let mut list = Vec::with_capacity(patch.len());
    for item in patch {
        match item {
            Value::Object(map) => list.push(Value::Object(merge_map(Map::new(), map, of)?)),
            other => list.push(other.clone()),
        }
    }
    Ok(list)
}

fn merge_scalars(mut old: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    for item in patch {
        if !old.contains(item) {
            old.push(item.clone());
        }
    }
    old
}

fn merge_items(
    mut old: Vec<Value>,
    patch: &[Value],
    key: &str,
    of: TypeRef<'_>,
) -> Result<Vec<Value>, StatusError> {
    let replaces = |item: &Value| item.get(PATCH).is_some_and(|word| word == "replace");
    if patch.iter().any(|item| replaces(item) && item.get(key).is_none()) {
        let rest: Vec<Value> = patch.iter().filter(|item| !replaces(item)).cloned().collect();
        return plain_list(&rest, of);
    }
    for item in patch {
        let Some(map) = item.as_object() else {
            return Err(refuse(format!("{item} is not a map with the merge key {key:?}")));
        };
        let Some(id) = map.get(key) else {
            return Err(refuse(format!("{item} does not contain declared merge key: {key}")));
        };
        let place = old.iter().position(|known| known.get(key) == Some(id));
        if matches!(directive(map)?, Directive::Delete) {
            old.retain(|known| known.get(key) != Some(id));
            continue;
        }
        let before = place.and_then(|place| old.get_mut(place)).and_then(Value::as_object_mut);
        let before = before.map(std::mem::take).unwrap_or_default();
        let merged = Value::Object(merge_map(before, map, of)?);
        match place.and_then(|place| old.get_mut(place)) {
            Some(slot) => *slot = merged,
            None => old.push(merged),
        }
    }
    Ok(old)
}

/// The lists that a `$setElementOrder` directive will order, as they were.
fn original_places(target: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let fields = patch.keys().filter_map(|name| name.strip_prefix(ORDER));
    fields.filter_map(|field| Some((field.to_owned(), target.get(field)?.clone()))).collect()
}

/// Puts lists into the order that `$setElementOrder` directives ask for.
fn set_orders(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    of: TypeRef<'_>,
    originals: &Map<String, Value>,
) -> Result<(), StatusError> {
    for (name, order) in patch {
        let Some(field) = name.strip_prefix(ORDER) else { continue };
        let Some(order) = order.as_array() else {
            return Err(refuse(format!("{name} is not a list")));
        };
        let key = merge_rule(of.name, field).map_or("", |rule| rule.key);
        if let Some(list) = target.get_mut(field).and_then(Value::as_array_mut) {
            let items = std::mem::take(list);
            let original = originals.get(field).and_then(Value::as_array);
            *list = ordered(items, order, original.map_or(&[], Vec::as_slice), key);
        }
    }
    Ok(())
}

fn identity<'v>(item: &'v Value, key: &str) -> &'v Value {
    if key.is_empty() { item } else { item.get(key).unwrap_or(&Value::Null) }
}

/// The listed items in the listed order; the others keep their original place among them.
fn ordered(items: Vec<Value>, order: &[Value], original: &[Value], key: &str) -> Vec<Value> {
    let find = |list: &[Value], item: &Value| {
        list.iter().position(|one| identity(one, key) == identity(item, key))
    };
    let (mut listed, others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| find(order, item).is_some());
    listed.sort_by_cached_key(|item| find(order, item));
    let mut others = others.into_iter().peekable();
    let mut out = Vec::with_capacity(listed.len());
    for item in listed {
        if let Some(place) = find(original, &item) {
            while let Some(other) =
                others.next_if(|other| find(original, other).is_some_and(|before| before < place))
            {
                out.push(other);
            }
        }
        out.push(item);
    }
    out.extend(others);
    out
}
