//! What stands in queries and specs: selectors and quantities.

use std::collections::BTreeMap;

use skein_objects::{
    quantity::Quantity,
    selector::{FieldSelector, LabelSelector},
};

use crate::input;

/// Two selectors and labels in a line each. Both together select what each of them does.
pub(crate) fn label_selector(bytes: &[u8]) {
    let [one, other, labels] = input::lines(bytes).map(input::text);
    let (Some(one), Some(other), Some(labels)) = (one, other, labels) else { return };
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let labels: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let matches = |text: &str| LabelSelector::parse(text).ok().map(|all| all.matches(&labels));
    let both = (!one.trim().is_empty() && !other.trim().is_empty())
        .then(|| matches(one).zip(matches(other)))
        .flatten();
    if let Some((one_matches, other_matches)) = both
        && let Some(together) = matches(&format!("{one},{other}"))
    {
        assert_eq!(together, one_matches && other_matches, "{one:?} and {other:?}");
    }
    // What is demanded of one key's presence is either so or not.
    if let (Some(is_there), Some(is_not)) = (matches(one), matches(&format!("!{one}")))
        && one.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        assert_ne!(is_there, is_not, "{one:?}");
    }
}

/// A version and kind, a selector and an object in a line each.
pub(crate) fn field_selector(bytes: &[u8]) {
    let [kind, text, object] = input::lines(bytes);
    let (Some(kind), Some(text)) = (input::text(kind), input::text(text)) else { return };
    let (api_version, name) = kind.split_once(' ').unwrap_or_default();
    let kind = input::kind(api_version, name);
    let Ok(selector) = FieldSelector::parse(kind, text) else { return };
    let Some(object) = input::json(object) else { return };
    let matches = selector.matches(&object);
    assert!(matches || !selector.is_empty(), "the empty selector selects all");
    if let Some(name) = selector.demanded_name().filter(|name| !name.is_empty()) {
        assert!(!matches || object["metadata"]["name"].as_str() == Some(name));
    }
    let again = FieldSelector::parse(kind, &format!("{text},"));
    let again = again.map(|selector| selector.matches(&object));
    assert!(again.is_err() || again.is_ok_and(|again| again == matches), "{text:?}");
}

/// An amount is between its roundings, and its opposite is one, too.
pub(crate) fn quantity(bytes: &[u8]) {
    let Some(text) = input::text(bytes) else { return };
    let Ok(amount) = Quantity::parse(text) else { return };
    let parsed = |text: String| Quantity::parse(&text).ok();
    for (rounded, suffix) in [(amount.units(), ""), (amount.millis(), "m")] {
        let is_exact = rounded.unsigned_abs() < i64::MAX.unsigned_abs();
        let Some(again) = parsed(format!("{rounded}{suffix}")).filter(|_| is_exact) else {
            assert!(!is_exact, "{text:?} is {rounded}{suffix}, which is no quantity");
            continue;
        };
        let is_away = if amount.is_negative() { again <= amount } else { again >= amount };
        assert!(is_away, "{text:?} is rounded to {rounded}{suffix}, towards zero");
        assert!(!amount.is_whole() || again == amount, "{text:?} is not {rounded}{suffix}");
    }
    let (opposite, sign) = match text.as_bytes() {
        [b'-', ..] => (&text[1..], ""),
        [b'+', ..] => (&text[1..], "-"),
        _ => (text, "-"),
    };
    if let Some(opposite) = parsed(format!("{sign}{opposite}")) {
        // Of what is too large for it, a rounding is the largest or the smallest number there is.
        let least = |rounded: i64| rounded.max(-i64::MAX);
        assert_eq!(least(opposite.units()), -least(amount.units()), "{text:?}");
        assert_eq!(least(opposite.millis()), -least(amount.millis()), "{text:?}");
    }
}
