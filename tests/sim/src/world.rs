//! A whole cluster and everything that happens to it, from one seed.
//!
//! A run forms a cluster, lets the faults of the plan loose on it while clients use it, heals
//! everything, and demands that it lives: one leader, every host writes, all replicas agree. What
//! the clients noted is judged at the end.

mod faults;
mod phases;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use skein_net::NodeId;
use skein_store::Disk;

use crate::{
    disk,
    history::History,
    host::{Host, Start, Stepped},
    invariants::{Leaders, Logs, Violation, judge_addresses},
    limits::STEP,
    node::{Machine, Process, name_of},
    panics,
    plan::Plan,
    trace::Trace,
    wire::{Endpoint, Wire},
};

pub(crate) use phases::run;

/// Hosts outside the cluster are numbered from here.
const OUTSIDERS: [NodeId; 2] = [NodeId(101), NodeId(102)];

/// Between two looks at the addresses of pods.
const ADDRESSES_EVERY_MS: u64 = 100;

/// The simulated world.
pub(crate) struct World {
    plan: Plan,
    /// Where agents keep their files.
    files: PathBuf,
    now_ms: u64,
    luck: StdRng,
    wire: Wire,
    trace: Trace,
    history: History,
    hosts: BTreeMap<NodeId, Host>,
    leaders: Leaders,
    logs: Logs,
    violations: Vec<Violation>,
    /// Stops that are wanted; a host that ends otherwise has a defect.
    stopping: Vec<NodeId>,
}

impl World {
    fn new(seed: u64, plan: Plan, files: PathBuf, trace: Trace) -> Self {
        let mut luck = StdRng::seed_from_u64(seed);
        let wire = Wire::new(StdRng::seed_from_u64(luck.random()), trace.clone());
        let members = (1..=plan.hosts).map(NodeId);
        let hosts = members.chain(OUTSIDERS).map(|id| (id, Host::new(id))).collect();
        Self {
            plan,
            files,
            now_ms: 0,
            luck,
            wire,
            trace,
            history: History::default(),
            hosts,
            leaders: Leaders::default(),
            logs: Logs::default(),
            violations: Vec::new(),
            stopping: Vec::new(),
        }
    }

    fn members(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values().filter(|host| !OUTSIDERS.contains(&host.id))
    }

    /// Starts the process of a host that is down.
    fn start(&mut self, id: NodeId) -> Result<()> {
        let members: Vec<NodeId> = (1..=self.plan.hosts).map(NodeId).collect();
        let (luck, history) = (self.luck.random(), self.history.clone());
        let Some(host) = self.hosts.get_mut(&id).filter(|host| !host.is_up()) else {
            return Ok(());
        };
        self.trace.note(format_args!("{id} starts"));
        let machine = Machine {
            disk: host.disk.clone(),
            engine: host.engine.clone(),
            data_dir: self.files.join(name_of(id)),
            founds: id == NodeId(1) && host.starts == 0,
        };
        host.start(self.now_ms, &self.wire, |start: &Start| {
            let process = Process {
                transport: std::sync::Arc::new(Endpoint(start.line.clone())),
                hosts: members,
                window: start.window.clone(),
                history,
                luck,
                stop: start.stop.clone(),
            };
            let outside = OUTSIDERS.contains(&id);
            async move {
                if outside { process.outsider().await } else { process.node(machine).await }
            }
        })
    }

    /// Lets one step pass everywhere.
    fn step(&mut self) {
        self.trace.at(Duration::from_millis(self.now_ms));
        let mut arriving: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for packet in self.wire.arriving(self.now_ms) {
            arriving.entry(packet.to).or_default().push(packet);
        }
        let mut order: Vec<NodeId> = self.hosts.keys().copied().collect();
        order.shuffle(&mut self.luck);
        for id in order {
            let Some(host) = self.hosts.get_mut(&id) else { continue };
            let packets = arriving.remove(&id).unwrap_or_default();
            match host.step(self.now_ms, packets) {
                Stepped::On => self.observe(id),
                Stepped::Crashed => self.crashed(id),
                Stepped::Ended(outcome) => self.ended(id, outcome),
            }
            self.violations.extend(panics::take());
        }
        if self.now_ms.is_multiple_of(ADDRESSES_EVERY_MS) {
            self.check_addresses();
        }
        self.now_ms += STEP.as_millis() as u64;
    }

    /// Looks at the addresses of all pods.
    fn check_addresses(&mut self) {
        let pods: Vec<(String, Vec<_>)> =
            self.members().map(|host| (name_of(host.id), host.engine.pods())).collect();
        let running = pods.iter().flat_map(|(host, pods)| {
            let given = pods.iter().filter_map(|(uid, ip)| Some((uid.as_str(), (*ip)?)));
            given.map(|(uid, ip)| (host.as_str(), uid, ip))
        });
        self.violations.extend(judge_addresses(running));
    }

    /// Looks at the log of a host.
    fn inspect(&mut self, id: NodeId) {
        let Some(host) = self.hosts.get(&id).filter(|host| host.starts > 0) else { return };
        let found = match skein_store::inspect(&Disk::Memory(host.disk.fork())) {
            Ok(inspection) => self.logs.observe(id, &inspection),
            Err(error) => {
                let detail = format!("the log of {id} cannot be read: {error}");
                Err(Violation::new("a disk is never damaged by a power cut", detail))
            }
        };
        self.violations.extend(found.err());
    }

    /// Looks at who leads.
    fn observe(&mut self, id: NodeId) {
        let Some(status) = self.hosts.get(&id).and_then(Host::status) else { return };
        if status.is_leader() {
            match self.leaders.observe(status.term, id) {
                Ok(true) => self.trace.note(format_args!("{id} leads in term {}", status.term)),
                Ok(false) => {}
                Err(violation) => self.violations.push(violation),
            }
        }
    }

    fn crashed(&mut self, id: NodeId) {
        // What a process did to itself after its power had failed is nobody's concern.
        drop(panics::take());
        let luck = &mut self.luck;
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if host.power_fails {
            host.end(&self.wire, Some(&mut |length| disk::torn(luck, length)));
            host.engine.cut_power();
        } else {
            // What the kernel was given is on its way to the disk whoever gave it.
            host.end(&self.wire, Some(&mut |length| length));
            host.engine.network.forget_process();
        }
        self.stopping.retain(|stopping| *stopping != id);
        self.trace.note(format_args!("{id} crashed"));
        self.inspect(id);
    }

    fn ended(&mut self, id: NodeId, outcome: Result<(), String>) {
        let wanted = self.stopping.contains(&id);
        self.stopping.retain(|stopping| *stopping != id);
        if let Some(host) = self.hosts.get_mut(&id) {
            host.end(&self.wire, None);
            host.engine.network.forget_process();
        }
        self.trace.note(format_args!("{id} ended: {outcome:?}"));
        let excused = self.hosts.get(&id).is_some_and(|host| host.disk_full || host.disk_fails);
        if !excused && (!wanted || outcome.is_err()) {
            let detail = format!("{id} ended by itself: {outcome:?}");
            self.violations.push(Violation::new("a node runs until it is stopped", detail));
        }
    }
}
