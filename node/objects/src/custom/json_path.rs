//! The JSON paths of printer columns, in `kubectl`'s notation: `.spec.list[0].name`,
//! `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels.example\.com/tier`.

use serde_json::Value;

/// A path, parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    /// Counted from the end where negative.
    Index(i64),
    All,
    /// Items whose value at a path is, or is not, this one.
    Where {
        path: JsonPath,
        value: Value,
        equal: bool,
    },
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What about it is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let inner = inner.strip_prefix('$').unwrap_or(inner);
        if !inner.starts_with(['.', '[']) {
            return Err(format!("{text:?} must begin with a dot"));
        }
        let mut rest = inner;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            rest = if let Some(after) = rest.strip_prefix('.') {
                member(after, &mut steps)?
            } else if let Some(after) = rest.strip_prefix('[') {
                bracket(after, &mut steps)?
            } else {
                return Err(format!("unexpected {rest:?}"));
            };
        }
        Ok(Self(steps))
    }

    /// The first value it leads to.
    pub(crate) fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        walk(&self.0, value)
    }
}

/// Reads a name, in which a backslash makes a dot part of it.
fn member<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    let mut end = text.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => {
                end = at;
                break;
            }
            letter => name.push(letter),
        }
    }
    let rest = text.get(end..).unwrap_or_default();
    match name.as_str() {
        "*" => steps.push(Step::All),
        // `.[0]` is `[0]`, and a lone dot the whole.
        "" if rest.starts_with('[') || rest.is_empty() => {}
        "" => return Err("a name is missing between two dots".to_owned()),
        _ => steps.push(Step::Member(name)),
    }
    Ok(rest)
}

fn bracket<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    if let Some(filter) = text.strip_prefix("?(") {
        let (filter, rest) =
            filter.split_once(")]").ok_or_else(|| "a filter has no end".to_owned())?;
        steps.push(condition(filter)?);
        return Ok(rest);
    }
    let (inner, rest) = text.split_once(']').ok_or_else(|| "a bracket has no end".to_owned())?;
    let inner = inner.trim();
    let step = if inner == "*" {
        Step::All
    } else if let Some(name) = quoted(inner) {
        Step::Member(name.to_owned())
    } else {
        let index = inner.parse().map_err(|_| format!("[{inner}] is not an index"))?;
        Step::Index(index)
    };
    steps.push(step);
    Ok(rest)
}

fn quoted(text: &str) -> Option<&str> {
    let within = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('\'').or_else(|| within('"'))
}

fn condition(text: &str) -> Result<Step, String> {
    let (path, value, equal) = if let Some((path, value)) = text.split_once("==") {
        (path, value, true)
    } else if let Some((path, value)) = text.split_once("!=") {
        (path, value, false)
    } else {
        return Err(format!("the filter {text:?} compares with neither == nor !="));
    };
    let path = path.trim().strip_prefix('@').ok_or_else(|| "a filter begins with @".to_owned())?;
    let value = value.trim();
    let value = match quoted(value) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(value).map_err(|_| format!("{value:?} is no value"))?,
    };
    let path = if path.is_empty() { JsonPath(Vec::new()) } else { JsonPath::parse(path)? };
    Ok(Step::Where { path, value, equal })
}

fn walk<'v>(steps: &[Step], value: &'v Value) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (step, value) {
        (Step::Member(name), _) => walk(rest, value.get(name)?),
        (Step::Index(index), Value::Array(items)) => {
            let from_end = || usize::try_from(index.unsigned_abs()).ok();
            let at = match usize::try_from(*index) {
                Ok(at) => at,
                Err(_) => items.len().checked_sub(from_end()?)?,
            };
            walk(rest, items.get(at)?)
        }
        (Step::All, Value::Array(items)) => items.iter().find_map(|item| walk(rest, item)),
        (Step::All, Value::Object(members)) => members.values().find_map(|item| walk(rest, item)),
        (Step::Where { path, value: wanted, equal }, Value::Array(items)) => items
            .iter()
            .filter(|item| (path.first(item) == Some(wanted)) == *equal)
            .find_map(|item| walk(rest, item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_the_first_value() {
        let object = json!({
            "metadata": {"labels": {"example.com/tier": "web"}},
            "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
            "status": {"conditions": [
                {"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"},
            ]},
        });
        let cases = [
            (".spec.ports[0].port", Some(json!(80))),
            (".spec.ports[-1].port", Some(json!(81))),
            (".spec.ports[-3].port", None),
            (".spec.ports[*].name", Some(json!("a"))),
            (".spec.ports[?(@.port==81)].name", Some(json!("b"))),
            (".spec.ports[?(@.port != 80)].name", Some(json!("b"))),
            (".status.conditions[?(@.type==\"Ready\")].status", Some(json!("True"))),
            (".status.conditions[?(@.type=='Ready')].status", Some(json!("True"))),
            (".metadata.labels.example\\.com/tier", Some(json!("web"))),
            (".metadata.labels['example.com/tier']", Some(json!("web"))),
            ("{.spec.ports[1].name}", Some(json!("b"))),
            (".spec.absent", None),
        ];
        for (path, expected) in cases {
            let found = JsonPath::parse(path).unwrap().first(&object).cloned();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_place() {
        for text in ["spec", ".a..b", ".a[", ".a[x]", ".a[?(@.b)]", ".a[?(b==1)]", ".a[?(@.b==x)]"]
        {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }
}
