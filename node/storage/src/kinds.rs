//! The kinds there are on this host: those of this binary and those that custom resource
//! definitions add.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use skein_consensus::{Consistency, Event, Record};
use skein_objects::{Kind, Registry, custom_kinds, registry};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    LocalCopy, ObjectList, Progress, Storage, follow::follow, object::stored_value, storage::key_of,
};

/// The kinds there are, kept current with the definitions in the store. Cheap to clone.
#[derive(Clone)]
pub struct Kinds {
    current: watch::Receiver<Arc<Registry>>,
    progress: Progress,
    storage: Storage,
}

impl Kinds {
    /// Starts following definitions, until cancelled.
    pub fn start(storage: &Storage, tasks: &TaskTracker, cancel: CancellationToken) -> Self {
        let (sender, current) = watch::channel(registry().clone());
        let copy = Arc::new(Copy { definitions: Mutex::default(), sender });
        let kind = registry().of::<CustomResourceDefinition>().clone();
        let progress = follow(storage, kind, copy, tasks, cancel);
        Self { current, progress, storage: storage.clone() }
    }

    /// The kinds there are now.
    pub fn current(&self) -> Arc<Registry> {
        self.current.borrow().clone()
    }

    /// How far the definitions have come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where to see them change.
    pub fn changes(&self) -> watch::Receiver<Arc<Registry>> {
        self.current.clone()
    }

    /// The kinds there are, not older than what the store has acknowledged when this is asked;
    /// without a quorum, as fresh as can be had.
    pub async fn fresh(&self) -> Arc<Registry> {
        let definitions = registry().of::<CustomResourceDefinition>();
        let any = key_of(definitions, "", "");
        if let Ok((_, revision)) = self.storage.store.get(&any, Consistency::Linearizable).await {
            self.progress.catch_up(revision).await;
        }
        self.current()
    }
}

/// The kinds of each definition, by its name.
struct Copy {
    definitions: Mutex<BTreeMap<Arc<str>, Vec<Kind>>>,
    sender: watch::Sender<Arc<Registry>>,
}

impl LocalCopy for Copy {
    fn replace(&self, list: ObjectList) {
        let all = list.records.iter().map(|record| (record.key.name.clone(), kinds_of(record)));
        self.change(|definitions| *definitions = all.collect());
    }

    fn apply(&self, event: Event) {
        self.change(|definitions| match event {
            Event::Put { record, .. } => {
                definitions.insert(record.key.name.clone(), kinds_of(&record));
            }
            Event::Delete { previous, .. } => {
                definitions.remove(&previous.key.name);
            }
        });
    }
}

impl Copy {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, Vec<Kind>>)) {
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut definitions);
        let custom: Vec<Kind> = definitions.values().flatten().cloned().collect();
        self.sender.send_replace(Arc::new(Registry::with(custom)));
    }
}

fn kinds_of(record: &Record) -> Vec<Kind> {
    match stored_value(record) {
        Ok(definition) => custom_kinds(&definition, record.modified.0),
        Err(error) => {
            tracing::error!(%error, "a definition is left out");
            Vec::new()
        }
    }
}
