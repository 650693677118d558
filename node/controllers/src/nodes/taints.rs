//! The taints that say a node is not fit.

use k8s_openapi::{
    api::core::v1::{Node, Taint},
    jiff::Timestamp,
};

pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(super) const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

pub(super) const NO_SCHEDULE: &str = "NoSchedule";
pub(super) const NO_EXECUTE: &str = "NoExecute";

/// The taints the node should have: those of others as they are, ours as `wanted` says. One that
/// stays keeps the time it was added.
pub(super) fn with(node: &Node, wanted: &[(&str, &str)], now: Timestamp) -> Vec<Taint> {
    let present = || node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    let ours = |taint: &&Taint| [UNREACHABLE, NOT_READY, UNSCHEDULABLE].contains(&&*taint.key);
    let mut taints: Vec<Taint> = present().filter(|taint| !ours(taint)).cloned().collect();
    taints.extend(wanted.iter().map(|(key, effect)| {
        let stays = present().find(|taint| taint.key == *key && taint.effect == *effect);
        stays.cloned().unwrap_or_else(|| Taint {
            key: (*key).to_owned(),
            value: None,
            effect: (*effect).to_owned(),
            time_added: (*effect == NO_EXECUTE).then(|| now.into()),
        })
    }));
    taints
}
