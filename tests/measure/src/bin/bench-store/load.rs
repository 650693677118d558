//! Clients that write as fast as they are answered.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use skein_consensus::{Key, Operation, Precondition, SharedStore, Transaction};
use tokio::task::JoinSet;

/// Objects each client writes in turn, so that the state stays small however long it writes.
const OBJECTS: usize = 64;

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Clients, each with one transaction under way.
    pub(crate) clients: usize,
    /// Bytes of each value.
    pub(crate) bytes: usize,
    /// How long they write before it counts.
    pub(crate) warm_up: Duration,
    /// How long it counts.
    pub(crate) duration: Duration,
}

/// What was written while it counted.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Of each transaction, from the call to its acknowledgement.
    pub(crate) latencies: Vec<Duration>,
    /// From the first moment that counted to the last.
    pub(crate) took: Duration,
}

impl Load {
    /// Runs the clients, by turns at each of `stores`.
    ///
    /// # Errors
    /// The first write that fails: a load that lost some would measure something else.
    pub(crate) async fn run(self, stores: &[SharedStore]) -> Result<Written> {
        let from = Instant::now() + self.warm_up;
        let until = from + self.duration;
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            let store = SharedStore::clone(&stores[client % stores.len()]);
            clients.spawn(write(store, client, Bytes::from(vec![b'x'; self.bytes]), from, until));
        }
        let mut latencies = Vec::new();
        while let Some(done) = clients.join_next().await {
            latencies.extend(done??);
        }
        Ok(Written { latencies, took: self.duration })
    }
}

/// One client: the latencies of its transactions acknowledged between `from` and `until`.
async fn write(
    store: SharedStore,
    client: usize,
    value: Bytes,
    from: Instant,
    until: Instant,
) -> Result<Vec<Duration>> {
    let keys: Vec<Key> = (0..OBJECTS)
        .map(|object| Key::new("measured", "default", format!("c{client}-{object}")))
        .collect();
    let mut latencies = Vec::new();
    for key in keys.iter().cycle() {
        let put =
            Operation::Put { key: key.clone(), value: value.clone(), when: Precondition::Any };
        let begun = Instant::now();
        store.write(Transaction::new(vec![put])).await?;
        let ended = Instant::now();
        if ended >= until {
            break;
        }
        if ended >= from {
            latencies.push(ended - begun);
        }
    }
    Ok(latencies)
}
