//! Random lives: a model runtime performs what the plan says, things break at random, and the
//! invariants hold throughout. proptest prints the failing life and replays it.

use proptest::prelude::*;

use super::*;

/// What happens to the pod in one tick.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Nothing.
    Quiet,
    /// A running container ends.
    Exit { which: usize, code: i32 },
    /// The sandbox dies.
    SandboxDies,
    /// The agent forgets everything it did not see in the runtime.
    AgentRestarts,
    /// Only some of the planned steps are done before the next plan.
    Slow { keep: usize },
    /// The containers are given more or less, one of them by a restart.
    Resize { cpu_limit_millis: u64 },
    /// Time passes.
    Wait { seconds: i64 },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Quiet),
        2 => (0..4_usize, prop_oneof![Just(0), Just(1)])
            .prop_map(|(which, code)| Fate::Exit { which, code }),
        1 => Just(Fate::SandboxDies),
        1 => Just(Fate::AgentRestarts),
        2 => (0..3_usize).prop_map(|keep| Fate::Slow { keep }),
        1 => (1..4_u64).prop_map(|cpu_limit_millis| Fate::Resize { cpu_limit_millis }),
        2 => (1..400_i64).prop_map(|seconds| Fate::Wait { seconds }),
    ]
}

fn policy() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![
        Just(RestartPolicy::Always),
        Just(RestartPolicy::OnFailure),
        Just(RestartPolicy::Never)
    ]
}

struct Model {
    desired: Desired,
    observed: Observed,
    memory: Memory,
    now: i64,
    /// Starts of the ephemeral container.
    visits: usize,
}

impl Model {
    fn new(restart: RestartPolicy, with_init: bool) -> Self {
        let init = if with_init {
            vec![
                container("i", Role::Init, RestartPolicy::OnFailure),
                container("side", Role::Sidecar, RestartPolicy::Always),
            ]
        } else {
            vec![]
        };
        let mut visitor = container("visitor", Role::Ephemeral, RestartPolicy::Never);
        visitor.target = Some("a".into());
        let desired = Desired { ephemeral: vec![visitor], ..pod(init, &["a", "b"], restart) };
        Self {
            desired,
            observed: Observed::default(),
            memory: Memory::default(),
            now: 0,
            visits: 0,
        }
    }

    /// Plans and performs the first `keep` steps; how many there were.
    fn step(&mut self, keep: usize) -> (usize, bool) {
        self.memory.absorb(&mut self.observed);
        let plan = plan(&self.desired, &self.observed, &self.memory, at(self.now));
        let planned = plan.actions.len();
        for action in plan.actions.into_iter().take(keep) {
            self.perform(action);
        }
        self.check();
        (planned, plan.finished)
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::TakeSlot => self.memory.slot = true,
            Action::RunSandbox { attempt } => self.observed.sandboxes.push(sandbox(attempt, true)),
            Action::Attach { sandbox } => {
                let ip = "10.42.0.2".parse().expect("an address");
                self.memory.network = Network::Attached { sandbox, ip };
            }
            Action::Detach => self.memory.network = Network::Detached,
            Action::Prepare { container, attempt } => {
                self.memory.prepared.insert(container, attempt);
            }
            Action::Create { sandbox, container, attempt, .. } => {
                let mut info = made(&container, attempt, 0, ContainerState::Created);
                info.sandbox = sandbox;
                info.id = ContainerId(format!("{container}-{attempt}-{}", self.now));
                info.created = at(self.now);
                info.resources = self.size(&container).resources;
                self.observed.containers.push(info);
            }
            Action::Start { id, .. } => self.start(&id),
            Action::Update { id, resources } => self.give(&id, resources),
            Action::Stop { id, reason, .. } => self.stop(&id, &reason),
            Action::RemoveContainer { id } => self.observed.containers.retain(|c| c.id != id),
            Action::StopSandbox { id } => self.kill_sandbox(&id),
            Action::RemoveSandbox { id } => {
                self.observed.sandboxes.retain(|sandbox| sandbox.id != id);
                self.observed.containers.retain(|container| container.sandbox != id);
            }
            Action::Probe(_) => {}
            Action::Cleanup => self.memory.cleaned = true,
            Action::Delete => self.memory.deleted = true,
        }
    }

    fn start(&mut self, id: &ContainerId) {
        let info = self.observed.containers.iter().find(|c| c.id == *id).expect("a container");
        assert_eq!(info.state, ContainerState::Created, "only a made container is started");
        self.visits += usize::from(info.name == "visitor");
        self.set(id, ContainerState::Running { started: at(self.now) });
    }

    /// Ends a container; one that is to be made anew ends well, as one that heeds SIGTERM.
    fn stop(&mut self, id: &ContainerId, reason: &StopReason) {
        let resized = *reason == StopReason::Resized;
        if let Some(info) = self.observed.containers.iter().find(|c| c.id == *id && resized) {
            self.memory.renew(info);
        }
        self.set(id, exited(if resized { 0 } else { 143 }, self.now));
    }

    fn size(&self, name: &str) -> Size {
        self.desired.container(name).and_then(|known| known.size).unwrap_or_default()
    }

    fn give(&mut self, id: &ContainerId, resources: Resources) {
        let container = self.observed.containers.iter_mut().find(|c| c.id == *id);
        let container = container.expect("a container");
        assert!(matches!(container.state, ContainerState::Running { .. }), "it does not run");
        container.resources = container.resources.updated(resources);
    }

    fn resize(&mut self, cpu_limit_millis: u64) {
        let can_restart = self.desired.restart != RestartPolicy::Never;
        for container in &mut self.desired.main {
            container.size = Some(Size {
                resources: Resources { cpu_limit_millis, ..Resources::default() },
                restarts_for_cpu: can_restart && container.name == "a",
                restarts_for_memory: false,
            });
        }
    }

    fn set(&mut self, id: &ContainerId, state: ContainerState) {
        let container = self.observed.containers.iter_mut().find(|c| c.id == *id);
        container.expect("a container").state = state;
    }

    fn kill_sandbox(&mut self, id: &SandboxId) {
        for sandbox in self.observed.sandboxes.iter_mut().filter(|sandbox| sandbox.id == *id) {
            sandbox.running = false;
            sandbox.pid = None;
        }
    }

    fn meet(&mut self, fate: Fate) {
        match fate {
            Fate::Quiet | Fate::Slow { .. } => {}
            Fate::Exit { which, code } => {
                let running: Vec<_> = self.observed.running().map(|c| c.id.clone()).collect();
                if let Some(id) = running.get(which).cloned() {
                    self.set(&id, exited(code, self.now));
                }
            }
            Fate::SandboxDies => {
                if let Some(id) = self.observed.live_sandbox().map(|live| live.id.clone()) {
                    self.kill_sandbox(&id);
                }
            }
            Fate::AgentRestarts => {
                // The address is adopted; all else is forgotten.
                let network = std::mem::take(&mut self.memory.network);
                self.memory = Memory { network, ..Memory::default() };
            }
            Fate::Resize { cpu_limit_millis } => self.resize(cpu_limit_millis),
            Fate::Wait { seconds } => self.now += seconds,
        }
    }

    fn check(&self) {
        assert!(self.visits <= 1, "an ephemeral container is started again");
        for container in self.desired.all() {
            let copies = self.observed.running().filter(|c| c.name == container.name).count();
            assert!(copies <= 1, "{copies} copies of {} run", container.name);
            let runs = self.observed.containers.iter().filter(|c| c.name == container.name);
            assert!(runs.count() <= 4, "runs of {} pile up", container.name);
        }
    }

    /// Lets the pod come to rest; false if it does not.
    fn settle(&mut self) -> bool {
        for _ in 0..100 {
            self.now += 301;
            if self.step(usize::MAX) == (0, false) {
                return true;
            }
        }
        false
    }

    fn is_done(&self, container: &ContainerSpec) -> bool {
        let newest = self.observed.newest(&container.name);
        newest.is_some_and(|info| match info.state {
            ContainerState::Exited { exit_code, .. } => {
                !restart::may_restart(container.restart, exit_code)
            }
            _ => false,
        })
    }
}

