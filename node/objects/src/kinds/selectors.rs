//! Label selectors inside of specs.

use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::validate_labels;
use crate::names;
use crate::selector::LabelSelector;

/// The selector in a field; what is wrong with it when it is none.
pub(super) fn read(at: &Field<'_>) -> Result<LabelSelector, String> {
    serde_json::from_value(at.value.clone())
        .map_err(|error| error.to_string())
        .and_then(|spec| LabelSelector::from_spec(&spec).map_err(|error| error.message))
}

/// Whether a selector selects something with these labels.
pub(super) fn selects(selector: &LabelSelector, labels: &Value) -> bool {
    selector.matches(&json!({"metadata": {"labels": labels}}))
}

/// Checks a selector that may also be absent or select everything.
pub(super) fn validate(at: &Field<'_>, errors: &mut Errors) {
    validate_labels(&at.get("matchLabels"), errors);
    let expressions = at.get("matchExpressions");
    for expression in expressions.items() {
        let (key, operator) = (expression.get("key"), expression.get("operator"));
        let values = expression.get("values");
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.invalid(&operator, "not a valid selector operator"),
        }
        if let Err(rule) = names::qualified(key.text()) {
            errors.invalid(&key, rule);
        }
        for value in values.items() {
            if let Err(rule) = names::label_value(value.text()) {
                errors.invalid(&value, rule);
            }
        }
    }
}
