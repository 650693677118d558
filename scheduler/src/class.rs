//! The filters whose verdict depends on the node's description alone.
//!
//! Pods of one workload ask for the same things, so the verdicts are computed once for each
//! distinct set of constraints (a class) and shared by all its pods.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use crate::{Effect, NodeView, PodView, Refusal, Taint, Term, Toleration};

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NAME_FIELD: &str = "metadata.name";

/// What a node says to a class before its load is looked at.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// May take it; has this many taints that ask pods to rather stay away.
    Open {
        /// Untolerated `PreferNoSchedule` taints.
        reluctance: u32,
    },
    /// Cannot take it.
    Closed(Refusal),
}

#[derive(PartialEq, Eq, Hash)]
struct Constraints {
    node_selector: BTreeMap<String, String>,
    required_terms: Option<Vec<Term>>,
    tolerations: Vec<Toleration>,
}

/// Verdicts of every node, in snapshot order, by class.
#[derive(Default)]
pub(crate) struct Classes {
    known: HashMap<Constraints, Rc<[Verdict]>>,
}

impl Classes {
    /// The verdicts on a pod like `pod`.
    pub(crate) fn verdicts(&mut self, pod: &PodView, nodes: &[NodeView]) -> Rc<[Verdict]> {
        let constraints = Constraints {
            node_selector: pod.node_selector.clone(),
            required_terms: pod.required_terms.clone(),
            tolerations: pod.tolerations.clone(),
        };
        Rc::clone(
            self.known
                .entry(constraints)
                .or_insert_with(|| nodes.iter().map(|node| judge(pod, node)).collect()),
        )
    }
}

/// Runs the filters in the order of the Kubernetes scheduler; the first refusal counts.
fn judge(pod: &PodView, node: &NodeView) -> Verdict {
    let tolerated = |taint: &Taint| pod.tolerations.iter().any(|t| t.tolerates(taint));
    if node.unschedulable {
        let cordon =
            Taint { key: UNSCHEDULABLE.into(), value: String::new(), effect: Effect::NoSchedule };
        if !tolerated(&cordon) {
            return Verdict::Closed(Refusal::Cordoned);
        }
    }
    let mut reluctance = 0;
    for taint in node.taints.iter().filter(|taint| !tolerated(taint)) {
        match taint.effect {
            Effect::PreferNoSchedule => reluctance += 1,
            Effect::NoSchedule | Effect::NoExecute => {
                let (key, value) = (taint.key.clone(), taint.value.clone());
                return Verdict::Closed(Refusal::Taint { key, value });
            }
        }
    }
    if selects(pod, node) {
        Verdict::Open { reluctance }
    } else {
        Verdict::Closed(Refusal::Affinity)
    }
}

fn selects(pod: &PodView, node: &NodeView) -> bool {
    pod.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && pod
            .required_terms
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| matches(term, node)))
}

fn matches(term: &Term, node: &NodeView) -> bool {
    let empty = term.labels.is_empty() && term.fields.is_empty();
    let label = |key: &str| node.labels.get(key).map(String::as_str);
    let field = |key: &str| (key == NAME_FIELD).then_some(node.name.as_str());
    !empty
        && term.labels.iter().all(|requirement| requirement.met_by(label(&requirement.key)))
        && term.fields.iter().all(|requirement| requirement.met_by(field(&requirement.key)))
}
