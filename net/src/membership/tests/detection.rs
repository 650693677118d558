//! Failure detection on a simulated network under a paused clock.

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::*;

/// All but one of five nodes.
const FOUR: [u64; 4] = [1, 2, 3, 4];

impl Running {
    fn belief(&self, n: u64) -> Belief {
        let beliefs = self.membership.beliefs();
        beliefs.into_iter().find(|belief| belief.id == id(n)).unwrap()
    }

    /// Whether anybody is shown dead within this time.
    async fn sees_a_death(&self, within: Duration) -> bool {
        let mut members = self.membership.members();
        let death = members.wait_for(|members| members.iter().any(|member| !member.alive));
        timeout(within, death).await.is_ok()
    }
}

/// The longest that any of `nodes` takes to see exactly `expected` alive.
async fn slowest(nodes: &[Running], expected: &[u64]) -> Duration {
    let seen = nodes.iter().map(|node| node.sees_alive(expected, 10));
    futures::future::join_all(seen).await.into_iter().max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn five_hosts_know_within_two_seconds_that_one_is_cut_off() {
    for seed in 1..=20 {
        let cluster = Cluster::new(seed);
        let nodes = cluster.start_all(5).await;
        sleep(Duration::from_millis(seed * 37)).await;
        cluster.network.isolate(id(5));
        let took = slowest(&nodes[..4], &FOUR).await;
        assert!(took <= Duration::from_secs(2), "seed {seed}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn five_hosts_know_within_two_seconds_on_a_lossy_network() {
    for seed in 1..=20 {
        let cluster = Cluster::new(seed);
        let nodes = cluster.start_all(5).await;
        cluster.network.set_loss(0.1);
        sleep(Duration::from_millis(5000 + seed * 37)).await;
        cluster.network.isolate(id(5));
        let took = slowest(&nodes[..4], &FOUR).await;
        assert!(took <= Duration::from_secs(2), "seed {seed}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashed_process_is_known_within_a_fifth_of_a_second() {
    for seed in 1..=20 {
        let cluster = Cluster::new(seed);
        let nodes = cluster.start_all(5).await;
        sleep(Duration::from_millis(seed * 7)).await;
        cluster.kill(5, &nodes[4]);
        let took = slowest(&nodes[..4], &FOUR).await;
        assert!(took <= Duration::from_millis(200), "seed {seed}: {took:?}");
        let belief = nodes[0].belief(5);
        assert_eq!(belief.state, BeliefState::Dead);
        assert_eq!(belief.direct, Some(ProbeOutcome::Refused));
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_believed_at_once_and_lasts_until_the_node_is_back() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    nodes[4].stop.cancel();
    let took = slowest(&nodes[..4], &FOUR).await;
    assert!(took <= Duration::from_millis(20), "{took:?}");
    let back = nodes[0].sees_alive(&[1, 2, 3, 4, 5], 30);
    assert!(timeout(Duration::from_secs(20), back).await.is_err(), "it did not come back");
    let _again = cluster.start_with(5, cluster.config(5, 2)).await;
    nodes[0].sees_alive(&[1, 2, 3, 4, 5], 3).await;
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_living_node_do_not_kill_it() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    let forged = async {
        for _ in 0..200 {
            cluster.network.spoof_refusal(id(1), id(5));
            sleep(Duration::from_millis(25)).await;
        }
    };
    let (died, ()) = tokio::join!(nodes[0].sees_a_death(Duration::from_secs(6)), forged);
    assert!(!died);
}

#[tokio::test(start_paused = true)]
async fn a_node_reached_only_through_others_is_alive_and_the_belief_says_so() {
    for cut in [MemoryNetwork::cut, MemoryNetwork::cut_one_way] {
        let cluster = Cluster::new(1);
        let nodes = cluster.start_all(5).await;
        cut(&cluster.network, id(1), id(5));
        let (one, other) = tokio::join!(
            nodes[0].sees_a_death(Duration::from_secs(60)),
            nodes[4].sees_a_death(Duration::from_secs(60))
        );
        assert!(!one && !other);
        let belief = nodes[4].belief(1);
        assert_eq!(belief.state, BeliefState::Alive);
        assert_eq!(belief.direct, Some(ProbeOutcome::Unanswered));
        assert!(belief.indirect.0 > 0, "{belief:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_keeps_dying_is_held_dead_and_then_let_back() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(3).await;
    for _ in 0..=crate::limits::FREE_DEATHS {
        cluster.network.isolate(id(3));
        nodes[0].sees_alive(&[1, 2], 10).await;
        cluster.network.heal_all();
        sleep(Duration::from_secs(4)).await;
    }
    let belief = nodes[0].belief(3);
    assert_eq!(belief.state, BeliefState::Flapping, "{belief:?}");
    assert!(!nodes[0].member(3).unwrap().alive);
    nodes[0].sees_alive(&[1, 2, 3], 60).await;
    assert_eq!(nodes[0].belief(3).state, BeliefState::Alive);
}

#[tokio::test(start_paused = true)]
async fn beliefs_of_a_calm_cluster_are_calm() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    sleep(Duration::from_secs(10)).await;
    for belief in nodes[0].membership.beliefs() {
        assert_eq!(belief.state, BeliefState::Alive, "{belief:?}");
        if belief.id != id(1) {
            assert!(belief.phi < 1.0, "{belief:?}");
            assert!(belief.last_heard.unwrap() < Duration::from_secs(1), "{belief:?}");
        }
    }
}

/// The `gossip` benchmark runs a day of this.
#[tokio::test(start_paused = true)]
async fn nobody_dies_of_loss_and_stalls_of_a_second() {
    let minutes = Duration::from_secs(5 * 60);
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    cluster.network.set_loss(0.1);
    let stalls = async {
        let (mut rng, mut stalled) = (StdRng::seed_from_u64(1), 1);
        loop {
            sleep(Duration::from_millis(rng.random_range(500..6000))).await;
            // Never the same twice in a row: two stalls would be one of two seconds.
            stalled = (stalled + rng.random_range(1..5) - 1) % 5 + 1;
            cluster.network.stall(id(stalled), Duration::from_secs(1));
        }
    };
    let deaths = nodes.iter().map(|node| node.sees_a_death(minutes));
    tokio::select! {
        deaths = futures::future::join_all(deaths) => assert_eq!(deaths, [false; 5]),
        () = stalls => {}
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_stall_one_after_the_other_neither_takes_the_other_for_dead() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all(5).await;
    for offset_ms in [300, 500, 700, 900, 980] {
        cluster.network.stall(id(2), Duration::from_secs(1));
        sleep(Duration::from_millis(offset_ms)).await;
        cluster.network.stall(id(4), Duration::from_secs(1));
        let (one, other) = tokio::join!(
            nodes[1].sees_a_death(Duration::from_secs(4)),
            nodes[3].sees_a_death(Duration::from_secs(4))
        );
        assert!(!one && !other, "{offset_ms}");
    }
}
