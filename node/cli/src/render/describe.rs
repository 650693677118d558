//! Any object for people to read: its metadata, its fields as an indented tree, conditions and
//! events as tables. Knows no kind but Secret, whose values it does not show.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::columns::{Cell, layout};
use super::status::age;
use crate::commands::apply::LAST_APPLIED;
use crate::terminal::{Palette, Tone};

/// Blanks a level is indented by.
const STEP: usize = 2;

/// An object and what is shown with it.
pub(crate) struct Described {
    /// The object.
    pub(crate) object: Value,
    /// The pods on it, if it is a node.
    pub(crate) pods: Vec<Value>,
    /// Its events.
    pub(crate) events: Vec<Value>,
}

/// Renders all of it.
pub(crate) fn render(described: &Described, now: Timestamp, palette: Palette) -> String {
    let object = &described.object;
    let mut page = Page { text: String::new(), now, palette };
    page.metadata(object);
    let is_secret = object["kind"] == "Secret";
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "metadata" => {}
            "data" | "stringData" if is_secret => page.secret(name, value),
            _ => page.field(0, name, value),
        }
    }
    page.pods(&described.pods);
    page.events(&described.events);
    page.text
}

struct Page {
    text: String,
    now: Timestamp,
    palette: Palette,
}

impl Page {
    /// Writing to a string cannot fail.
    fn line(&mut self, depth: usize, name: &str, value: &str) {
        let heading = self.palette.paint(Tone::Heading, &format!("{name}:"));
        let indent = depth * STEP;
        let line = format!("{:indent$}{heading} {value}", "");
        writeln!(self.text, "{}", line.trim_end()).ok();
    }

