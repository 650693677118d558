//! Namespaces: they hold the `kubernetes` finalizer until their content is gone.

use serde_json::{Value, json};

use crate::lifecycle::Stamp;
use crate::strategy::{NameRule, Strategy};

/// The finalizer that the namespace controller removes last.
const FINALIZER: &str = "kubernetes";

/// The label every namespace carries so that selectors can name it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(crate) struct NamespaceStrategy;

impl Strategy for NamespaceStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn default(&self, object: &mut Value) {
        let name = object["metadata"]["name"].clone();
        object["metadata"]["labels"][NAME_LABEL] = name;
        let ending = object["metadata"].get("deletionTimestamp").is_some();
        if !ending && !self.is_held(object) {
            object["spec"]["finalizers"] = json!([FINALIZER]);
        }
    }

    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"phase": "Active"});
    }

    fn terminate(&self, object: &mut Value) {
        object["status"] = json!({"phase": "Terminating"});
    }

    fn is_held(&self, object: &Value) -> bool {
        object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty())
    }
}
