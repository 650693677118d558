//! What a new leader still has to do when it was a warm standby before: next to nothing.

use std::sync::Mutex;

use async_trait::async_trait;
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, Record, Revision, StoreClient, StoreError,
    Transaction, WatchStream,
};
use tokio::time::Instant;

use super::*;

/// How long a warm leader may take, in simulated time, from the order to lead to the change of the
/// cluster that was called for before: less than anything that is waited for elsewhere.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Writes down which resources are listed.
struct ListedStore {
    inner: SharedStore,
    listed: Mutex<Vec<String>>,
}

#[async_trait]
impl StoreClient for ListedStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        self.inner.write(transaction).await
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
        self.listed.lock().unwrap().push(range.resource.to_string());
        self.inner.list(range, options, consistency).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        self.inner.watch(range, from).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_warm_standby_that_takes_over_lists_nothing_and_acts_at_once() {
    let mut world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 2, "web:1").await;
    world.until_rolled_out("web").await;
    let listed =
        Arc::new(ListedStore { inner: world.store.clone(), listed: Mutex::new(Vec::new()) });
    let store: SharedStore = listed.clone();
    let standby = Standby::start(&store);
    let newest = world.deployment("web").await.metadata.resource_version.unwrap();
    assert!(standby.catch_up(Revision(newest.parse().unwrap())).await);
    world.leader.cancel();
    world.change("web", |deployment| deployment.spec.as_mut().unwrap().replicas = Some(5)).await;
    listed.listed.lock().unwrap().clear();

    let began = Instant::now();
    world.lead_over(store, standby, "h2");
    world.until("the pods are made", async |world| world.pods().await.len() == 5).await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    // The sweeper of old events reads them now and then, whoever leads.
    let listed = listed.listed.lock().unwrap();
    assert!(listed.iter().all(|resource| resource == "events"), "{listed:?}");
}
