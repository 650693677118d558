use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    limits::{GOSSIP_PARTNERS, TELL},
    membership::{ADDRESS_KEY, NAME_KEY},
};

const OWN: NodeId = NodeId(1);
const WALL: SystemTime = SystemTime::UNIX_EPOCH;

/// This node's view of others, with ids from 2 on, and its time.
struct Scene {
    view: View,
    now: Instant,
    rng: StdRng,
    heartbeat: u64,
}

fn gossiped(id: NodeId, run: u64, heartbeat: u64) -> Gossiped {
    let address = format!("10.77.0.{}:7600", id.0 % 250);
    let values = [(NAME_KEY, format!("h{}", id.0)), (ADDRESS_KEY, address)];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    Gossiped { id, run, heartbeat, version: 2, values: Some(values) }
}

impl Scene {
    fn new(count: u64) -> Self {
        let (view, rng) = (View::new(OWN), StdRng::seed_from_u64(1));
        let mut scene = Self { view, now: Instant::now(), rng, heartbeat: 0 };
        scene.gossip(1..=count);
        for id in 2..=count {
            scene.hear(id);
        }
        scene.look();
        scene
    }

    /// Gossip knows these and nobody else.
    fn gossip(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.heartbeat += 1;
        let all = ids.into_iter().map(|id| gossiped(NodeId(id), 1, self.heartbeat)).collect();
        self.view.gossiped(all, self.now, WALL);
    }

    fn hear(&mut self, id: u64) {
        let arrival = Arrival { at: self.now, rtt: None };
        self.view.heard(NodeId(id), arrival, self.now, WALL);
    }

    fn look(&mut self) -> Vec<Action> {
        self.view.look(self.now, WALL, &mut self.rng)
    }

    /// Hears `heard` and looks every 50 ms for so long; all that was to be done.
    fn pass(&mut self, ms: u64, heard: &[u64]) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..ms / 50 {
            self.now += LOOK_EVERY;
            heard.iter().for_each(|id| self.hear(*id));
            actions.extend(self.look());
        }
        actions
    }

    fn alive(&self) -> Vec<u64> {
        let members = self.view.members();
        members.iter().filter(|member| member.alive).map(|member| member.id.0).collect()
    }

    fn probed(&mut self, peer: u64, direct: bool, answered: bool) {
        let probed = Probed { peer: NodeId(peer), direct, answered, asked: self.now };
        self.view.probed(probed, self.now, WALL);
    }

    fn told(&mut self, dead: u64, run: u64) -> Vec<Action> {
        self.view.told(NodeId(dead), run, self.now, WALL, &mut self.rng)
    }
}

fn told(actions: &[Action], tidings: Tidings) -> BTreeSet<NodeId> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Tell { to, tidings: said } if *said == tidings => Some(*to),
        _ => None,
    });
    told.collect()
}

fn dead(id: u64) -> Tidings {
    Tidings::Dead { node: NodeId(id), run: 1 }
}

#[test]
fn a_silent_node_is_probed_through_others_found_dead_and_told_of() {
    let mut scene = Scene::new(5);
    let actions = scene.pass(2000, &[2, 3, 4]);
    let helpers: BTreeSet<NodeId> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Probe { peer: NodeId(5), through } => *through,
            _ => None,
        })
        .collect();
    assert_eq!(helpers, [2, 3, 4].map(NodeId).into());
    assert_eq!(scene.alive(), [1, 2, 3, 4]);
    assert_eq!(told(&actions, dead(5)), helpers);
}

#[test]
fn everybody_is_knocked_at_in_a_small_cluster_and_four_in_a_large_one() {
    for (count, knocked) in [(5, vec![2, 3, 4, 5]), (100, vec![2, 3, 4, 5])] {
        let mut scene = Scene::new(count);
        let actions = scene.pass(50, &[]);
        let knocks = actions.iter().filter_map(|action| match action {
            Action::Knock(peer) => Some(peer.0),
            _ => None,
        });
        assert_eq!(knocks.collect::<Vec<_>>(), knocked, "{count}");
    }
}

#[test]
fn the_next_on_the_ring_take_over_when_the_watched_die() {
    let mut scene = Scene::new(100);
    let others: Vec<u64> = (6..=100).collect();
    for dead in 2..=5 {
        scene.told(dead, 1);
    }
    scene.pass(2000, &others);
    assert_eq!(scene.alive().len(), 96);
    let knocks = scene.pass(50, &others);
    let knocked = |id| knocks.contains(&Action::Knock(NodeId(id)));
    assert!((6..=9).all(knocked) && !knocked(5) && !knocked(10), "{knocks:?}");
}

