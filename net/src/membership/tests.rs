mod detection;

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{MemoryNetwork, Protocol};

struct Cluster {
    network: MemoryNetwork,
    tasks: TaskTracker,
}

struct Running {
    membership: Membership,
    stop: CancellationToken,
}

fn id(n: u64) -> NodeId {
    NodeId(n)
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let network = MemoryNetwork::new(seed);
        network.set_delay(Duration::from_millis(1), Duration::from_millis(10));
        Self { network, tasks: TaskTracker::new() }
    }

    fn config(&self, n: u64, generation: u64) -> MembershipConfig {
        self.network.transport(id(1));
        MembershipConfig {
            cluster_id: "c1".into(),
            name: format!("h{n}"),
            generation,
            advertise: {
                self.network.transport(id(n));
                self.network.address(id(n)).unwrap()
            },
            seeds: vec![self.network.address(id(1)).unwrap()],
            peer_store: None,
        }
    }

    async fn start_with(&self, n: u64, config: MembershipConfig) -> Running {
        let stop = CancellationToken::new();
        let transport = self.network.transport(id(n));
        let membership =
            Membership::start(config, transport, &self.tasks, stop.clone()).await.unwrap();
        Running { membership, stop }
    }

    async fn start(&self, n: u64) -> Running {
        self.start_with(n, self.config(n, 1)).await
    }

    async fn start_all(&self, count: u64) -> Vec<Running> {
        let mut all = Vec::new();
        for n in 1..=count {
            all.push(self.start(n).await);
        }
        for running in &all {
            running.sees_alive(&(1..=count).collect::<Vec<_>>(), 10).await;
        }
        all
    }

    fn kill(&self, n: u64, running: &Running) {
        self.network.crash(id(n));
        running.stop.cancel();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Waits until exactly these nodes are alive, for so many seconds at most; returns how long.
    async fn sees_alive(&self, expected: &[u64], seconds: u64) -> Duration {
        let start = tokio::time::Instant::now();
        let mut members = self.membership.members();
        let expected: Vec<NodeId> = expected.iter().copied().map(id).collect();
        let seen = members.wait_for(|members| {
            let alive = members.iter().filter(|member| member.alive);
            alive.map(|member| member.id).eq(expected.iter().copied())
        });
        let seen = timeout(Duration::from_secs(seconds), seen).await.map(drop);
        assert!(seen.is_ok(), "expected {expected:?}: {:?}", self.membership.members().borrow());
        start.elapsed()
    }

    fn member(&self, n: u64) -> Option<Member> {
        let members = self.membership.members();
        let members = members.borrow();
        members.iter().find(|member| member.id == id(n)).cloned()
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_with_one_seed_find_each_other_with_names_and_addresses() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    for n in 1..=5 {
        let member = nodes[4].member(n).unwrap();
        assert_eq!(member.name, format!("h{n}"));
        assert_eq!(Some(member.addr), cluster.network.address(id(n)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_is_seen_by_all_within_two_seconds() {
    for seed in 1..=5 {
        let cluster = Cluster::new(seed);
        let nodes = cluster.start_all(3).await;
        cluster.kill(3, &nodes[2]);
        for survivor in &nodes[..2] {
            let took = survivor.sees_alive(&[1, 2], 5).await;
            assert!(took <= Duration::from_secs(2), "seed {seed}: {took:?}");
        }
        assert!(!nodes[0].member(3).unwrap().alive);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_dies_of_a_lossy_slow_network() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    cluster.network.set_delay(Duration::from_millis(1), Duration::from_millis(150));
    cluster.network.set_loss(0.1);
    let mut members = nodes[0].membership.members();
    let death = members.wait_for(|members| members.iter().any(|member| !member.alive));
    assert!(timeout(Duration::from_secs(60), death).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_node_reachable_only_through_another_is_not_dead() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    cluster.network.cut(id(1), id(3));
    let mut members = nodes[0].membership.members();
    let death = members.wait_for(|members| members.iter().any(|member| !member.alive));
    assert!(timeout(Duration::from_secs(30), death).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_isolated_node_is_dead_to_the_others_until_it_is_healed() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    cluster.network.isolate(id(3));
    nodes[0].sees_alive(&[1, 2], 5).await;
    nodes[2].sees_alive(&[3], 5).await;
    cluster.network.heal_all();
    for node in &nodes {
        node.sees_alive(&[1, 2, 3], 30).await;
    }
}

#[tokio::test(start_paused = true)]
async fn halves_that_have_forgotten_each_other_meet_again() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    cluster.network.isolate(id(3));
    nodes[0].sees_alive(&[1, 2], 5).await;
    let mut members = nodes[2].membership.members();
    let forgotten = members.wait_for(|members| members.len() == 1);
    timeout(DEAD_NODE_GRACE * 2, forgotten).await.unwrap().unwrap();
    cluster.network.heal_all();
    for node in &nodes {
        node.sees_alive(&[1, 2, 3], 60).await;
    }
}

/// The seeds given at the start need not be there any more.
#[tokio::test(start_paused = true)]
async fn halves_that_have_forgotten_each_other_meet_again_without_their_seed() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    cluster.kill(1, &nodes[0]);
    cluster.network.cut(id(2), id(3));
    for node in &nodes[1..] {
        let mut members = node.membership.members();
        let forgotten = members.wait_for(|members| members.len() == 1);
        timeout(DEAD_NODE_GRACE * 2, forgotten).await.unwrap().unwrap();
    }
    cluster.network.heal_all();
    for node in &nodes[1..] {
        node.sees_alive(&[2, 3], 60).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_node_is_alive_again_with_what_it_says_now() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    nodes[2].membership.set("load", "1").await.unwrap();
    cluster.kill(3, &nodes[2]);
    nodes[0].sees_alive(&[1, 2], 5).await;
    let mut config = cluster.config(3, 2);
    config.name = "h3-renamed".into();
    let _restarted = cluster.start_with(3, config).await;
    nodes[0].sees_alive(&[1, 2, 3], 30).await;
    let member = nodes[0].member(3).unwrap();
    assert_eq!((member.name.as_str(), member.values.get("load")), ("h3-renamed", None));
}

#[tokio::test(start_paused = true)]
async fn a_published_value_reaches_everybody() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    nodes[0].membership.set("zone", "north").await.unwrap();
    let mut members = nodes[2].membership.members();
    let seen = members.wait_for(|members| {
        members.iter().any(|m| m.id == id(1) && m.values.get("zone").is_some_and(|z| z == "north"))
    });
    timeout(Duration::from_secs(5), seen).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn hints_that_are_too_large_or_reserved_are_not_published() {
    let cluster = Cluster::new(1);
    let node = cluster.start(1).await;
    let large = node.membership.set("x", &"y".repeat(MAX_PUBLISHED_BYTES)).await;
    assert!(matches!(large, Err(MembershipError::TooLarge { .. })));
    let reserved = node.membership.set("addr", "10.0.0.1:1").await;
    assert!(matches!(reserved, Err(MembershipError::Reserved(_))));
}

#[tokio::test(start_paused = true)]
async fn another_clusters_gossip_is_not_taken_in() {
    let cluster = Cluster::new(1);
    let ours = cluster.start(1).await;
    let mut config = cluster.config(2, 1);
    config.cluster_id = "c2".into();
    let _theirs = cluster.start_with(2, config).await;
    let mut members = ours.membership.members();
    let met = members.wait_for(|members| members.len() > 1);
    assert!(timeout(Duration::from_secs(10), met).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn remembered_peers_are_found_without_a_seed() {
    let directory = tempfile::tempdir().unwrap();
    let store = PeerStore::new(&directory.path().join("peers.jsonl"));
    let cluster = Cluster::new(1);
    let _seed = cluster.start(1).await;
    let mut config = cluster.config(2, 1);
    config.peer_store = Some(store.clone());
    let first = cluster.start_with(2, config.clone()).await;
    first.sees_alive(&[1, 2], 10).await;
    cluster.kill(2, &first);
    let saved = async {
        let mut every = tokio::time::interval(Duration::from_millis(10));
        while store.load().is_empty() {
            every.tick().await;
        }
    };
    timeout(Duration::from_secs(10), saved).await.unwrap();
    assert_eq!(store.load()[0].name, "h1");

    (config.generation, config.seeds) = (2, Vec::new());
    let again = cluster.start_with(2, config).await;
    again.sees_alive(&[1, 2], 10).await;
}

#[tokio::test(start_paused = true)]
async fn gossip_slows_down_as_the_cluster_grows() {
    let rounds_of_one = |cluster: &Cluster| cluster.network.sent(id(1), Protocol::Gossip).messages;
    let cluster = Cluster::new(1);
    let small = cluster.start_all(5).await;
    let measure = || async {
        let before = rounds_of_one(&cluster);
        tokio::time::sleep(Duration::from_secs(5)).await;
        rounds_of_one(&cluster) - before
    };
    let few = measure().await;
    let mut large = Vec::new();
    for n in 6..=52 {
        large.push(cluster.start(n).await);
    }
    let everybody: Vec<u64> = (1..=52).collect();
    for running in small.iter().chain(&large) {
        running.sees_alive(&everybody, 20).await;
    }
    let many = measure().await;
    assert!(many * 3 < few * 2, "{many} messages among many, {few} among few");
}
