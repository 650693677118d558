//! Which pods this host has, and a worker for each.
//!
//! A pod gets a worker when the store binds it here, when it was here before this process began,
//! or when the runtime has something of it. A worker is told that its pod is gone only after a
//! linearizable read said so: a store that does not answer, or a replica that is behind, ends
//! nothing.

mod ownership;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use skein_runtime::RuntimeEvent;
use skein_storage::{Change, Informer};
use tokio::{
    sync::{Notify, watch},
    task::{JoinError, JoinSet},
    time::{interval, sleep, timeout},
};

use crate::{
    checkpoint,
    host::{Host, NetworkHealth},
    lifecycle::Observed,
    limits,
    worker::{Assignment, Worker, WorkerHandle},
};
use ownership::{Ownership, confirm, pod_of, uid_of};
pub(crate) use ownership::{bound_to, is_bound};

/// The pods of this host.
pub(crate) struct Pods {
    host: Arc<Host>,
    informer: Informer<Pod>,
    workers: BTreeMap<String, WorkerHandle>,
    /// What the runtime has of pods nobody knows, until the store has said whether they are gone.
    orphans: BTreeMap<String, Observed>,
    /// Pods whose workers have ended, until the informer no longer shows them.
    ended: BTreeSet<String>,
    /// Pods that are being looked up in the store.
    confirming: BTreeSet<String>,
    tasks: JoinSet<Done>,
}

/// What a task of [`Pods`] was.
enum Done {
    /// The worker of a pod ended.
    Worker(String),
    /// A pod was looked up in the store.
    Confirmed(String, Arc<Pod>, Ownership),
}

