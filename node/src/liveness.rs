//! Who counts as alive: every registered node, by what membership says of it.
//!
//! Membership's verdicts are confirmed by probes already. What is added here is the node that
//! membership has not heard of since this process started: it gets a grace, so that a cluster that
//! starts as a whole does not move the pods of its slower half.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use skein_net::{Member, Membership, NodeId};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::registration::{Registration, Roster};

/// How long a registered node may be unheard of after this process started before it counts as
/// dead. Longer than a whole cluster takes to start after a power cut.
const UNHEARD_GRACE: Duration = Duration::from_secs(15);

/// What is believed of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Its name.
    pub(crate) name: String,
    /// Whether it counts as alive.
    pub(crate) alive: bool,
    /// Since when.
    pub(crate) since: SystemTime,
    /// Whether membership has heard of it since this process started.
    pub(crate) heard: bool,
}

/// What is believed of every node.
pub(crate) type Verdicts = Arc<BTreeMap<NodeId, Verdict>>;

/// The verdicts and their changes, shared with whoever asks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Liveness(watch::Receiver<Verdicts>);

impl Liveness {
    /// Starts watching the members until cancelled.
    pub(crate) fn start(
        membership: &Membership,
        roster: watch::Receiver<Arc<Roster>>,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let (sender, verdicts) = watch::channel(Verdicts::default());
        let started = SystemTime::now();
        let members = membership.members();
        tasks.spawn(follow(members, roster, started, sender, cancel));
        Self(verdicts)
    }

    /// Whether `id` counts as alive.
    pub(crate) fn is_alive(&self, id: NodeId) -> bool {
        self.0.borrow().get(&id).is_some_and(|verdict| verdict.alive)
    }

    /// Everything known now.
    pub(crate) fn verdicts(&self) -> Verdicts {
        self.0.borrow().clone()
    }

    /// Everything known, and its changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Verdicts> {
        self.0.clone()
    }
}

async fn follow(
    mut members: watch::Receiver<Arc<Vec<Member>>>,
    mut roster: watch::Receiver<Arc<Roster>>,
    started: SystemTime,
    verdicts: watch::Sender<Verdicts>,
    cancel: CancellationToken,
) {
    let start = Instant::now();
    loop {
        let in_grace = start.elapsed() < UNHEARD_GRACE;
        let now =
            judge(&members.borrow_and_update(), &roster.borrow_and_update(), started, in_grace);
        verdicts.send_if_modified(|before| {
            let changed = **before != now;
            *before = Arc::new(now);
            changed
        });
        // Both end with the node.
        let changed = tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep_until(start + UNHEARD_GRACE), if in_grace => Ok(()),
            changed = members.changed() => changed,
            changed = roster.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// What follows from the members and the registrations, while those never heard of have their
/// grace and after.
fn judge(
    members: &[Member],
    roster: &Roster,
    started: SystemTime,
    in_grace: bool,
) -> BTreeMap<NodeId, Verdict> {
    let registered = &roster.registered;
    let unheard = |one: &Registration| Verdict {
        name: one.name.clone(),
        alive: in_grace,
        since: started,
        heard: false,
    };
    let heard = |one: &Member| Verdict {
        name: one.name.clone(),
        alive: one.alive,
        since: one.since,
        heard: true,
    };
    let mut verdicts: BTreeMap<NodeId, Verdict> =
        registered.iter().map(|one| (one.id, unheard(one))).collect();
    verdicts.extend(members.iter().map(|one| (one.id, heard(one))));
    // A name that was claimed by a new node leaves the old one without.
    let is_claimed =
        |name: &str, id: NodeId| registered.iter().any(|one| one.name == name && one.id != id);
    verdicts.retain(|id, verdict| !roster.removed.contains(id) && !is_claimed(&verdict.name, *id));
    verdicts
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 7600))
    }

    fn member(id: u64, name: &str, alive: bool, since: SystemTime) -> Member {
        Member {
            id: NodeId(id),
            name: name.to_owned(),
            addr: address(),
            alive,
            since,
            values: BTreeMap::new(),
        }
    }

    fn registration(id: u64, name: &str) -> Registration {
        Registration { id: NodeId(id), name: name.to_owned(), address: address() }
    }

    fn roster(registered: &[Registration]) -> Roster {
        Roster { registered: registered.to_vec(), ..Roster::default() }
    }

    fn alive(verdicts: &BTreeMap<NodeId, Verdict>) -> Vec<(u64, bool)> {
        verdicts.iter().map(|(id, verdict)| (id.0, verdict.alive)).collect()
    }

    #[test]
    fn a_member_counts_as_membership_says() {
        let start = SystemTime::now();
        let members = [member(1, "h1", true, start), member(2, "h2", false, start)];
        let registered = roster(&[registration(1, "h1"), registration(2, "h2")]);
        assert_eq!(alive(&judge(&members, &registered, start, true)), [(1, true), (2, false)]);
    }

    #[test]
    fn a_node_never_heard_of_has_a_grace_after_the_start() {
        let start = SystemTime::now();
        let registered = roster(&[registration(2, "h2")]);
        let before_its_end = judge(&[], &registered, start, true);
        assert_eq!(alive(&before_its_end), [(2, true)]);
        let after = judge(&[], &registered, start, false);
        assert_eq!(alive(&after), [(2, false)]);
    }

    #[test]
    fn a_name_claimed_by_a_new_node_leaves_the_old_one_without() {
        let start = SystemTime::now();
        let members = [member(2, "h2", false, start), member(3, "h2", true, start)];
        let verdicts = judge(&members, &roster(&[registration(3, "h2")]), start, true);
        assert_eq!(alive(&verdicts), [(3, true)]);
    }

    #[test]
    fn a_removed_node_counts_for_nothing_even_while_it_answers() {
        let start = SystemTime::now();
        let members = [member(1, "h1", true, start), member(2, "h2", true, start)];
        let mut roster = roster(&[registration(1, "h1")]);
        roster.removed.insert(NodeId(2));
        assert_eq!(alive(&judge(&members, &roster, start, true)), [(1, true)]);
    }
}
