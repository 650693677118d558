//! Which pods a tainted node must let go, and when.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{Node, Taint},
    jiff::{SignedDuration, Timestamp},
};

use skein_scheduler::Toleration;

use super::taints::NO_EXECUTE;
use crate::{placement, pod::Pod};

/// When a pod has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// Not because of these taints.
    Never,
    /// At once.
    Now,
    /// When this long has passed.
    After(Duration),
}

/// Whether the node makes any pod leave.
pub(super) fn evicts(node: &Node) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints.is_some_and(|taints| taints.iter().any(|taint| taint.effect == NO_EXECUTE))
}

/// When `pod` must leave a node with these taints: at once if it does not tolerate one, else when
/// the shortest of its tolerations has run out.
pub(super) fn eviction(pod: &Pod, taints: &[Taint], now: Timestamp) -> Eviction {
    let tolerations = pod.shape.placement.tolerations.iter().zip(&pod.shape.patience_seconds);
    let mut soonest = Eviction::Never;
    for taint in taints.iter().filter(|taint| taint.effect == NO_EXECUTE) {
        let known = placement::taint(taint);
        let tolerates = |toleration: &Toleration| {
            known.as_ref().is_some_and(|taint| toleration.tolerates(taint))
        };
        let mut fitting = tolerations.clone().filter(|(one, _)| tolerates(one)).peekable();
        if fitting.peek().is_none() {
            return Eviction::Now;
        }
        let Some(seconds) = fitting.filter_map(|(_, seconds)| *seconds).min() else { continue };
        let since = taint.time_added.as_ref().map_or(now, |added| added.0);
        let left = SignedDuration::from_secs(seconds.max(0)) - now.duration_since(since);
        let left = Duration::try_from(left).unwrap_or_default();
        soonest = match soonest {
            _ if left.is_zero() => return Eviction::Now,
            Eviction::After(sooner) => Eviction::After(sooner.min(left)),
            Eviction::Never | Eviction::Now => Eviction::After(left),
        };
    }
    soonest
}
