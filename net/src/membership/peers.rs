//! Peers remembered on disk: where to find the cluster again after a restart, without its seeds.
//!
//! A text file with one JSON object a line. It is a hint: lines that cannot be read are skipped,
//! and a file that cannot be written costs nothing but the memory.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::sync::watch;

use crate::{NodeId, PeerAddress, durable, limits::MAX_REMEMBERED_PEERS};

/// The file of remembered peers.
#[derive(Clone, Debug)]
pub struct PeerStore {
    path: PathBuf,
}

impl PeerStore {
    /// Peers are remembered in the file at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The peers remembered, as far as the file can be read.
    pub fn load(&self) -> Vec<PeerAddress> {
        match durable::read(&self.path) {
            Ok(text) => parse(&text.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "peers cannot be read");
                Vec::new()
            }
        }
    }

    /// Remembers these peers instead of those before.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn save(&self, peers: &[PeerAddress]) -> io::Result<()> {
        durable::write(&self.path, render(peers)?.as_bytes(), durable::PUBLIC)
    }
}

/// Saves what `peers` changes to, away from everything that must not wait for a disk.
pub(super) async fn save_changes(store: PeerStore, mut peers: watch::Receiver<Vec<PeerAddress>>) {
    while peers.changed().await.is_ok() {
        let (store, peers) = (store.clone(), peers.borrow_and_update().clone());
        let saved = tokio::task::spawn_blocking(move || store.save(&peers)).await;
        if let Ok(Err(error)) = saved {
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
    let before = remembered.iter().filter(|old| {
        present.iter().all(|peer| {
            // A new node at an old address has taken the old one's place.
            peer.id != old.id && peer.addr != old.addr
        })
    });
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
        let store = PeerStore::new(&directory.path().join("peers.jsonl"));
        assert!(store.load().is_empty());
        let peers = [peer(1, 1), peer(u64::MAX, 2)];
        store.save(&peers).unwrap();
        assert_eq!(store.load(), peers);
        let text = std::fs::read_to_string(&store.path).unwrap();
        let damaged = format!("{{\"id\":\n{text}\u{0}\n[]\n");
        std::fs::write(&store.path, damaged).unwrap();
        assert_eq!(store.load(), peers);
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
