//! What a command is about: `KIND`, `KIND NAME…` or `KIND/NAME…`, as kubectl takes them.

use crate::exit::UsageError;

/// A kind, and the names of its objects; no name means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// A word for the kind.
    pub(crate) kind: String,
    /// Names of objects.
    pub(crate) names: Vec<String>,
}

/// Reads the words of a command line.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Target>, UsageError> {
    let Some((first, rest)) = words.split_first() else {
        return Err(UsageError::new("say what, e.g. pods, pod web-1 or deployment/web"));
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| parse_pair(word)).collect();
    }
    let kinds: Vec<&str> = first.split(',').filter(|kind| !kind.is_empty()).collect();
    Ok(kinds
        .into_iter()
        .map(|kind| Target { kind: kind.to_owned(), names: rest.to_vec() })
        .collect())
}

/// As [`parse`], where exactly one object is meant.
pub(crate) fn parse_one(words: &[String]) -> Result<(String, String), UsageError> {
    let wrong = || UsageError::new("name one object, e.g. deployment/web");
    match parse(words)?.as_slice() {
        [Target { kind, names }] if names.len() == 1 => Ok((kind.clone(), names[0].clone())),
        _ => Err(wrong()),
    }
}

fn parse_pair(word: &str) -> Result<Target, UsageError> {
    match word.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Target { kind: kind.to_owned(), names: vec![name.to_owned()] })
        }
        _ => Err(UsageError::new(format!(
            "{word:?} is not KIND/NAME; KIND NAME and KIND/NAME cannot be mixed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Vec<Target>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words).map_err(|error| error.to_string())
    }

    fn target(kind: &str, names: &[&str]) -> Target {
        Target { kind: kind.into(), names: names.iter().map(|name| (*name).into()).collect() }
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(parse_words(&["pods"]), Ok(vec![target("pods", &[])]));
        assert_eq!(
            parse_words(&["pods,deploy"]),
            Ok(vec![target("pods", &[]), target("deploy", &[])])
        );
        assert_eq!(parse_words(&["pod", "a", "b"]), Ok(vec![target("pod", &["a", "b"])]));
        assert_eq!(
            parse_words(&["pod/a", "deploy/b"]),
            Ok(vec![target("pod", &["a"]), target("deploy", &["b"])])
        );
    }

    #[test]
    fn forms_cannot_be_mixed() {
        for words in
            [&["pod/a", "b"][..], &["pods", "deploy/b"], &["pod/"], &["/a"], &["a/b/c"], &[]]
        {
            assert!(parse_words(words).is_err(), "{words:?}");
        }
    }
}