impl Pods {
    pub(crate) fn new(host: Arc<Host>, informer: Informer<Pod>) -> Self {
        Self {
            host,
            informer,
            workers: BTreeMap::new(),
            orphans: BTreeMap::new(),
            ended: BTreeSet::new(),
            confirming: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Runs until dropped; its workers end with it, their containers run on.
    pub(crate) async fn run(mut self) {
        let mut changes = self.informer.changes();
        let mut events = self.host.runtime.events();
        self.adopt().await;
        let mut timer = interval(limits::PODS_RESYNC);
        self.reconcile();
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.changed(&change),
                    None => return,
                },
                event = events.next() => match event {
                    Some(event) => self.heard(&event),
                    None => {
                        tracing::warn!("the runtime's events ended; listening again");
                        sleep(limits::HEALTH_RETRY).await;
                        events = self.host.runtime.events();
                        self.heard(&RuntimeEvent::Resync);
                    }
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(error) => self.worker_died(&error),
                },
                _ = timer.tick() => self.reconcile(),
            }
        }
    }

    /// Takes over what the runtime and the agent's directory have, once the runtime answers.
    async fn adopt(&mut self) {
        let mut found = loop {
            match self.list_runtime().await {
                Ok(found) => break found,
                Err(error) => tracing::debug!(%error, "waiting for the runtime"),
            }
            sleep(limits::HEALTH_RETRY).await;
        };
        let (data_dir, disk) = (self.host.config.data_dir.clone(), self.host.config.disk_work);
        let known = disk.run(move || checkpoint::pods(&data_dir)).await.unwrap_or_default();
        let current = self.informer.list();
        let kept: BTreeMap<String, Arc<Pod>> =
            known.into_iter().map(Arc::new).chain(current).map(|pod| (uid_of(&pod), pod)).collect();
        if found.values().any(|observed| observed.live_sandbox().is_some()) {
            self.wait_for_range().await;
        }
        // Addresses in use are taken over before any worker asks for a new one.
        let mut workers = Vec::new();
        for (uid, pod) in kept {
            let observed = found.remove(&uid).unwrap_or_default();
            let mut worker = self.make(&uid, Assignment { pod, gone: false }, observed);
            worker.adopt().await;
            workers.push((uid, worker));
        }
        for (uid, observed) in &found {
            self.keep_address(uid, observed).await;
        }
        for (uid, worker) in workers {
            self.run_worker(uid, worker);
        }
        self.orphans = found;
    }

    /// Sees to it that nobody else gets the address of a pod that runs but that nobody knows yet.
    async fn keep_address(&self, uid: &str, observed: &Observed) {
        let Some(pid) = observed.live_sandbox().and_then(|sandbox| sandbox.pid) else { return };
        if let Err(error) = self.host.network.adopt(uid, pid, None).await {
            tracing::warn!(uid, %error, "the address of an unknown pod is not kept");
        }
    }

    /// Waits until the host's network knows its range, for a while.
    async fn wait_for_range(&self) {
        let mut health = self.host.network_health.subscribe();
        let known = health.wait_for(|health| *health != NetworkHealth::NoRange);
        if timeout(limits::RANGE_TIMEOUT, known).await.is_err() {
            tracing::warn!("no pod range is known; running pods keep their addresses unseen");
        }
    }

    fn spawn(&mut self, uid: String, assignment: Assignment, observed: Observed) {
        let worker = self.make(&uid, assignment, observed);
        self.run_worker(uid, worker);
    }

    fn make(&mut self, uid: &str, assignment: Assignment, observed: Observed) -> Worker {
        let (assign, assignments) = watch::channel(assignment);
        let hint = Arc::new(Notify::new());
        let handle = WorkerHandle { assign, hint: Arc::clone(&hint) };
        self.workers.insert(uid.to_owned(), handle);
        Worker::new(Arc::clone(&self.host), assignments, hint, observed)
    }

    fn run_worker(&mut self, uid: String, worker: Worker) {
        self.tasks.spawn(async move {
            worker.run().await;
            Done::Worker(uid)
        });
    }

    /// A change of one pod reaches its worker at once; what piled up is looked at as a whole.
    fn changed(&mut self, change: &Change<Pod>) {
        match change {
            Change::Object { namespace, name, .. } => match self.informer.get(namespace, name) {
                Some(pod) if !self.has_namesake(&pod) => self.assign(pod),
                _ => self.reconcile(),
            },
            Change::Resync => self.reconcile(),
        }
    }

    /// Whether a worker has another pod of that name, one which must have been replaced.
    fn has_namesake(&self, pod: &Pod) -> bool {
        let (new, uid) = (&pod.metadata, uid_of(pod));
        self.workers.iter().any(|(known, worker)| {
            let assignment = worker.assign.borrow();
            let old = &assignment.pod.metadata;
            *known != uid
                && !assignment.gone
                && (&old.namespace, &old.name) == (&new.namespace, &new.name)
        })
    }

    fn assign(&mut self, pod: Arc<Pod>) {
        let uid = uid_of(&pod);
        if let Some(worker) = self.workers.get(&uid) {
            worker.assign.send_if_modified(|assignment| {
                let newer = !Arc::ptr_eq(&assignment.pod, &pod) || assignment.gone;
                if newer {
                    *assignment = Assignment { pod, gone: false };
                }
                newer
            });
        } else if !self.ended.contains(&uid) {
            let observed = self.orphans.remove(&uid).unwrap_or_default();
            self.spawn(uid, Assignment { pod, gone: false }, observed);
        }
    }

    /// Compares the pods bound here with the workers, and looks up the pods that seem gone.
    fn reconcile(&mut self) {
        let pods = self.informer.list();
        let bound: BTreeSet<String> = pods.iter().map(|pod| uid_of(pod)).collect();
        self.ended.retain(|uid| bound.contains(uid));
        pods.into_iter().for_each(|pod| self.assign(pod));
        if !self.informer.is_synced() {
            return;
        }
        let missing = self.workers.iter().filter(|(uid, _)| !bound.contains(*uid));
        let missing: Vec<_> = missing
            .map(|(uid, worker)| (uid.clone(), worker.assign.borrow().clone()))
            .filter(|(_, assignment)| !assignment.gone)
            .map(|(uid, assignment)| (uid, assignment.pod))
            .collect();
        let orphans =
            self.orphans.iter().map(|(uid, observed)| (uid.clone(), pod_of(uid, observed)));
        let orphans: Vec<_> = orphans.collect();
        for (uid, pod) in missing.into_iter().chain(orphans) {
            self.confirm(uid, pod);
        }
    }

    fn confirm(&mut self, uid: String, pod: Arc<Pod>) {
        if self.confirming.insert(uid.clone()) {
            let host = Arc::clone(&self.host);
            self.tasks.spawn(async move {
                let ownership = confirm(&host, &pod).await;
                Done::Confirmed(uid, pod, ownership)
            });
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Worker(uid) => {
                self.workers.remove(&uid);
                self.ended.insert(uid);
                self.reconcile();
            }
            Done::Confirmed(uid, pod, ownership) => {
                self.confirming.remove(&uid);
                match ownership {
                    Ownership::Here(pod) => self.assign(Arc::new(*pod)),
                    Ownership::Gone => self.gone(uid, pod),
                    // The next round asks again.
                    Ownership::Unknown => {}
                }
            }
        }
    }

    fn gone(&mut self, uid: String, pod: Arc<Pod>) {
        if let Some(worker) = self.workers.get(&uid) {
            worker.assign.send_modify(|assignment| assignment.gone = true);
        } else if let Some(observed) = self.orphans.remove(&uid) {
            tracing::info!(uid, "ending a pod of an earlier run that is gone");
            self.spawn(uid, Assignment { pod, gone: true }, observed);
        }
    }

    /// A worker panicked: its pod gets another one at the next round.
    fn worker_died(&mut self, error: &JoinError) {
        tracing::error!(%error, "a pod worker died");
        self.workers.retain(|_, worker| !worker.assign.is_closed());
    }

    fn heard(&self, event: &RuntimeEvent) {
        match event {
            RuntimeEvent::Pod { uid } => {
                if let Some(worker) = self.workers.get(uid) {
                    worker.hint.notify_one();
                }
            }
            RuntimeEvent::Resync => {
                self.workers.values().for_each(|worker| worker.hint.notify_one());
            }
        }
    }

    async fn list_runtime(
        &self,
    ) -> Result<BTreeMap<String, Observed>, skein_runtime::RuntimeError> {
        let mut found: BTreeMap<String, Observed> = BTreeMap::new();
        for sandbox in self.host.runtime.list_sandboxes(None).await? {
            found.entry(sandbox.uid.clone()).or_default().sandboxes.push(sandbox);
        }
        for container in self.host.runtime.list_containers(None).await? {
            found.entry(container.pod_uid.clone()).or_default().containers.push(container);
        }
        Ok(found)
    }
}
