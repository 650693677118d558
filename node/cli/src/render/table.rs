//! The API's own tables (`meta.k8s.io/v1` Table): it decides columns and cells, we align them.

use serde::Deserialize;
use serde_json::Value;

use super::columns::{Cell, layout};
use crate::terminal::{Palette, Tone};

/// What to ask for to get a table.
pub(crate) const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// A table as the API gives it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table {
    #[serde(default)]
    column_definitions: Vec<Column>,
    /// A row per object.
    #[serde(default)]
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize)]
struct Column {
    name: String,
    /// 0 is always shown, more only with `-o wide`.
    #[serde(default)]
    priority: i32,
}

/// One object's cells, and its metadata.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    #[serde(default)]
    cells: Vec<Value>,
    #[serde(default)]
    object: Value,
}

/// What to show besides the columns that are always there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    /// Also the columns of lower priority.
    pub(crate) wide: bool,
    /// A first column with the namespace.
    pub(crate) namespaces: bool,
    /// A last column with the labels.
    pub(crate) labels: bool,
    /// Put before each name, as in `pod/web`: for output of several kinds.
    pub(crate) prefix: Option<&'a str>,
}

impl Table {
    /// Adds the rows of a further page.
    pub(crate) fn extend(&mut self, page: Table) {
        if self.column_definitions.is_empty() {
            self.column_definitions = page.column_definitions;
        }
        self.rows.extend(page.rows);
    }

    /// Renders headings and rows.
    pub(crate) fn render(&self, options: Options<'_>, palette: Palette) -> String {
        let shown: Vec<(usize, &Column)> = self
            .column_definitions
            .iter()
            .enumerate()
            .filter(|(_, column)| options.wide || column.priority == 0)
            .collect();
        let mut headings: Vec<String> =
            shown.iter().map(|(_, column)| column.name.to_uppercase()).collect();
        if options.namespaces {
            headings.insert(0, "NAMESPACE".into());
        }
        if options.labels {
            headings.push("LABELS".into());
        }
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Cell>> =
            self.rows.iter().map(|row| row.render(&shown, options)).collect();
        layout(&headings, &rows, palette)
    }
}

impl Row {
    fn render(&self, shown: &[(usize, &Column)], options: Options<'_>) -> Vec<Cell> {
        let metadata = &self.object["metadata"];
        let mut cells: Vec<Cell> = shown
            .iter()
            .map(|(index, column)| {
                let text = cell_text(self.cells.get(*index).unwrap_or(&Value::Null));
                match options.prefix {
                    Some(prefix) if *index == 0 => Cell::plain(format!("{prefix}/{text}")),
                    _ => Cell::new(&text, tone(&column.name, &text)),
                }
            })
            .collect();
        if options.namespaces {
            cells.insert(0, Cell::plain(metadata["namespace"].as_str().unwrap_or_default()));
        }
        if options.labels {
            cells.push(Cell::plain(labels(&metadata["labels"])));
        }
        cells
    }
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => "<none>".into(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

/// `a=1,b=2`, or `<none>`.
pub(crate) fn labels(labels: &Value) -> String {
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

/// Colours states, and nothing else.
fn tone(column: &str, text: &str) -> Tone {
    if !matches!(column.to_ascii_lowercase().as_str(), "status" | "phase" | "type" | "reason") {
        return Tone::Plain;
    }
    match text {
        "Running" | "Ready" | "Active" | "Bound" | "Completed" | "Succeeded" => Tone::Good,
        "Pending" | "Terminating" | "ContainerCreating" | "Warning" | "Unknown" => Tone::Warning,
        "Normal" => Tone::Plain,
        _ if ["NotReady", "Error", "BackOff", "Failed", "Err", "Evicted", "OOMKilled"]
            .iter()
            .any(|bad| text.contains(bad)) =>
        {
            Tone::Bad
        }
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        serde_json::from_value(json!({
            "columnDefinitions": [
                {"name": "Name", "type": "string", "priority": 0},
                {"name": "Status", "type": "string", "priority": 0},
                {"name": "Restarts", "type": "integer", "priority": 0},
                {"name": "Node", "type": "string", "priority": 1},
            ],
            "rows": [
                {"cells": ["web-1", "Running", 0, "h1"],
                 "object": {"metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "web", "tier": "1"}}}},
                {"cells": ["web-2", "CrashLoopBackOff", 7, null],
                 "object": {"metadata": {"name": "web-2", "namespace": "default"}}},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn only_columns_of_priority_zero_are_shown() {
        insta::assert_snapshot!(table().render(Options::default(), Palette::PLAIN));
    }

    #[test]
    fn wide_shows_every_column() {
        let options = Options { wide: true, namespaces: true, labels: true, prefix: None };
        insta::assert_snapshot!(table().render(options, Palette::PLAIN));
    }

    #[test]
    fn several_kinds_are_told_apart_by_a_prefix() {
        let options = Options { prefix: Some("pod"), ..Options::default() };
        insta::assert_snapshot!(table().render(options, Palette::PLAIN));
    }

    #[test]
    fn states_have_a_tone_and_names_do_not() {
        assert_eq!(tone("Status", "Running"), Tone::Good);
        assert_eq!(tone("Status", "CrashLoopBackOff"), Tone::Bad);
        assert_eq!(tone("Status", "NotReady,SchedulingDisabled"), Tone::Bad);
        assert_eq!(tone("Name", "Error"), Tone::Plain);
    }
}
