//! One connection per peer, shared by everything that goes there.
//!
//! A dial runs once however many requests wait for it. When two nodes dial each other at once,
//! both keep the connection that the node with the smaller id dialled; when a peer comes back
//! after a restart, its new connection replaces the old one at once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quinn::Connection;
use tokio::sync::watch;

use crate::{NodeId, limits::SIMULTANEOUS_DIAL};

/// What a dial came to, once it has; the error is for people.
pub(super) type Dialled = Option<Result<Connection, String>>;

pub(super) struct Pool {
    peers: Mutex<HashMap<NodeId, Peer>>,
}

#[derive(Default)]
struct Peer {
    address: Option<SocketAddr>,
    current: Option<Live>,
    dial: Option<watch::Sender<Dialled>>,
}

struct Live {
    connection: Connection,
    dialler: NodeId,
    since: Instant,
}

/// How to get a connection to a peer.
pub(super) enum Lookup {
    /// There is one.
    Ready(Connection),
    /// A dial is under way.
    Pending(watch::Receiver<Dialled>),
    /// The caller must dial this address and [`Pool::settle`] the result.
    Dial(SocketAddr, watch::Receiver<Dialled>),
    /// Nobody knows where the peer is.
    Unknown,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { peers: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_address(&self, peer: NodeId, address: SocketAddr) {
        self.lock().entry(peer).or_default().address = Some(address);
    }

    pub(super) fn address(&self, peer: NodeId) -> Option<SocketAddr> {
        self.lock().get(&peer)?.address
    }

    /// The peers that are at `address`, in canonical form.
    pub(super) fn peers_at(&self, address: SocketAddr) -> Vec<NodeId> {
        let peers = self.lock();
        let there = |peer: &Peer| {
            let at = peer.address.map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
            at == Some(address)
        };
        let mut found: Vec<NodeId> =
            peers.iter().filter(|(_, peer)| there(peer)).map(|(id, _)| *id).collect();
        found.sort();
        found
    }

    pub(super) fn lookup(&self, peer: NodeId) -> Lookup {
        let mut peers = self.lock();
        let Some(peer) = peers.get_mut(&peer) else { return Lookup::Unknown };
        if let Some(live) = &peer.current
            && live.connection.close_reason().is_none()
        {
            return Lookup::Ready(live.connection.clone());
        }
        if let Some(dial) = &peer.dial {
            return Lookup::Pending(dial.subscribe());
        }
        let Some(address) = peer.address else { return Lookup::Unknown };
        let (dial, dialled) = watch::channel(None);
        peer.dial = Some(dial);
        Lookup::Dial(address, dialled)
    }

    /// Ends a dial that failed. Whoever waits learns why.
    pub(super) fn settle_failed(&self, peer: NodeId, reason: String) {
        if let Some(dial) = self.lock().get_mut(&peer).and_then(|peer| peer.dial.take()) {
            dial.send_replace(Some(Err(reason)));
        }
    }

    /// Takes in a new connection, dialled by either side; whoever waits for one gets it. Returns
    /// the connection that is superfluous now, for the caller to retire.
    pub(super) fn install(
        &self,
        peer: NodeId,
        connection: Connection,
        dialler: NodeId,
        now: Instant,
    ) -> Option<Connection> {
        let mut peers = self.lock();
        let entry = peers.entry(peer).or_default();
        // A peer dials from the port it listens on.
        entry.address.get_or_insert_with(|| connection.remote_address());
        let new = Live { connection, dialler, since: now };
        let superfluous = match entry.current.take() {
            None => {
                entry.current = Some(new);
                None
            }
            Some(old) => {
                let broken = old.connection.close_reason().is_some();
                let age = now.saturating_duration_since(old.since);
                let (kept, other) = match choose(old.dialler, age, broken, dialler) {
                    Keep::Old => (old, new),
                    Keep::New => (new, old),
                };
                entry.current = Some(kept);
                Some(other.connection)
            }
        };
        if let (Some(dial), Some(live)) = (entry.dial.take(), &entry.current) {
            dial.send_replace(Some(Ok(live.connection.clone())));
        }
        superfluous
    }

    /// Forgets a connection that has ended, if it is still the peer's current one.
    pub(super) fn forget(&self, peer: NodeId, connection: &Connection) {
        let mut peers = self.lock();
        let Some(entry) = peers.get_mut(&peer) else { return };
        if entry
            .current
            .as_ref()
            .is_some_and(|live| live.connection.stable_id() == connection.stable_id())
        {
            entry.current = None;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Keep {
    Old,
    New,
}

/// Which of two connections to the same peer stays.
fn choose(old_dialler: NodeId, old_age: Duration, old_broken: bool, new_dialler: NodeId) -> Keep {
    let simultaneous = old_age < SIMULTANEOUS_DIAL && old_dialler != new_dialler;
    if !old_broken && simultaneous && old_dialler < new_dialler { Keep::Old } else { Keep::New }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_the_same_one_of_two_simultaneous_connections() {
        let (small, large) = (NodeId(1), NodeId(2));
        let young = Duration::from_millis(5);
        // One side saw the small node's connection first, the other the large node's.
        assert_eq!(choose(small, young, false, large), Keep::Old);
        assert_eq!(choose(large, young, false, small), Keep::New);
    }

    #[test]
    fn a_peer_that_dials_again_later_has_restarted() {
        let (small, large) = (NodeId(1), NodeId(2));
        let old = SIMULTANEOUS_DIAL;
        let table = [
            (small, old, false, large),
            (large, old, false, large),
            (small, Duration::ZERO, true, large),
            (large, Duration::ZERO, false, large),
        ];
        for (dialler, age, broken, new_dialler) in table {
            assert_eq!(choose(dialler, age, broken, new_dialler), Keep::New);
        }
    }
}