#[test]
fn tidings_of_a_death_are_passed_on_once_and_checked() {
    let mut scene = Scene::new(100);
    // A hundred are told by twelve each.
    assert_eq!(told(&scene.told(50, 1), dead(50)).len(), TELL + 6);
    assert_eq!(scene.told(50, 1), []);
    let others: Vec<u64> = (2..=100).filter(|id| *id != 50).collect();
    let actions = scene.pass(300, &others);
    assert!(actions.contains(&Action::Probe { peer: NodeId(50), through: None }));
    assert_eq!(scene.alive().len(), 100);
    scene.pass(200, &others);
    assert_eq!(scene.alive().len(), 99);
}

#[test]
fn tidings_of_a_death_that_is_none_end_with_the_answer() {
    let mut scene = Scene::new(5);
    scene.told(5, 1);
    scene.pass(50, &[2, 3, 4]);
    scene.probed(5, false, true);
    scene.pass(1000, &[2, 3, 4, 5]);
    assert_eq!(scene.alive(), [1, 2, 3, 4, 5]);
}

#[test]
fn tidings_of_another_run_of_strangers_and_of_oneself_are_nothing() {
    let mut scene = Scene::new(5);
    for (id, run) in [(5, 0), (5, 2), (77, 1), (1, 1)] {
        assert_eq!(scene.told(id, run), [], "{id} {run}");
    }
    scene.view.refused(OWN, scene.now, WALL, &mut scene.rng);
    scene.pass(1000, &[2, 3, 4, 5]);
    assert_eq!(scene.alive(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_refusal_is_a_hint_for_all_in_a_large_cluster() {
    let mut scene = Scene::new(100);
    let hint = Tidings::Refused { node: NodeId(3), run: 1 };
    let actions = scene.view.refused(NodeId(3), scene.now, WALL, &mut scene.rng);
    assert_eq!(told(&actions, hint).len(), TELL + 6);

    let mut other = Scene::new(100);
    let actions = other.view.hinted(NodeId(50), 1, other.now, &mut other.rng);
    assert!(actions.contains(&Action::Knock(NodeId(50))));
    other.pass(600, &(2..=100).filter(|id| *id != 50).collect::<Vec<_>>());
    assert_eq!(other.alive().len(), 100, "a hint alone kills nobody");
}

#[test]
fn an_old_goodbye_does_not_touch_a_node_that_has_started_again() {
    let mut scene = Scene::new(3);
    scene.view.left(NodeId(3), 0, scene.now, WALL, &mut scene.rng);
    assert_eq!(scene.alive(), [1, 2, 3]);
    scene.view.left(NodeId(3), 1, scene.now, WALL, &mut scene.rng);
    assert_eq!(scene.alive(), [1, 2]);
}

#[test]
fn a_node_that_has_started_again_is_probed_and_back() {
    let mut scene = Scene::new(3);
    scene.view.left(NodeId(3), 1, scene.now, WALL, &mut scene.rng);
    let again = [gossiped(OWN, 1, 5), gossiped(NodeId(2), 1, 5), gossiped(NodeId(3), 2, 1)];
    scene.view.gossiped(again.into(), scene.now, WALL);
    let actions = scene.pass(50, &[2]);
    assert!(actions.contains(&Action::Probe { peer: NodeId(3), through: None }));
    scene.probed(3, true, true);
    assert_eq!(scene.alive(), [1, 2, 3]);
}

#[test]
fn a_node_that_hears_nobody_waits_before_it_condemns_all() {
    let mut scene = Scene::new(5);
    scene.pass(1450, &[]);
    assert_eq!(scene.alive(), [1, 2, 3, 4, 5]);
    scene.pass(300, &[]);
    assert_eq!(scene.alive(), [1]);
}

#[test]
fn a_node_that_heard_nobody_for_a_while_blames_itself() {
    let mut scene = Scene::new(5);
    scene.pass(1300, &[]);
    scene.pass(1000, &[2]);
    assert_eq!(scene.alive(), [1, 2, 3, 4, 5]);
    scene.pass(1000, &[2]);
    assert_eq!(scene.alive(), [1, 2]);
}

#[test]
fn a_node_that_did_not_run_blames_nobody() {
    let mut scene = Scene::new(5);
    scene.pass(300, &[]);
    scene.now += Duration::from_secs(60);
    scene.look();
    scene.pass(500, &[]);
    assert_eq!(scene.alive(), [1, 2, 3, 4, 5]);
}

#[test]
fn suspects_are_probed_a_few_at_a_time() {
    let suspects = |scene: &Scene| {
        let all = scene.view.peers.values();
        all.filter(|peer| matches!(peer.standing, Standing::Suspect(_))).count()
    };
    let mut silent = Scene::new(100);
    silent.pass(5000, &[2]);
    assert_eq!(suspects(&silent), MAX_SUSPECTS);

    let mut accused = Scene::new(100);
    for id in 3..=100 {
        accused.told(id, 1);
    }
    assert_eq!(suspects(&accused), MAX_SUSPECTS);
    accused.pass(3000, &[2]);
    assert_eq!(accused.alive(), [1, 2], "the others' turn has come");
}

#[test]
fn what_gossip_has_forgotten_is_gone_and_what_it_repeats_is_no_change() {
    let mut scene = Scene::new(3);
    assert_eq!(scene.view.take_members().map(|members| members.len()), Some(3));
    scene.gossip(1..=3);
    assert_eq!(scene.view.take_members(), None);
    assert!(scene.view.knows(NodeId(3), 1, 2) && !scene.view.knows(NodeId(3), 1, 3));
    scene.gossip(1..=2);
    assert_eq!(scene.view.take_members().map(|members| members.len()), Some(2));
}

#[test]
fn larger_clusters_gossip_less_often() {
    let table = [(1, 200), (50, 200), (51, 500), (200, 500), (201, 1000), (1500, 1000)];
    for (nodes, ms) in table {
        let mut scene = Scene::new(nodes);
        assert_eq!(scene.view.interval(), Duration::from_millis(ms), "{nodes}");
        scene.gossip([1]);
        assert_eq!(scene.view.interval(), Duration::from_millis(200), "{nodes} and then one");
    }
}

#[test]
fn a_round_of_gossip_goes_to_some_of_the_living_and_now_and_then_to_one_of_the_dead() {
    let mut scene = Scene::new(10);
    for id in 9..=10 {
        scene.view.left(NodeId(id), 1, scene.now, WALL, &mut scene.rng);
    }
    let rounds = (0..100).map(|_| scene.view.partners(&mut scene.rng)).collect::<Vec<_>>();
    let dead = |round: &&Vec<NodeId>| round.iter().any(|id| id.0 >= 9);
    for round in &rounds {
        let living = round.iter().filter(|id| (2..=8).contains(&id.0)).count();
        assert_eq!(living, GOSSIP_PARTNERS, "{round:?}");
        assert!(round.len() <= GOSSIP_PARTNERS + 1 && !round.contains(&OWN), "{round:?}");
    }
    assert!((10..50).contains(&rounds.iter().filter(dead).count()), "a quarter of the rounds");

    let mut alone = Scene::new(3);
    for id in 2..=3 {
        alone.view.left(NodeId(id), 1, alone.now, WALL, &mut alone.rng);
    }
    assert_eq!(alone.view.partners(&mut alone.rng).len(), 1, "who is alone asks the dead");
}

#[test]
fn refusals_of_many_are_looked_into_a_few_at_a_time() {
    let mut scene = Scene::new(100);
    for id in 2..=100 {
        scene.view.refused(NodeId(id), scene.now, WALL, &mut scene.rng);
    }
    let suspects = |scene: &Scene| {
        let all = scene.view.peers.values();
        all.filter(|peer| matches!(peer.standing, Standing::Suspect(_))).count()
    };
    assert_eq!(suspects(&scene), MAX_SUSPECTS);
    scene.pass(3000, &[2]);
    assert_eq!(scene.alive().len(), 2, "the others' turn has come");
}

#[test]
fn the_dead_that_come_back_all_at_once_are_probed_a_few_at_a_time() {
    let mut scene = Scene::new(100);
    for id in 2..=100 {
        scene.view.left(NodeId(id), 1, scene.now, WALL, &mut scene.rng);
    }
    scene.now += crate::limits::GOODBYE_GRACE;
    scene.gossip(1..=100);
    let mut probed = BTreeSet::new();
    for _ in 0..99_usize.div_ceil(MAX_RECHECKS) {
        let actions = scene.pass(50, &[]);
        let direct = actions.iter().filter_map(|action| match action {
            Action::Probe { peer, through: None } => Some(*peer),
            _ => None,
        });
        let now: BTreeSet<NodeId> = direct.collect();
        assert!(now.len() <= MAX_RECHECKS, "{now:?}");
        probed.extend(now);
    }
    assert_eq!(probed.len(), 99);
}
