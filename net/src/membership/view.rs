//! What is believed of each node: decided here from what gossip and probes say, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::SystemTime,
};

use tokio::time::Instant;

use super::{ADDRESS_KEY, Member, NAME_KEY};
use crate::{
    NodeId,
    limits::{PROBE_AGAIN, UNPROVEN_GRACE},
};

/// What gossip says of one node.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) id: NodeId,
    /// Whether its heartbeats come.
    pub(super) live: bool,
    pub(super) values: BTreeMap<String, String>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Heard of, but not from. To `Alive` with its heartbeats, to `Dead` without them for
    /// [`UNPROVEN_GRACE`]. Not shown to anybody.
    Unproven { since: Instant },
    /// Its heartbeats come. To `Probed` when they stop.
    Alive,
    /// Its heartbeats stopped and probes are under way; still shown as alive. To `Alive` with its
    /// heartbeats, to `Silent` if it answers the probes, to `Dead` if not.
    Probed,
    /// Its heartbeats stopped but it answers probes; shown as alive. To `Alive` with its
    /// heartbeats, to `Probed` again after [`PROBE_AGAIN`].
    Silent { until: Instant },
    /// Its heartbeats stopped and it answers nobody. To `Alive` with its heartbeats.
    Dead,
}

struct Entry {
    standing: Standing,
    name: String,
    addr: SocketAddr,
    values: BTreeMap<String, String>,
    since: SystemTime,
}

impl Standing {
    /// What a node is shown as, if it is shown.
    fn shown_alive(self) -> Option<bool> {
        match self {
            Self::Unproven { .. } => None,
            Self::Alive | Self::Probed | Self::Silent { .. } => Some(true),
            Self::Dead => Some(false),
        }
    }

    /// The next standing, given whether heartbeats come.
    fn after_gossip(self, live: bool, now: Instant) -> Self {
        match (self, live) {
            (_, true) => Self::Alive,
            (Self::Unproven { since }, false) if now - since >= UNPROVEN_GRACE => Self::Dead,
            (Self::Alive, false) => Self::Probed,
            (Self::Silent { until }, false) if now >= until => Self::Probed,
            (unchanged, false) => unchanged,
        }
    }

    /// The next standing, given whether anybody got an answer to a probe.
    fn after_probe(self, answered: bool, now: Instant) -> Self {
        match self {
            Self::Probed if answered => Self::Silent { until: now + PROBE_AGAIN },
            Self::Probed => Self::Dead,
            other => other,
        }
    }
}

/// All nodes known.
#[derive(Default)]
pub(super) struct View {
    entries: BTreeMap<NodeId, Entry>,
}

impl View {
    /// Takes in what gossip says now. Returns the nodes to probe.
    pub(super) fn observe(
        &mut self,
        observed: Vec<Observed>,
        now: Instant,
        wall: SystemTime,
    ) -> Vec<NodeId> {
        let known: BTreeSet<NodeId> = observed.iter().map(|node| node.id).collect();
        self.entries.retain(|id, _| known.contains(id));
        let mut to_probe = Vec::new();
        for Observed { id, live, values } in observed {
            let name = values.get(NAME_KEY).cloned();
            let addr = values.get(ADDRESS_KEY).and_then(|text| text.parse().ok());
            let (Some(name), Some(addr)) = (name, addr) else { continue };
            let entry = self.entries.entry(id).or_insert_with(|| Entry {
                standing: Standing::Unproven { since: now },
                name: String::new(),
                addr,
                values: BTreeMap::new(),
                since: wall,
            });
            (entry.name, entry.addr, entry.values) = (name, addr, values);
            let was = entry.standing;
            entry.set(was.after_gossip(live, now), wall);
            if entry.standing == Standing::Probed && was != Standing::Probed {
                to_probe.push(id);
            }
        }
        to_probe
    }

