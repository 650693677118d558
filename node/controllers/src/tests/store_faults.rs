//! Writes that are committed after whoever sent them has given up, and writes that fail whenever
//! they are tried.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, Operation, Record, Revision, StoreClient,
    StoreError, Transaction, WatchStream,
};
use tokio::{sync::oneshot, time::Instant};

use super::*;
use crate::limits::{BACKOFF, RECONCILE_DEADLINE};

type Answer = oneshot::Sender<Result<Vec<Revision>, StoreError>>;

/// A store whose log takes writes in order but, from the first pod on that is made while it is
/// armed, commits none of them until it is released. Changes of one pod fail if it is told so.
struct FaultyStore {
    inner: Arc<MemoryStore>,
    log: Mutex<Log>,
    pods_made: AtomicUsize,
    failures: AtomicUsize,
}

#[derive(Default)]
struct Log {
    armed: bool,
    stalled: bool,
    failing_pod: Option<&'static str>,
    waiting: Vec<(Transaction, Answer)>,
}

impl FaultyStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            log: Mutex::default(),
            pods_made: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
        })
    }

    fn arm(&self) {
        self.log.lock().unwrap().armed = true;
    }

    fn fail_changes_of(&self, pod: Option<&'static str>) {
        self.log.lock().unwrap().failing_pod = pod;
    }

    /// Creates of pods in the stalled log whose sender no longer waits.
    fn given_up(&self) -> usize {
        let log = self.log.lock().unwrap();
        let given_up = |(transaction, answer): &&(Transaction, Answer)| {
            makes_pod(transaction) && answer.is_closed()
        };
        log.waiting.iter().filter(given_up).count()
    }

    async fn release(&self) {
        let waiting = {
            let mut log = self.log.lock().unwrap();
            (log.armed, log.stalled) = (false, false);
            std::mem::take(&mut log.waiting)
        };
        for (transaction, answer) in waiting {
            // Nobody listens to the answers of the writes that were given up.
            drop(answer.send(self.commit(transaction).await));
        }
    }

    async fn commit(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        let makes_pod = makes_pod(&transaction);
        let revisions = self.inner.write(transaction).await?;
        self.pods_made.fetch_add(usize::from(makes_pod), Ordering::Relaxed);
        Ok(revisions)
    }
}

fn makes_pod(transaction: &Transaction) -> bool {
    transaction.operations.iter().any(|operation| match operation {
        Operation::Put { key, when, .. } => {
            &*key.resource == "pods" && *when == skein_consensus::Precondition::Absent
        }
        _ => false,
    })
}

fn changes_pod(transaction: &Transaction, name: &str) -> bool {
    !makes_pod(transaction)
        && transaction.operations.iter().any(|operation| {
            let key = operation.key();
            &*key.resource == "pods" && &*key.name == name
        })
}

#[async_trait]
impl StoreClient for FaultyStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        let answered = {
            let mut log = self.log.lock().unwrap();
            if log.failing_pod.is_some_and(|pod| changes_pod(&transaction, pod)) {
                self.failures.fetch_add(1, Ordering::Relaxed);
                return Err(StoreError::Storage("the disk is full".to_owned()));
            }
            log.stalled |= log.armed && makes_pod(&transaction);
            log.stalled.then(|| {
                let (answer, answered) = oneshot::channel();
                log.waiting.push((transaction.clone(), answer));
                answered
            })
        };
        match answered {
            Some(answered) => answered.await.unwrap(),
            None => self.commit(transaction).await,
        }
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        self.inner.get(key, consistency).await
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        self.inner.list(range, options, consistency).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        self.inner.watch(range, from).await
    }
}

#[tokio::test(start_paused = true)]
async fn pods_whose_creation_was_given_up_but_comes_late_are_not_made_twice() {
    let store = FaultyStore::new();
    let world = World::over(store.clone(), &["h1"]).await;
    store.arm();
    world.deploy("web", 6, "web:1").await;
    world.until("all creates were given up", async |_| store.given_up() == 6).await;
    let cut = Instant::now();
    world.until("the set was looked at again", async |_| cut.elapsed() > BACKOFF.0 * 4).await;
    assert!(cut.elapsed() < RECONCILE_DEADLINE, "nothing was cut a second time");
    store.release().await;
    world.until_rolled_out("web").await;
    assert_eq!(store.pods_made.load(Ordering::Relaxed), 6);
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_fails_is_tried_less_and_less_often_and_holds_nobody_up() {
    let store = FaultyStore::new();
    let world = World::over(store.clone(), &["h1"]).await;
    store.fail_changes_of(Some("stuck"));
    let failures = || store.failures.load(Ordering::Relaxed);
    let start = Instant::now();
    world.storage.typed().create(&pod_named("stuck")).await.unwrap();
    world.until("the binding failed six times", async |_| failures() >= 6).await;
    assert!(start.elapsed() >= BACKOFF.0 * (1 + 2 + 4 + 8 + 16), "{:?}", start.elapsed());

    let before = failures();
    world.storage.typed().create(&pod_named("other")).await.unwrap();
    let runs = async |name| world.pods().await.iter().any(|pod| runs_as(pod, name));
    world.until("another pod runs", async |_| runs("other").await).await;
    assert_eq!(failures(), before, "news do not shorten the pause");

    store.fail_changes_of(None);
    world.until("the pod runs by itself", async |_| runs("stuck").await).await;
}

fn pod_named(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }))
    .unwrap()
}

fn runs_as(pod: &Pod, name: &str) -> bool {
    pod.metadata.name.as_deref() == Some(name) && seen(pod).ready_since.is_some()
}
