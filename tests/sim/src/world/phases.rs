//! The course of a run: form, break, heal, live, judge.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use rand::seq::SliceRandom;
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, Operation, Precondition, Record, Revision,
    SharedStore, Transaction,
};
use skein_net::NodeId;
use tokio::time::{Duration, sleep};

use super::{OUTSIDERS, World};
use crate::{
    host::Host,
    invariants::{self, Live, Violation, difference},
    limits::{DISK_TELLS_WITHIN_MS, STOPS_WITHIN_MS},
    node::name_of,
    plan::Plan,
    trace::Trace,
    workload::{REGISTERS, RESOURCE, list_apps, read},
};

/// How long a cluster may take to form, in virtual time.
const FORMS_WITHIN_MS: u64 = 60_000;

/// How long after everything is healed the cluster must be whole: elections, catching up, and
/// streams that notice that they are dead take seconds each.
const LIVES_WITHIN_MS: u64 = 60_000;

/// How long watchers may take to be told of everything after that.
const TOLD_WITHIN_MS: u64 = 40_000;

/// How long replica counts may take to be reached: a host that was dead is believed alive again,
/// pods are replaced, and those that failed are tried again after a growing pause.
const SETTLES_WITHIN_MS: u64 = 180_000;

/// Between two looks at the pods.
const LOOKS_EVERY_MS: u64 = 500;

/// How long after the last call was begun none is under way any more.
const GIVES_UP_WITHIN_MS: u64 = 15_000;

/// Between two attempts at what must succeed in the end.
const RETRY: Duration = Duration::from_millis(50);

/// Runs `plan` and returns what was violated.
pub(crate) fn run(seed: u64, plan: Plan, files: PathBuf, trace: Trace) -> Result<Vec<Violation>> {
    let mut world = World::new(seed, plan, files, trace);
    let formed = world.form()?;
    if formed && world.violations.is_empty() {
        world.suffer()?;
        if world.violations.is_empty() {
            world.heal()?;
            world.live();
        }
    }
    let mut violations = std::mem::take(&mut world.violations);
    violations.extend(invariants::judge(&world.history.notes()));
    Ok(violations)
}

/// How many hosts vote in a healthy cluster of `hosts`.
fn voters_of(hosts: u64) -> usize {
    match hosts {
        0..=2 => 1,
        3 | 4 => 3,
        _ => 5,
    }
}

impl World {
    /// Runs until `holds`, at most for `patience_ms`. Returns whether it did.
    fn until(&mut self, patience_ms: u64, holds: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.now_ms + patience_ms;
        while self.now_ms < deadline && self.violations.is_empty() {
            if holds(self) {
                return true;
            }
            self.step();
        }
        holds(self)
    }

    fn demand(&mut self, patience_ms: u64, what: &str, holds: impl Fn(&Self) -> bool) -> bool {
        let held = self.until(patience_ms, holds);
        if !held && self.violations.is_empty() {
            let states: Vec<String> = self
                .members()
                .map(|host| format!("\n    {}: {:?}", host.id, host.status()))
                .collect();
            let detail = format!("after {patience_ms} ms not: {what}{}", states.concat());
            self.violations.push(Violation::new("liveness", detail));
        }
        held
    }

    /// Starts everything and waits until the cluster is whole.
    fn form(&mut self) -> Result<bool> {
        let mut order: Vec<NodeId> = self.hosts.keys().copied().collect();
        order.shuffle(&mut self.luck);
        order.into_iter().try_for_each(|id| self.start(id))?;
        Ok(self.demand(FORMS_WITHIN_MS, "the cluster forms", Self::is_whole))
    }

    /// Whether one host leads, all follow it, and as many vote as should.
    fn is_whole(&self) -> bool {
        let statuses: Option<Vec<_>> = self.members().map(Host::status).collect();
        let Some(statuses) = statuses else { return false };
        let Some(leader) = statuses.iter().find(|status| status.is_leader()) else { return false };
        let voters = voters_of(self.plan.hosts);
        statuses.iter().all(|status| {
            status.leader == Some(leader.id)
                && status.term == leader.term
                && status.quorum
                && status.voters.len() == voters
                && !status.changing
        })
    }

    /// Lets the faults loose.
    fn suffer(&mut self) -> Result<()> {
        let began = self.now_ms;
        let faults = self.plan.faults.clone();
        for (at, fault) in faults {
            self.until(began + at - self.now_ms.min(began + at), |_| false);
            self.inflict(&fault)?;
        }
        let end = began + self.plan.heals_at_ms;
        self.until(end.saturating_sub(self.now_ms), |_| false);
        Ok(())
    }

    /// Takes back every fault that can be taken back.
    fn heal(&mut self) -> Result<()> {
        self.trace.note(format_args!("everything heals"));
        self.wire.heal();
        for host in self.hosts.values_mut() {
            host.hold_power();
            host.fill_disk(false);
            host.break_disk(0);
            host.disk.set_sync_latency(Duration::ZERO);
            host.stalled_until_ms = 0;
        }
        // What a broken disk refused a moment ago is told first.
        self.until(DISK_TELLS_WITHIN_MS, |_| false);
        // A process that is stopping or has no power, or whose disk had been full, ends first.
        self.until(STOPS_WITHIN_MS, |world| {
            world.stopping.is_empty() && !world.hosts.values().any(Host::is_failing)
        });
        self.restart_failed();
        self.start_all()
    }