    /// Takes in the outcome of probing `id`.
    pub(super) fn probed(&mut self, id: NodeId, answered: bool, now: Instant, wall: SystemTime) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.set(entry.standing.after_probe(answered, now), wall);
        }
    }

    /// The nodes whose heartbeats come, apart from `own`: those who can help to probe.
    pub(super) fn helpers(&self, own: NodeId) -> Vec<NodeId> {
        let alive = self.entries.iter().filter(|(_, entry)| entry.standing == Standing::Alive);
        alive.map(|(id, _)| *id).filter(|id| *id != own).collect()
    }

    /// What everybody may see.
    pub(super) fn members(&self) -> Vec<Member> {
        let shown = self.entries.iter().filter_map(|(&id, entry)| {
            Some(Member {
                id,
                name: entry.name.clone(),
                addr: entry.addr,
                alive: entry.standing.shown_alive()?,
                since: entry.since,
                values: entry.values.clone(),
            })
        });
        shown.collect()
    }
}

impl Entry {
    fn set(&mut self, standing: Standing, wall: SystemTime) {
        if standing.shown_alive() != self.standing.shown_alive() {
            self.since = wall;
        }
        self.standing = standing;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: NodeId = NodeId(1);

    fn observed(live: bool) -> Vec<Observed> {
        let values = [(NAME_KEY, "h1"), (ADDRESS_KEY, "10.77.0.1:7600")];
        let values = values.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        vec![Observed { id: A, live, values }]
    }

    fn alive(view: &View) -> Option<bool> {
        view.members().first().map(|member| member.alive)
    }

    struct Clock(Instant);

    impl Clock {
        fn after(&mut self, passed: Duration) -> Instant {
            self.0 += passed;
            self.0
        }
    }

    const TICK: Duration = Duration::from_millis(200);
    const WALL: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_node_only_heard_of_is_not_shown_until_it_is_heard_from() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        assert!(view.observe(observed(false), clock.after(TICK), WALL).is_empty());
        assert_eq!(alive(&view), None);
        view.observe(observed(true), clock.after(TICK), WALL);
        assert_eq!(alive(&view), Some(true));
    }

    #[test]
    fn a_node_heard_of_but_never_from_is_dead() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        view.observe(observed(false), clock.after(TICK), WALL);
        view.observe(observed(false), clock.after(UNPROVEN_GRACE), WALL);
        assert_eq!(alive(&view), Some(false));
    }

    #[test]
    fn silence_alone_does_not_kill_but_unanswered_probes_do() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        view.observe(observed(true), clock.after(TICK), WALL);
        assert_eq!(view.observe(observed(false), clock.after(TICK), WALL), [A]);
        assert!(view.observe(observed(false), clock.after(TICK), WALL).is_empty(), "once only");
        assert_eq!(alive(&view), Some(true));
        view.probed(A, false, clock.after(TICK), WALL);
        assert_eq!(alive(&view), Some(false));
    }

    #[test]
    fn a_silent_node_that_answers_probes_stays_alive_and_is_probed_again() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        view.observe(observed(true), clock.after(TICK), WALL);
        view.observe(observed(false), clock.after(TICK), WALL);
        view.probed(A, true, clock.after(TICK), WALL);
        assert!(view.observe(observed(false), clock.after(TICK), WALL).is_empty());
        assert_eq!(view.observe(observed(false), clock.after(PROBE_AGAIN), WALL), [A]);
        assert_eq!(alive(&view), Some(true));
    }

    #[test]
    fn a_late_probe_does_not_kill_a_node_that_is_back() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        view.observe(observed(true), clock.after(TICK), WALL);
        view.observe(observed(false), clock.after(TICK), WALL);
        view.observe(observed(true), clock.after(TICK), WALL);
        view.probed(A, false, clock.after(TICK), WALL);
        assert_eq!(alive(&view), Some(true));
    }

    #[test]
    fn since_changes_with_what_is_shown_and_only_then() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        let wall = |seconds| WALL + Duration::from_secs(seconds);
        view.observe(observed(true), clock.after(TICK), wall(1));
        view.observe(observed(false), clock.after(TICK), wall(2));
        assert_eq!(view.members()[0].since, wall(1));
        view.probed(A, false, clock.after(TICK), wall(3));
        assert_eq!(view.members()[0].since, wall(3));
        view.observe(observed(true), clock.after(TICK), wall(4));
        assert_eq!(view.members()[0].since, wall(4));
    }

    #[test]
    fn a_forgotten_node_is_gone() {
        let (mut view, mut clock) = (View::default(), Clock(Instant::now()));
        view.observe(observed(true), clock.after(TICK), WALL);
        view.observe(Vec::new(), clock.after(TICK), WALL);
        assert_eq!(view.members(), []);
    }
}
