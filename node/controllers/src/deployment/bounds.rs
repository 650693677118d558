//! How far a rolling update may stray from the desired number of pods.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// Kubernetes' default for both bounds.
const DEFAULT_BOUND: &str = "25%";

/// The bounds of one deployment, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many pods are wanted.
    pub(super) replicas: i32,
    /// How many more there may be.
    pub(super) max_surge: i32,
    /// How many of the wanted ones may be unavailable.
    pub(super) max_unavailable: i32,
}

impl Bounds {
    /// Reads the bounds. Percentages of surge round up and of unavailability round down; if both
    /// come out as zero, one pod may be unavailable, since nothing could move otherwise. Under
    /// Recreate no pod may be surplus and all may be gone.
    pub(super) fn of(deployment: &Deployment) -> Self {
        let replicas = replicas(deployment);
        if !is_rolling(deployment) {
            return Self { replicas, max_surge: 0, max_unavailable: replicas };
        }
        let rolling = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.strategy.as_ref())
            .and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let max_surge = resolve(surge, replicas, Rounding::Up);
        let max_unavailable = match resolve(unavailable, replicas, Rounding::Down) {
            0 if max_surge == 0 => 1,
            pods => pods,
        };
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas) }
    }

    /// The most pods there may be.
    pub(super) fn max_total(self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    /// The fewest that must be available.
    pub(super) fn min_available(self) -> i32 {
        self.replicas - self.max_unavailable
    }
}

/// How many pods the deployment wants.
pub(crate) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1).max(0)
}

/// Whether it replaces pods gradually.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate")
}

/// How many pods the set wants.
pub(crate) fn set_replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1).max(0)
}

/// How many pods of the set are there or will be: while the set has not caught up with a smaller
/// number, its pods still count, so that a surge is never exceeded even for a moment.
pub(super) fn set_present(set: &ReplicaSet) -> i32 {
    set_replicas(set).max(set.status.as_ref().map_or(0, |status| status.replicas))
}

/// Whether the set's status speaks of its present size. While it does not, more pods may be there
/// than either says: a set that grew and shrank again at once has told of neither.
pub(super) fn is_confirmed(set: &ReplicaSet) -> bool {
    let observed = set.status.as_ref().and_then(|status| status.observed_generation);
    observed >= set.metadata.generation
}

/// How many pods of the set are available and will stay.
pub(super) fn set_available(set: &ReplicaSet) -> i32 {
    let available = set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    available.min(set_replicas(set))
}

/// What becomes of a part of a pod.
#[derive(Clone, Copy)]
pub(crate) enum Rounding {
    /// It counts as a whole one.
    Up,
    /// It does not count.
    Down,
}

/// A number of pods, or a percentage of `replicas`; a quarter where nothing is said.
pub(crate) fn resolve(bound: Option<&IntOrString>, replicas: i32, rounding: Rounding) -> i32 {
    let percent = |text: &str| {
        let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
        let hundredths = percent.max(0) * i64::from(replicas);
        let pods = match rounding {
            Rounding::Up => (hundredths + 99) / 100,
            Rounding::Down => hundredths / 100,
        };
        i32::try_from(pods).unwrap_or(i32::MAX)
    };
    match bound {
        Some(IntOrString::Int(pods)) => (*pods).max(0),
        Some(IntOrString::String(text)) => percent(text),
        None => percent(DEFAULT_BOUND),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};

    use super::*;

    #[test]
    fn percentages_round_as_kubernetes_rounds_them() {
        let int = IntOrString::Int;
        let text = |text: &str| IntOrString::String(text.to_owned());
        let cases = [
            (10, None, None, 3, 2),
            (1, None, None, 1, 0),
            (3, Some(int(0)), Some(int(0)), 0, 1),
            (3, Some(text("0%")), Some(text("10%")), 0, 1),
            (4, Some(text("50%")), Some(text("50%")), 2, 2),
            (5, Some(text("50%")), Some(text("50%")), 3, 2),
            (2, Some(int(0)), Some(int(5)), 0, 2),
            (0, None, None, 0, 0),
        ];
        for (replicas, max_surge, max_unavailable, surge, unavailable) in cases {
            let deployment = Deployment {
                spec: Some(DeploymentSpec {
                    replicas: Some(replicas),
                    strategy: Some(DeploymentStrategy {
                        rolling_update: Some(RollingUpdateDeployment {
                            max_surge,
                            max_unavailable,
                        }),
                        type_: None,
                    }),
                    ..DeploymentSpec::default()
                }),
                ..Deployment::default()
            };
            let bounds = Bounds::of(&deployment);
            assert_eq!((bounds.max_surge, bounds.max_unavailable), (surge, unavailable));
        }
    }
}
