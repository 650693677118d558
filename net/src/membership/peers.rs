//! Peers remembered on disk: where to find the cluster again after a restart, without its seeds.
//!
//! A text file with one JSON object a line. It is a hint: lines that cannot be read are skipped,
//! and a file that cannot be written costs nothing but the memory. Simulations keep the text in
//! memory, without a thread that waits for a disk.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{NodeId, PeerAddress, durable, limits::MAX_REMEMBERED_PEERS};

/// Where peers are remembered. Clones are the same place.
#[derive(Clone, Debug)]
pub struct PeerStore {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory(Arc<Mutex<Vec<PeerAddress>>>),
}

impl PeerStore {
    /// Peers are remembered in the file at `path`.
    pub fn new(path: &Path) -> Self {
        Self { place: Place::File(path.to_owned()) }
    }

    /// Peers are remembered as long as a clone of this exists: across the restarts of a simulated
    /// node.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Arc::default()) }
    }

    /// The peers remembered, as far as the file can be read.
    pub fn load(&self) -> Vec<PeerAddress> {
        let path = match &self.place {
            Place::File(path) => path,
            Place::Memory(peers) => {
                return peers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            }
        };
        match durable::read(path) {
            Ok(text) => parse(&text.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "peers cannot be read");
                Vec::new()
            }
        }
    }

    /// Remembers these peers instead of those before.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn save(&self, peers: &[PeerAddress]) -> io::Result<()> {
        match &self.place {
            Place::File(path) => durable::write(path, render(peers)?.as_bytes(), durable::PUBLIC),
            Place::Memory(place) => {
                peers.clone_into(&mut place.lock().unwrap_or_else(PoisonError::into_inner));
                Ok(())
            }
        }
    }

    /// Whether saving waits for a disk.
    fn is_slow(&self) -> bool {
        matches!(self.place, Place::File(_))
    }
}

/// Saves what `peers` changes to; to a disk away from everything that must not wait for one.
pub(super) async fn save_changes(store: PeerStore, mut peers: watch::Receiver<Vec<PeerAddress>>) {
    while peers.changed().await.is_ok() {
        let (store, peers) = (store.clone(), peers.borrow_and_update().clone());
        let saved = if store.is_slow() {
            let saving = tokio::task::spawn_blocking(move || store.save(&peers));
            saving.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
        } else {
            store.save(&peers)
        };
        if let Err(error) = saved {
            tracing::warn!(%error, "peers cannot be remembered");
        }
    }
}

fn parse(text: &str) -> Vec<PeerAddress> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .take(MAX_REMEMBERED_PEERS)
        .collect()
}

fn render(peers: &[PeerAddress]) -> io::Result<String> {
    peers.iter().try_fold(String::new(), |text, peer| {
        Ok(text + &serde_json::to_string(peer).map_err(io::Error::other)? + "\n")
    })
}

/// What to remember after seeing `present`: them first, then whoever was remembered before and is
/// not among them, as long as there is room.
pub(super) fn merge(
    present: &[PeerAddress],
    remembered: &[PeerAddress],
    own: NodeId,
) -> Vec<PeerAddress> {
    let ids: BTreeSet<NodeId> = present.iter().map(|peer| peer.id).collect();
    // A new node at an old address has taken the old one's place.
    let taken: BTreeSet<SocketAddr> = present.iter().map(|peer| peer.addr).collect();
    let before =
        remembered.iter().filter(|old| !ids.contains(&old.id) && !taken.contains(&old.addr));
    let all = present.iter().chain(before).filter(|peer| peer.id != own);
    all.take(MAX_REMEMBERED_PEERS).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(id: u64, port: u16) -> PeerAddress {
        let addr = ([10, 0, 0, 1], port).into();
        PeerAddress { id: NodeId(id), name: format!("h{id}"), addr }
    }

    #[test]
    fn saved_peers_are_loaded_and_garbage_between_them_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers.jsonl");
        let store = PeerStore::new(&path);
        assert!(store.load().is_empty());
        let peers = [peer(1, 1), peer(u64::MAX, 2)];
        store.save(&peers).unwrap();
        assert_eq!(store.load(), peers);
        let text = std::fs::read_to_string(&path).unwrap();
        let damaged = format!("{{\"id\":\n{text}\u{0}\n[]\n");
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(store.load(), peers);
    }

    #[test]
    fn peers_in_memory_are_there_for_every_clone() {
        let store = PeerStore::in_memory();
        store.clone().save(&[peer(1, 1)]).unwrap();
        assert_eq!(store.load(), [peer(1, 1)]);
    }

    #[test]
    fn merging_keeps_lost_peers_but_not_replaced_ones_nor_oneself() {
        let remembered = [peer(1, 1), peer(2, 2), peer(3, 3)];
        let present = [peer(9, 9), peer(2, 22), peer(4, 3)];
        let merged = merge(&present, &remembered, NodeId(9));
        assert_eq!(merged, [peer(2, 22), peer(4, 3), peer(1, 1)]);
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_a_panic(text in ".*") {
            parse(&text);
        }
    }
}
