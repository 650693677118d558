//! Label selectors: the query string's form and the `metav1.LabelSelector` of specs.
//!
//! Follows <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::Value;

use crate::limits;
use crate::names;
use crate::status::StatusError;

/// Anything that has labels.
pub trait Labels {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Labels for Option<BTreeMap<String, String>> {
    fn label(&self, key: &str) -> Option<&str> {
        self.as_ref()?.label(key)
    }
}

/// A whole object.
impl Labels for Value {
    fn label(&self, key: &str) -> Option<&str> {
        self.get("metadata")?.get("labels")?.get(key)?.as_str()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|text| text.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(allowed) => value.is_some_and(|value| allowed.contains(value)),
            Test::NotIn(refused) => value.is_none_or(|value| !refused.contains(value)),
            Test::Greater(bound) => number().is_some_and(|number| number > *bound),
            Test::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// A conjunction of requirements; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Parses the query string's form: `app=web,tier!=db,env in (a,b),!legacy`.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub fn parse(text: &str) -> Result<Self, StatusError> {
        let refuse =
            |rule: String| StatusError::bad_request(format!("unable to parse requirement: {rule}"));
        let mut requirements = Vec::new();
        for clause in clauses(text).map_err(refuse)? {
            requirements.push(requirement(clause).map_err(refuse)?);
        }
        if requirements.len() > limits::SELECTOR_REQUIREMENTS {
            return Err(refuse(format!(
                "more than {} requirements",
                limits::SELECTOR_REQUIREMENTS
            )));
        }
        Ok(Self { requirements })
    }

    /// The selector of a spec.
    ///
    /// # Errors
    /// 400 for an operator that does not exist.
    pub fn from_spec(selector: &meta::LabelSelector) -> Result<Self, StatusError> {
        let one = |value: &String| BTreeSet::from([value.clone()]);
        let labels = selector.match_labels.iter().flatten();
        let mut requirements: Vec<Requirement> = labels
            .map(|(key, value)| Requirement { key: key.clone(), test: Test::In(one(value)) })
            .collect();
        for expression in selector.match_expressions.iter().flatten() {
            let values = || expression.values.iter().flatten().cloned().collect();
            let test = match expression.operator.as_str() {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                other => {
                    return Err(StatusError::bad_request(format!(
                        "{other:?} is not a valid label selector operator"
                    )));
                }
            };
            requirements.push(Requirement { key: expression.key.clone(), test });
        }
        Ok(Self { requirements })
    }

    /// A selector of equalities.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let requirements = labels
            .into_iter()
            .map(|(key, value)| Requirement {
                key: key.clone(),
                test: Test::In(BTreeSet::from([value.clone()])),
            })
            .collect();
        Self { requirements }
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether something with these labels is selected.
    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.requirements.iter().all(|one| one.matches(labels.label(&one.key)))
    }
}

/// Splits at commas outside parentheses.
fn clauses(text: &str) -> Result<Vec<&str>, String> {
    let mut out = Vec::new();
    let (mut start, mut open) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            '(' if open => return Err(format!("found '(' within a list in {text:?}")),
            '(' => open = true,
            ')' if !open => return Err(format!("found ')' without '(' in {text:?}")),
            ')' => open = false,
            ',' if !open => {
                out.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(format!("found no ')' in {text:?}"));
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        out.push(last);
    } else if !out.is_empty() {
        return Err("found '', expected: identifier after ','".to_owned());
    }
    Ok(out)
}

fn requirement(clause: &str) -> Result<Requirement, String> {
    if let Some(key) = clause.strip_prefix('!') {
        return checked(key, Test::Absent);
    }
    if let Some(open) = clause.find('(') {
        return membership(&clause[..open], &clause[open..]);
    }
    for (operator, negative) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = clause.split_once(operator) {
            let value = value.trim();
            names::label_value(value)?;
            let set = BTreeSet::from([value.to_owned()]);
            return checked(key, if negative { Test::NotIn(set) } else { Test::In(set) });
        }
    }
    for (operator, test) in
        [(">", Test::Greater as fn(i64) -> Test), ("<", Test::Less as fn(i64) -> Test)]
    {
        if let Some((key, bound)) = clause.split_once(operator) {
            let bound = bound.trim();
            let bound = bound.parse().map_err(|_| format!("{bound:?} is not an integer"))?;
            return checked(key, test(bound));
        }
    }
    checked(clause, Test::Exists)
}

/// `env in ` and `(a,b)`.
fn membership(head: &str, list: &str) -> Result<Requirement, String> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let (key, negative) = match words.as_slice() {
        [key, "in"] => (*key, false),
        [key, "notin"] => (*key, true),
        _ => return Err(format!("found {head:?}, expected: 'in' or 'notin' before '('")),
    };
    let inner = list
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or_else(|| format!("found {list:?}, expected: a list and ','"))?;
    let values: BTreeSet<String> = inner.split(',').map(|value| value.trim().to_owned()).collect();
    values.iter().try_for_each(|value| names::label_value(value))?;
    checked(key, if negative { Test::NotIn(values) } else { Test::In(values) })
}

fn checked(key: &str, test: Test) -> Result<Requirement, String> {
    let key = key.trim();
    names::qualified(key).map_err(|rule| format!("key {key:?}: {rule}"))?;
    Ok(Requirement { key: key.to_owned(), test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn selector_strings_select_as_kubernetes_documents() {
        let web = labels(&[("app", "web"), ("tier", "front"), ("n", "5")]);
        for (text, selected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier = front", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("other notin (db)", true),
            ("app", true),
            ("!app", false),
            ("!other,app", true),
            ("n>4", true),
            ("n<5", false),
            ("app>1", false),
            ("example.com/x", false),
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(&web), selected, "{text}");
        }
    }

    #[test]
    fn broken_selectors_are_refused() {
        for text in [
            "=a",
            "a=b=c",
            "a in",
            "a in (b",
            "a in b)",
            "a,",
            ",a",
            "!",
            "a b",
            "a in ((b))",
            "n>x",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_selector_of_a_spec_joins_labels_and_expressions() {
        let spec = meta::LabelSelector {
            match_labels: Some(labels(&[("app", "web")])),
            match_expressions: Some(vec![meta::LabelSelectorRequirement {
                key: "tier".to_owned(),
                operator: "NotIn".to_owned(),
                values: Some(vec!["db".to_owned()]),
            }]),
        };
        let selector = LabelSelector::from_spec(&spec).unwrap();
        assert!(selector.matches(&labels(&[("app", "web"), ("tier", "front")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("tier", "db")])));
        assert!(!selector.matches(&labels(&[("tier", "front")])));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "[a-z()=!,<> in\u{e9}]{0,40}") {
            let _ = LabelSelector::parse(&text);
        }

        #[test]
        fn labels_always_match_their_own_selector(
            map in proptest::collection::btree_map("[a-z]{1,8}", "[a-z0-9]{0,8}", 0..6)
        ) {
            let text: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let parsed = LabelSelector::parse(&text.join(",")).unwrap();
            prop_assert!(parsed.matches(&map));
            prop_assert_eq!(parsed, LabelSelector::from_labels(&map));
        }
    }
}
