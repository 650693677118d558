//! Turning what the API answered into text. Pure: no terminal, no clock.

pub(crate) mod columns;
pub(crate) mod describe;
pub(crate) mod peers;
pub(crate) mod recovery;
pub(crate) mod status;
pub(crate) mod table;

use serde_json::Value;

/// How a command's result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// A table with more columns.
    Wide,
    /// JSON, as the API gave it.
    Json,
    /// YAML.
    Yaml,
    /// Only kind and name, for scripts.
    Name,
}

/// YAML of a value that came from JSON.
pub(crate) fn yaml(value: &Value) -> String {
    // JSON values have no shape that YAML lacks, so only a defect of the writer can end up here;
    // the JSON is then the same document, as YAML is a superset of it.
    serde_saphyr::to_string(value).unwrap_or_else(|_| json(value))
}

/// Indented JSON with a line end.
pub(crate) fn json(value: &Value) -> String {
    format!("{value:#}\n")
}
