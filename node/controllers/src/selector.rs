//! Label selectors of workloads.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Whether the selector picks an object with these labels. Unlike for queries, an empty selector
/// picks nothing: a workload that owned every pod of its namespace would be an accident.
pub(crate) fn matches(selector: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(String::as_str);
    let empty = selector.match_labels.iter().flatten().next().is_none()
        && selector.match_expressions.iter().flatten().next().is_none();
    !empty
        && selector.match_labels.iter().flatten().all(|(key, value)| label(key) == Some(value))
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|requirement| meets(requirement, label(&requirement.key)))
}

fn meets(requirement: &LabelSelectorRequirement, label: Option<&str>) -> bool {
    let listed = |label: &str| requirement.values.iter().flatten().any(|value| value == label);
    match requirement.operator.as_str() {
        "In" => label.is_some_and(listed),
        "NotIn" => !label.is_some_and(listed),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(operator: &str, values: &[&str]) -> LabelSelector {
        let requirement = LabelSelectorRequirement {
            key: "app".into(),
            operator: operator.into(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        LabelSelector { match_expressions: Some(vec![requirement]), match_labels: None }
    }

    #[test]
    fn expressions_compare_as_kubernetes_does() {
        let web = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let cases = [
            (expression("In", &["web"]), true, false),
            (expression("In", &["api"]), false, false),
            (expression("NotIn", &["api"]), true, true),
            (expression("Exists", &[]), true, false),
            (expression("DoesNotExist", &[]), false, true),
            (LabelSelector::default(), false, false),
        ];
        for (selector, labelled, unlabelled) in cases {
            assert_eq!(matches(&selector, Some(&web)), labelled, "{selector:?}");
            assert_eq!(matches(&selector, None), unlabelled, "{selector:?}");
        }
    }
}