proptest! {
    #[test]
    fn every_life_comes_to_rest_with_each_container_running_once_or_done(
        restart in policy(),
        with_init in any::<bool>(),
        fates in prop::collection::vec(fate(), 0..40),
    ) {
        let mut model = Model::new(restart, with_init);
        for fate in fates {
            model.now += 1;
            model.meet(fate);
            let keep = if let Fate::Slow { keep } = fate { keep } else { usize::MAX };
            model.step(keep);
        }
        // Init containers of the model end well, whenever they run.
        for _ in 0..10 {
            let running = model.observed.running().find(|c| c.name == "i").map(|c| c.id.clone());
            if let Some(id) = running {
                model.set(&id, exited(0, model.now));
            }
            prop_assert!(model.settle(), "never at rest");
        }
        for info in model.observed.running() {
            let change = model.size(&info.name).change(info.resources);
            prop_assert_eq!(change, None, "{} is not of its size", info.name);
        }
        let over = model.desired.main.iter().all(|container| model.is_done(container));
        let never_started_again = restart == RestartPolicy::Never;
        for container in &model.desired.main {
            let runs = model.observed.running().any(|c| c.name == container.name);
            prop_assert!(
                runs || model.is_done(container) || over || never_started_again,
                "{} neither runs nor is done", container.name
            );
        }
    }

    #[test]
    fn a_running_container_is_left_alone_whatever_the_agent_forgets(
        restart in policy(),
        restarts in 1..5_usize,
    ) {
        let mut model = Model::new(restart, false);
        model.settle();
        let before: Vec<_> = model.observed.running().map(|c| c.id.clone()).collect();
        prop_assert_eq!(before.len(), 3);
        for _ in 0..restarts {
            model.meet(Fate::AgentRestarts);
            prop_assert_eq!(model.step(usize::MAX), (0, false));
        }
        let after: Vec<_> = model.observed.running().map(|c| c.id.clone()).collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn every_life_ends_with_nothing_left_once_deleted(
        restart in policy(),
        with_init in any::<bool>(),
        gone in any::<bool>(),
        fates in prop::collection::vec(fate(), 0..30),
    ) {
        let mut model = Model::new(restart, with_init);
        for fate in fates {
            model.now += 1;
            model.meet(fate);
            let keep = if let Fate::Slow { keep } = fate { keep } else { usize::MAX };
            model.step(keep);
        }
        let grace_seconds = 5;
        model.desired.intent =
            if gone { Intent::Gone { grace_seconds } } else { Intent::Terminate { grace_seconds } };
        let mut finished = false;
        for _ in 0..20 {
            finished = model.step(usize::MAX).1;
        }
        prop_assert!(finished);
        prop_assert_eq!(&model.observed, &Observed::default());
        prop_assert_eq!(model.memory.deleted, !gone);
    }
}
