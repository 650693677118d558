//! Fills the state of a stopped node through the store itself, which takes seconds instead of the
//! minutes that as many requests would take.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use skein_consensus::{
    Consistency, Disk, KeyRange, ListOptions, Operation, PeerState, Precondition, Record, Replica,
    ReplicaConfig, SharedStore, Transaction,
};
use skein_net::{Identity, NodeKey, QuicConfig, QuicTransport, Transport};
use tokio::{sync::watch, time::timeout};

/// Bytes of objects in one transaction; the store takes up to 4 MiB.
const TRANSACTION_BYTES: usize = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What was written.
pub(super) struct Filled {
    /// Name of the last pod.
    pub(super) last: String,
    /// Bytes of one pod as stored.
    pub(super) bytes: usize,
}

/// Multiplies the only pod of `namespace` in the stopped node's `data` until there are `count`.
pub(super) async fn fill(data: &Path, namespace: &str, count: usize) -> Result<Filled> {
    let identity = Identity::load(data, NodeKey::load_or_generate(data)?)?
        .context("the node has no certificate")?;
    let listen = "127.0.0.1:0".parse()?;
    let transport = QuicTransport::bind(QuicConfig { listen }, &identity)?;
    let me = PeerState {
        id: identity.id(),
        name: identity.name(),
        addr: transport.local_addr(),
        alive: true,
        zone: String::new(),
        witness: false,
        removed: false,
    };
    let peers = watch::Sender::new(Arc::new(vec![me]));
    let disk = Disk::Directory(data.join("raft"));
    let config = ReplicaConfig::new(disk, cluster_of(data)?);
    let shared: Arc<dyn Transport> = Arc::clone(&transport) as _;
    let replica = Replica::start(config, shared, peers.subscribe()).await?;
    let mut status = replica.status();
    timeout(PATIENCE, status.wait_for(|now| now.is_leader()))
        .await
        .context("the replica does not lead")?
        .context("the replica stopped")?;
    let filled = multiply(&replica.client(), namespace, count).await;
    replica.shutdown().await;
    transport.close().await;
    filled
}

fn cluster_of(data: &Path) -> Result<String> {
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(data.join("node.json"))?)?;
    Ok(record["cluster_id"].as_str().context("the node knows its cluster")?.to_owned())
}

async fn multiply(store: &SharedStore, namespace: &str, count: usize) -> Result<Filled> {
    let range = KeyRange::namespaced("pods", namespace);
    let listing = store.list(&range, ListOptions::default(), Consistency::Linearizable).await?;
    ensure!(listing.records.len() == 1, "{} pods instead of one", listing.records.len());
    let pattern = &listing.records[0];
    let per_transaction = (TRANSACTION_BYTES / pattern.value.len().max(1)).clamp(1, 2_000);
    let numbers: Vec<usize> = (1..count).collect();
    let mut last = pattern.key.name.to_string();
    for chunk in numbers.chunks(per_transaction) {
        let pods = chunk.iter().map(|number| copy(pattern, *number)).collect::<Result<Vec<_>>>()?;
        if let Some(pod) = pods.last() {
            last = pod.key().name.to_string();
        }
        store.write(Transaction::new(pods)).await?;
    }
    Ok(Filled { last, bytes: pattern.value.len() })
}

/// The pattern under another name and with another uid, as long as before.
fn copy(pattern: &Record, number: usize) -> Result<Operation> {
    let text = std::str::from_utf8(&pattern.value)?;
    let object: serde_json::Value = serde_json::from_str(text)?;
    let uid = object["metadata"]["uid"].as_str().context("a pod has a uid")?;
    let name = format!("measured-{number:07}");
    let text = text
        .replace(&*pattern.key.name, &name)
        .replace(uid, &format!("{}{number:012}", &uid[..uid.len() - 12]));
    let mut key = pattern.key.clone();
    key.name = name.into();
    Ok(Operation::Put { key, value: Bytes::from(text), when: Precondition::Absent })
}
