//! Taints, tolerations and node affinity terms, as the Kubernetes API defines them.

/// What an untolerated taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// No new pod may come.
    NoSchedule,
    /// New pods rather go elsewhere.
    PreferNoSchedule,
    /// No new pod may come and those there must leave.
    NoExecute,
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// Its value, often empty.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// How a toleration compares the taint's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// Any value will do.
    Exists,
    /// The value must be this one.
    Equal(String),
}

/// A pod's permission to ignore taints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The taint key; `None` tolerates every key.
    pub key: Option<String>,
    /// The taint value.
    pub value: Match,
    /// The effect; `None` tolerates every effect.
    pub effect: Option<Effect>,
}

impl Toleration {
    /// Whether this toleration covers `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.effect.is_none_or(|effect| effect == taint.effect)
            && match &self.value {
                Match::Exists => true,
                Match::Equal(value) => *value == taint.value,
            }
    }
}

/// How a requirement compares a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label is an integer greater than the only value.
    Gt,
    /// The label is an integer less than the only value.
    Lt,
}

/// One requirement on a label or a field of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key, or the field's path.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl Requirement {
    /// Whether a label of this value (or its absence) meets the requirement.
    pub(crate) fn met_by(&self, actual: Option<&str>) -> bool {
        let listed = |actual: &str| self.values.iter().any(|value| value == actual);
        match self.operator {
            Operator::In => actual.is_some_and(listed),
            Operator::NotIn => !actual.is_some_and(listed),
            Operator::Exists => actual.is_some(),
            Operator::DoesNotExist => actual.is_none(),
            Operator::Gt => self.compare(actual).is_some_and(|(actual, bound)| actual > bound),
            Operator::Lt => self.compare(actual).is_some_and(|(actual, bound)| actual < bound),
        }
    }

    fn compare(&self, actual: Option<&str>) -> Option<(i64, i64)> {
        Some((actual?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

/// Requirements that must all hold. Like in Kubernetes, an empty term matches no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Term {
    /// Requirements on labels.
    pub labels: Vec<Requirement>,
    /// Requirements on fields; the only field is `metadata.name`.
    pub fields: Vec<Requirement>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_compare_as_kubernetes_does() {
        let cases = [
            (Operator::In, vec!["a", "b"], Some("b"), true),
            (Operator::In, vec!["a"], None, false),
            (Operator::NotIn, vec!["a"], Some("b"), true),
            (Operator::NotIn, vec!["a"], None, true),
            (Operator::NotIn, vec!["a"], Some("a"), false),
            (Operator::Exists, vec![], Some(""), true),
            (Operator::Exists, vec![], None, false),
            (Operator::DoesNotExist, vec![], None, true),
            (Operator::Gt, vec!["3"], Some("10"), true),
            (Operator::Gt, vec!["3"], Some("3"), false),
            (Operator::Lt, vec!["3"], Some("2"), true),
            (Operator::Lt, vec!["3"], Some("two"), false),
            (Operator::Lt, vec!["3"], None, false),
        ];
        for (operator, values, actual, expected) in cases {
            let values = values.into_iter().map(str::to_owned).collect();
            let requirement = Requirement { key: "k".into(), operator, values };
            assert_eq!(requirement.met_by(actual), expected, "{requirement:?} on {actual:?}");
        }
    }

    #[test]
    fn a_toleration_without_key_and_effect_covers_everything() {
        let all = Toleration { key: None, value: Match::Exists, effect: None };
        for effect in [Effect::NoSchedule, Effect::PreferNoSchedule, Effect::NoExecute] {
            assert!(all.tolerates(&Taint { key: "k".into(), value: "v".into(), effect }));
        }
    }

    #[test]
    fn a_toleration_needs_key_value_and_effect_to_fit() {
        let taint = Taint { key: "gpu".into(), value: "yes".into(), effect: Effect::NoSchedule };
        let toleration = |key: &str, value: &str, effect| Toleration {
            key: Some(key.into()),
            value: Match::Equal(value.into()),
            effect,
        };
        assert!(toleration("gpu", "yes", None).tolerates(&taint));
        assert!(toleration("gpu", "yes", Some(Effect::NoSchedule)).tolerates(&taint));
        assert!(!toleration("gpu", "no", None).tolerates(&taint));
        assert!(!toleration("cpu", "yes", None).tolerates(&taint));
        assert!(!toleration("gpu", "yes", Some(Effect::NoExecute)).tolerates(&taint));
    }
}
