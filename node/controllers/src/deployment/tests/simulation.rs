//! Replica sets and pods that follow a deployment's plans, one event at a time.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet, ReplicaSetStatus},
    apimachinery::pkg::util::intstr::IntOrString,
    jiff::{SignedDuration, Timestamp},
};
use proptest::{prelude::*, sample::Index};
use serde_json::json;

use super::{Plan, Step, deployment, now, planned};
use crate::deployment::bounds::{Bounds, set_replicas};

/// A deployment, its sets and, for each set, its active pods: whether each is ready.
pub(super) struct Simulation {
    pub(super) deployment: Deployment,
    pub(super) sets: Vec<ReplicaSet>,
    pub(super) now: Timestamp,
    pods: Vec<Vec<bool>>,
    made: u32,
}

impl Simulation {
    /// A simulation in which the deployment's first rollout is complete.
    pub(super) fn settled(deployment: Deployment) -> Self {
        let mut simulation = Self { deployment, sets: vec![], now: now(), pods: vec![], made: 0 };
        simulation.settle();
        simulation
    }

    pub(super) fn set_image(&mut self, image: &str) {
        let template = &mut self.deployment.spec.as_mut().unwrap().template;
        template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    }

    pub(super) fn plan(&self) -> Plan {
        planned(&self.deployment, &self.sets, self.now)
    }

    /// The size of each set, oldest first.
    pub(super) fn sizes(&self) -> Vec<i32> {
        self.sets.iter().map(set_replicas).collect()
    }

    pub(super) fn apply(&mut self, plan: Plan) {
        for step in plan.steps {
            match step {
                Step::Make(set) => {
                    self.made += 1;
                    let mut set = *set;
                    set.metadata.uid = Some(format!("set-{}", self.made));
                    let created = now() + SignedDuration::from_secs(self.made.into());
                    set.metadata.creation_timestamp = Some(created.into());
                    set.metadata.generation = Some(1);
                    self.sets.push(set);
                    self.pods.push(vec![]);
                }
                Step::Change { set, replicas, annotations, .. } => {
                    let position = self.position(&set);
                    let meta = &mut self.sets[position].metadata;
                    meta.annotations = Some(annotations);
                    meta.generation = meta.generation.map(|generation| generation + 1);
                    self.sets[position].spec.as_mut().unwrap().replicas = Some(replicas);
                }
                Step::Delete(set) => {
                    let position = self.position(&set);
                    self.sets.remove(position);
                    self.pods.remove(position);
                }
                Step::NoteRevision(number) => {
                    let annotations = self.deployment.metadata.annotations.get_or_insert_default();
                    annotations.insert(super::super::revision::REVISION.into(), number);
                }
                Step::Adopt(set) | Step::Release(set) => panic!("{set} changes hands"),
            }
        }
        self.deployment.status = plan.status;
    }

    /// Every set makes and deletes its pods and tells of them; none becomes ready.
    pub(super) fn observe_pods(&mut self) {
        for position in 0..self.sets.len() {
            self.follow_size(position);
            self.tell(position);
        }
    }

    /// As [`Self::observe_pods`], and every pod becomes ready.
    pub(super) fn settle_pods(&mut self) {
        for position in 0..self.sets.len() {
            self.follow_size(position);
            self.pods[position].fill(true);
            self.tell(position);
        }
    }

    /// Runs until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..100 {
            let plan = self.plan();
            let idle = plan.steps.is_empty() && plan.status == self.deployment.status;
            self.apply(plan);
            self.settle_pods();
            if idle && self.plan().steps.is_empty() {
                return;
            }
        }
        panic!("the deployment never settles: sizes {:?}", self.sizes());
    }

    fn position(&self, name: &str) -> usize {
        let mut sets = self.sets.iter();
        sets.position(|set| set.metadata.name.as_deref() == Some(name)).unwrap()
    }

    fn follow_size(&mut self, position: usize) {
        let size = usize::try_from(set_replicas(&self.sets[position])).unwrap();
        let pods = &mut self.pods[position];
        pods.sort_by_key(|ready| !*ready);
        pods.resize(size, false);
    }

    fn tell(&mut self, position: usize) {
        let pods = &self.pods[position];
        let count = |number: usize| i32::try_from(number).unwrap();
        let ready = count(pods.iter().filter(|ready| **ready).count());
        self.sets[position].status = Some(ReplicaSetStatus {
            replicas: count(pods.len()),
            ready_replicas: Some(ready),
            available_replicas: Some(ready),
            observed_generation: self.sets[position].metadata.generation,
            ..ReplicaSetStatus::default()
        });
    }

    fn active(&self) -> usize {
        self.pods.iter().map(Vec::len).sum()
    }

    fn ready(&self) -> usize {
        self.pods.iter().flatten().filter(|ready| **ready).count()
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    /// The deployment controller looks and acts.
    Plan,
    /// A replica set makes and deletes pods.
    Follow(Index),
    /// A replica set reports its pods.
    Tell(Index),
    /// The oldest unready pod of a set becomes ready.
    Ready(Index),
    /// The user changes the image again.
    Image(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Plan),
        3 => any::<Index>().prop_map(Happening::Follow),
        3 => any::<Index>().prop_map(Happening::Tell),
        6 => any::<Index>().prop_map(Happening::Ready),
        1 => (0u8..4).prop_map(Happening::Image),
    ]
}

fn bound() -> impl Strategy<Value = IntOrString> {
    prop_oneof![
        (0i32..4).prop_map(IntOrString::Int),
        (0u8..=100).prop_map(|percent| IntOrString::String(format!("{percent}%"))),
    ]
}

proptest! {
    #[test]
    fn a_rolling_update_stays_within_its_bounds_whatever_the_order_and_always_ends(
        replicas in 1i32..12,
        surge in bound(),
        unavailable in bound(),
        happenings in prop::collection::vec(happening(), 0..150),
    ) {
        let strategy = json!({"spec": {"strategy": {"rollingUpdate": {
            "maxSurge": surge, "maxUnavailable": unavailable,
        }}}});
        let mut simulation = Simulation::settled(deployment(replicas, "web:1", strategy));
        let bounds = Bounds::of(&simulation.deployment);
        let (most, least) = (bounds.max_total() as usize, bounds.min_available() as usize);
        simulation.set_image("web:2");
        for happening in happenings {
            let sets = simulation.sets.len();
            match happening {
                Happening::Plan => simulation.apply(simulation.plan()),
                Happening::Follow(set) => simulation.follow_size(set.index(sets)),
                Happening::Tell(set) => simulation.tell(set.index(sets)),
                Happening::Ready(set) => {
                    let pods = &mut simulation.pods[set.index(sets)];
                    pods.iter_mut().filter(|ready| !**ready).take(1).for_each(|r| *r = true);
                }
                Happening::Image(version) => simulation.set_image(&format!("web:{version}")),
            }
            prop_assert!(simulation.active() <= most, "{} pods", simulation.active());
            prop_assert!(simulation.ready() >= least, "{} ready pods", simulation.ready());
        }
        simulation.settle();
        prop_assert_eq!(simulation.ready(), replicas as usize);
        let current = simulation.sizes().into_iter().filter(|size| *size > 0).count();
        prop_assert_eq!(current, 1);
    }
}
