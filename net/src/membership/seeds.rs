//! Finding the others: seeds and remembered peers are asked who they are and then greeted, more
//! often while this node is alone. So two halves find each other again after a long partition,
//! when gossip has forgotten across it.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{Member, MembershipConfig};
use crate::{
    NodeId, PeerAddress, Transport,
    limits::{MAX_SEEDS_PER_ROUND, SEED_DEADLINE, SEEDS_WHILE_ALONE, SEEDS_WHILE_JOINED},
};

pub(super) struct Seeds {
    own: SocketAddr,
    configured: Vec<SocketAddr>,
    remembered: watch::Receiver<Vec<PeerAddress>>,
    /// Where the next round begins, so that all get their turn.
    next: usize,
    transport: Arc<dyn Transport>,
    members: watch::Receiver<Arc<Vec<Member>>>,
}

impl Seeds {
    pub(super) fn new(
        config: &MembershipConfig,
        remembered: watch::Receiver<Vec<PeerAddress>>,
        transport: Arc<dyn Transport>,
        members: watch::Receiver<Arc<Vec<Member>>>,
    ) -> Self {
        let (own, configured) = (config.advertise, config.seeds.clone());
        Self { own, configured, remembered, next: 0, transport, members }
    }

    /// Where others are or have been, each address once.
    fn addresses(&self) -> Vec<SocketAddr> {
        let remembered = self.remembered.borrow();
        let configured = self.configured.iter().copied();
        let all = configured.chain(remembered.iter().map(|peer| peer.addr));
        let mut seen = BTreeSet::from([self.own]);
        all.filter(|address| seen.insert(*address)).collect()
    }

    /// Goes on until it is dropped; `greet` starts gossip with a node.
    pub(super) async fn run(mut self, greet: impl Fn(NodeId)) {
        loop {
            let members = Arc::clone(&self.members.borrow_and_update());
            let absent = absent(&self.addresses(), &members, self.next);
            self.next = self.next.wrapping_add(MAX_SEEDS_PER_ROUND);
            for found in self.ask(absent).await {
                greet(found);
            }
            let alone = is_alone(&members, self.transport.local_id());
            let pause = if alone { SEEDS_WHILE_ALONE } else { SEEDS_WHILE_JOINED };
            // Being left alone ends the pause.
            let local = self.transport.local_id();
            let left_alone = self.members.wait_for(|members| !alone && is_alone(members, local));
            if let Ok(Err(_stopped)) = timeout(pause, left_alone).await {
                return;
            }
        }
    }

    /// Asks the addresses who they are, all at once.
    async fn ask(&self, addresses: Vec<SocketAddr>) -> Vec<NodeId> {
        let mut asked = JoinSet::new();
        for address in addresses {
            let transport = Arc::clone(&self.transport);
            asked.spawn(async move {
                let found = transport.identify(address, SEED_DEADLINE).await;
                found.inspect_err(|error| tracing::debug!(%error, "seed")).ok()
            });
        }
        let found = asked.join_all().await.into_iter().flatten();
        found.filter(|id| *id != self.transport.local_id()).collect()
    }
}

fn is_alone(members: &[Member], own: NodeId) -> bool {
    !members.iter().any(|member| member.alive && member.id != own)
}

/// The addresses to ask in the round that begins at `start`: those where no living member is.
fn absent(addresses: &[SocketAddr], members: &[Member], start: usize) -> Vec<SocketAddr> {
    let living: BTreeSet<SocketAddr> =
        members.iter().filter(|member| member.alive).map(|member| member.addr).collect();
    let wanted: Vec<SocketAddr> =
        addresses.iter().copied().filter(|address| !living.contains(address)).collect();
    let count = wanted.len().min(MAX_SEEDS_PER_ROUND);
    wanted.iter().copied().cycle().skip(start % wanted.len().max(1)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    fn member(port: u16, alive: bool) -> Member {
        Member {
            id: NodeId(port.into()),
            name: port.to_string(),
            addr: address(port),
            alive,
            since: SystemTime::UNIX_EPOCH,
            values: Default::default(),
        }
    }

    #[test]
    fn only_addresses_without_a_living_member_are_asked() {
        let addresses = [address(1), address(2), address(3)];
        let members = [member(1, true), member(2, false)];
        assert_eq!(absent(&addresses, &members, 0), [address(2), address(3)]);
        assert_eq!(absent(&[], &members, 5), []);
    }

    #[test]
    fn every_address_gets_its_turn() {
        let addresses: Vec<_> = (0..40).map(address).collect();
        let rounds = (0..3).flat_map(|n| absent(&addresses, &[], n * MAX_SEEDS_PER_ROUND));
        assert_eq!(rounds.collect::<BTreeSet<_>>().len(), 40);
    }
}