    fn metadata(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.line(0, "Name", &text(&metadata["name"]));
        if metadata["namespace"].is_string() {
            self.line(0, "Namespace", &text(&metadata["namespace"]));
        }
        self.line(
            0,
            "Kind",
            &format!("{} ({})", text(&object["kind"]), text(&object["apiVersion"])),
        );
        if let Some(created) = time(&metadata["creationTimestamp"]) {
            self.line(0, "Created", &format!("{created} ({} ago)", age(created, self.now)));
        }
        if let Some(deleted) = time(&metadata["deletionTimestamp"]) {
            self.line(0, "Deletion", &format!("{deleted}: being deleted"));
        }
        for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
            self.line(0, "Owner", &format!("{}/{}", text(&owner["kind"]), text(&owner["name"])));
        }
        self.pairs("Labels", &metadata["labels"]);
        self.pairs("Annotations", &metadata["annotations"]);
    }

    fn pairs(&mut self, name: &str, pairs: &Value) {
        let shown: Vec<(&String, &Value)> = pairs
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != LAST_APPLIED)
            .collect();
        if shown.is_empty() {
            return self.line(0, name, "<none>");
        }
        self.line(0, name, "");
        for (key, value) in shown {
            writeln!(self.text, "{:STEP$}{key}={}", "", scalar(value)).ok();
        }
    }

    fn secret(&mut self, name: &str, values: &Value) {
        self.line(0, &title(name), "");
        for (key, value) in values.as_object().into_iter().flatten() {
            let length = value.as_str().map_or(0, str::len);
            // Base64 holds three bytes in four characters, its padding aside.
            let padding = value
                .as_str()
                .map_or(0, |text| text.bytes().rev().take_while(|&byte| byte == b'=').count());
            let bytes =
                if name == "data" { (length / 4 * 3).saturating_sub(padding) } else { length };
            self.line(1, key, &format!("{bytes} bytes"));
        }
    }

    fn field(&mut self, depth: usize, name: &str, value: &Value) {
        match value {
            Value::Object(members) if members.is_empty() => self.line(depth, &title(name), "{}"),
            Value::Object(members) => {
                self.line(depth, &title(name), "");
                // Keys of maps that users fill are data, not field names.
                let is_data = matches!(
                    name,
                    "data"
                        | "binaryData"
                        | "labels"
                        | "annotations"
                        | "matchLabels"
                        | "nodeSelector"
                );
                for (key, value) in members {
                    if is_data {
                        self.text_value(depth + 1, key, value);
                    } else {
                        self.field(depth + 1, key, value);
                    }
                }
            }
            Value::Array(items) if name == "conditions" => self.conditions(depth, items),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                self.line(depth, &title(name), "");
                for item in items {
                    self.item(depth + 1, item);
                }
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(scalar).collect();
                self.line(depth, &title(name), &items.join(" "));
            }
            _ => self.text_value(depth, &title(name), value),
        }
    }

    /// An element of a list: under its name if it has one.
    fn item(&mut self, depth: usize, item: &Value) {
        let empty = Map::new();
        let members = item.as_object().unwrap_or(&empty);
        let key = ["name", "type", "key", "ip"]
            .into_iter()
            .find(|key| members.get(*key).is_some_and(Value::is_string));
        let heading = key.map_or_else(|| "-".to_owned(), |key| scalar(&members[key]));
        self.line(depth, &heading, "");
        for (name, value) in members.iter().filter(|(name, _)| Some(name.as_str()) != key) {
            self.field(depth + 1, name, value);
        }
    }

    fn text_value(&mut self, depth: usize, name: &str, value: &Value) {
        let text = scalar(value);
        if !text.contains('\n') {
            return self.line(depth, name, &text);
        }
        self.line(depth, name, "");
        let indent = (depth + 1) * STEP;
        for line in text.lines() {
            writeln!(self.text, "{}", format!("{:indent$}{line}", "").trim_end()).ok();
        }
    }

    fn table(&mut self, depth: usize, headings: &[&str], rows: &[Vec<Cell>]) {
        let indent = depth * STEP;
        for line in layout(headings, rows, self.palette).lines() {
            writeln!(self.text, "{:indent$}{line}", "").ok();
        }
    }

    fn conditions(&mut self, depth: usize, items: &[Value]) {
        self.line(depth, "Conditions", "");
        let rows: Vec<Vec<Cell>> = items
            .iter()
            .map(|item| {
                let since = time(&item["lastTransitionTime"]).map(|since| age(since, self.now));
                let names = ["type", "status", "reason", "message"];
                let mut row: Vec<Cell> =
                    names.iter().map(|name| Cell::plain(scalar(&item[*name]))).collect();
                row.insert(2, Cell::plain(since.unwrap_or_default()));
                row
            })
            .collect();
        self.table(depth + 1, &["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"], &rows);
    }

    fn pods(&mut self, pods: &[Value]) {
        if pods.is_empty() {
            return;
        }
        self.line(0, "Pods", "");
        let rows: Vec<Vec<Cell>> = pods
            .iter()
            .map(|pod| {
                let cell =
                    |pointer| Cell::plain(pod.pointer(pointer).map(scalar).unwrap_or_default());
                vec![
                    cell("/metadata/namespace"),
                    cell("/metadata/name"),
                    cell("/status/phase"),
                    cell("/status/podIP"),
                ]
            })
            .collect();
        self.table(1, &["NAMESPACE", "NAME", "PHASE", "IP"], &rows);
    }

    fn events(&mut self, events: &[Value]) {
        if events.is_empty() {
            return self.line(0, "Events", "<none>");
        }
        self.line(0, "Events", "");
        let mut events: Vec<(Option<Timestamp>, &Value)> =
            events.iter().map(|event| (last_seen(event), event)).collect();
        events.sort_by_key(|(seen, _)| *seen);
        let rows: Vec<Vec<Cell>> = events
            .into_iter()
            .map(|(seen, event)| {
                let count = event["count"].as_u64().unwrap_or(1);
                let seen = seen.map(|seen| age(seen, self.now)).unwrap_or_default();
                let seen = if count > 1 { format!("{seen} (x{count})") } else { seen };
                let tone = if event["type"] == "Warning" { Tone::Warning } else { Tone::Plain };
                let from =
                    event.pointer("/source/component").or_else(|| event.get("reportingComponent"));
                vec![
                    Cell::plain(seen),
                    Cell::new(scalar(&event["type"]), tone),
                    Cell::plain(scalar(&event["reason"])),
                    Cell::plain(from.map(scalar).unwrap_or_default()),
                    Cell::plain(scalar(&event["message"])),
                ]
            })
            .collect();
        self.table(1, &["LAST SEEN", "TYPE", "REASON", "FROM", "MESSAGE"], &rows);
    }
}

fn last_seen(event: &Value) -> Option<Timestamp> {
    ["lastTimestamp", "eventTime", "firstTimestamp"].iter().find_map(|name| time(&event[*name]))
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `nodeName` → `Node Name`, `podIP` → `Pod IP`.
fn title(name: &str) -> String {
    let mut result = String::new();
    let mut was_lower = false;
    for (index, character) in name.chars().enumerate() {
        if character.is_uppercase() && was_lower {
            result.push(' ');
        }
        was_lower = character.is_lowercase();
        if index == 0 { result.extend(character.to_uppercase()) } else { result.push(character) }
    }
    result
}

#[cfg(test)]
mod tests;