    /// Restarts what cannot go on by itself: a replica whose disk refused a write.
    fn restart_failed(&mut self) {
        let failed: Vec<NodeId> = self
            .members()
            .filter(|host| host.status().is_some_and(|status| status.failure.is_some()))
            .map(|host| host.id)
            .collect();
        failed.into_iter().for_each(|id| self.crashed(id));
    }

    /// Demands that the cluster works again for everybody.
    fn live(&mut self) {
        if !self.demand(LIVES_WITHIN_MS, "the cluster is whole again", Self::is_whole) {
            return;
        }
        let all: Vec<NodeId> = self.hosts.keys().copied().collect();
        for id in &all {
            if self.write(*id).is_none() {
                return;
            }
        }
        self.history.complete();
        // Whoever waits for an answer gets one, or gives up.
        self.until(GIVES_UP_WITHIN_MS, |_| false);
        let Some(last) = self.read_all() else { return };
        self.settle_apps();
        let told = |world: &Self| {
            let mut views = world.hosts.values().map(Host::view);
            views.all(|view| {
                view.is_some_and(|view| world.history.served(view.watcher) >= Some(last))
            })
        };
        if self.demand(TOLD_WITHIN_MS, "every watcher is told everything", told) {
            self.compare(last);
        }
        let members: Vec<NodeId> = self.members().map(|host| host.id).collect();
        members.into_iter().for_each(|id| self.inspect(id));
    }

    /// Runs a task on a host and returns what comes of it.
    fn ask<T, F>(
        &mut self,
        id: NodeId,
        what: &str,
        task: impl FnOnce(SharedStore) -> F,
    ) -> Option<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let host = self.hosts.get(&id)?;
        let answer = host.run(task(host.view()?.store))?;
        let what = format!("{what} on {id}");
        self.demand(LIVES_WITHIN_MS, &what, |_| answer.get().is_some());
        answer.get().cloned()
    }

    /// Demands that every Deployment gets what it asks for.
    fn settle_apps(&mut self) {
        let deadline = self.now_ms + SETTLES_WITHIN_MS;
        loop {
            let Some(difference) = self.apps_differ() else { return };
            if self.now_ms >= deadline {
                let detail = format!("after {SETTLES_WITHIN_MS} ms: {difference}");
                let invariant = "replica counts are reached after healing";
                self.violations.push(Violation::new(invariant, detail));
                return;
            }
            self.until(LOOKS_EVERY_MS, |_| false);
        }
    }

    /// Why the Deployments do not have what they ask for yet.
    fn apps_differ(&mut self) -> Option<String> {
        if !self.violations.is_empty() {
            return None;
        }
        let host =
            self.members().find(|host| host.view().is_some_and(|view| view.api.is_some()))?;
        let api = host.view()?.api?;
        let answer = host.run(async move { list_apps(&api).await.map_err(Arc::new) })?;
        self.demand(LIVES_WITHIN_MS, "a list of pods", |_| answer.get().is_some());
        let live: Live = self
            .members()
            .flat_map(|host| {
                let pods = host.engine.pods();
                pods.into_iter().map(|(uid, _)| (name_of(host.id), uid)).collect::<Vec<_>>()
            })
            .collect();
        match answer.get()? {
            Ok((deployments, pods)) => difference(deployments, pods, &live),
            Err(error) => Some(format!("{error:#}")),
        }
    }

    /// Writes through a host.
    fn write(&mut self, id: NodeId) -> Option<()> {
        self.ask(id, "a write", |store| async move {
            let key = Key::new("ends", "default", id.to_string());
            let put = Operation::Put { key, value: "end".into(), when: Precondition::Any };
            let transaction = Transaction::new(vec![put]);
            while store.write(transaction.clone()).await.is_err() {
                sleep(RETRY).await;
            }
        })
    }

    /// Reads every register once more, and returns the revision they were all read at or before.
    fn read_all(&mut self) -> Option<Revision> {
        let history = self.history.clone();
        self.ask(OUTSIDERS[0], "reading every register", |store| async move {
            for register in 0..REGISTERS {
                let fresh = Consistency::Linearizable;
                while read(&store, register, fresh, &history).await.is_err() {
                    sleep(RETRY).await;
                }
            }
            list(&store, Consistency::Linearizable).await.revision
        })
    }

    /// Demands that all replicas hold the same at `last`.
    fn compare(&mut self, last: Revision) {
        let members: Vec<NodeId> = self.members().map(|host| host.id).collect();
        let mut first: Option<(NodeId, Vec<Arc<Record>>)> = None;
        for id in members {
            let listed = self.ask(id, "a list", |store| async move {
                list(&store, Consistency::AtLeast(last)).await
            });
            let Some(Listing { records, .. }) = listed else { return };
            match &first {
                None => first = Some((id, records)),
                Some((other, theirs)) if *theirs != records => {
                    let detail = format!("{other} has {theirs:?}, {id} has {records:?}");
                    self.violations.push(Violation::new("replicas agree", detail));
                }
                Some(_) => {}
            }
        }
    }
}

/// Lists the registers, again and again until it succeeds.
async fn list(store: &SharedStore, consistency: Consistency) -> Listing {
    let range = KeyRange::all(RESOURCE);
    loop {
        match store.list(&range, ListOptions::default(), consistency).await {
            Ok(listed) => return listed,
            Err(_) => sleep(RETRY).await,
        }
    }
}
