//! The columns of a custom kind: those its definition adds, behind the name.

use serde_json::Value;

use super::JsonPath;
use crate::table::{AGE, Cell, Column, NAME};

/// An added column, compiled.
pub(super) struct CustomColumn {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    path: JsonPath,
}

/// Reads the added columns.
pub(super) fn compile(columns: &Value) -> Vec<CustomColumn> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let column = |column: &Value| {
        Some(CustomColumn {
            name: text(&column["name"]),
            kind: text(&column["type"]),
            format: text(&column["format"]),
            description: text(&column["description"]),
            priority: column["priority"].as_i64().unwrap_or(0),
            path: JsonPath::parse(column["jsonPath"].as_str()?).ok()?,
        })
    };
    columns.as_array().into_iter().flatten().filter_map(column).collect()
}

/// All columns: without any added ones, the age.
pub(super) fn of(columns: &[CustomColumn]) -> Vec<Column<'_>> {
    let added = columns.iter().map(|column| Column {
        name: &column.name,
        format: &column.format,
        priority: column.priority,
        cell: Cell::Found(&column.path, &column.kind),
        description: &column.description,
    });
    let mut all = vec![NAME];
    all.extend(added);
    if columns.is_empty() {
        all.push(AGE);
    }
    all
}
