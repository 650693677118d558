//! Who votes and who stands by, decided from who is there.
//!
//! Pure. One change at a time, and none that could cost the quorum: a node gets a vote only when
//! it is alive and has caught up, and a voter loses its vote only to such a node.

pub(crate) mod driver;

use std::{collections::BTreeSet, time::Duration};

use skein_net::NodeId;

/// Nodes that follow without a vote, ready to take over from a dead voter.
const STANDBYS: usize = 2;

/// A voter dead for this long is replaced when a standby has caught up. Long enough for a
/// restart of the process or of a fast machine.
const REPLACE_VOTER_AFTER: Duration = Duration::from_secs(30);

/// A standby dead for this long gives its place away.
const REPLACE_STANDBY_AFTER: Duration = Duration::from_secs(60);

/// A leader knows too little about the others before it has led for this long.
const SETTLE: Duration = Duration::from_secs(2);

/// A node as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) zone: String,
    pub(crate) role: MemberRole,
    /// For how long it has not answered; `None` while it does.
    pub(crate) dead_for: Option<Duration>,
    /// Whether it holds nearly all of the log.
    pub(crate) caught_up: bool,
}

/// What a node is to the group now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberRole {
    Voter,
    Standby,
    Outside,
}

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Let a node follow.
    AddStandby(NodeId),
    /// Let a node go that does not vote.
    RemoveStandby(NodeId),
    /// These vote from now on; former voters stand by.
    SetVoters(BTreeSet<NodeId>),
}

impl Member {
    fn is_alive(&self) -> bool {
        self.dead_for.is_none()
    }

    fn is_dead_since(&self, limit: Duration) -> bool {
        self.dead_for.is_some_and(|dead_for| dead_for >= limit)
    }

    fn can_vote(&self) -> bool {
        self.role == MemberRole::Standby && self.is_alive() && self.caught_up
    }
}

/// How many should vote among `nodes` living ones: an even number would add no safety.
fn wanted_voters(nodes: usize) -> usize {
    match nodes {
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    }
}

/// The next change, if one is due. `leading_for` is how long this leader has led.
pub(crate) fn plan(members: &[Member], leading_for: Duration) -> Option<Change> {
    if leading_for < SETTLE {
        return None;
    }
    let of = |role| members.iter().filter(move |member| member.role == role);
    let voters: Vec<&Member> = of(MemberRole::Voter).collect();
    let alive = members.iter().filter(|member| member.is_alive()).count();
    // A group never shrinks by itself: the dead may come back.
    let wanted = wanted_voters(alive).max(voters.len());
    grow(members, &voters, wanted)
        .or_else(|| replace(members, &voters))
        .or_else(|| staff(members, voters.len(), wanted))
}

/// More voters, all that are missing at once.
fn grow(members: &[Member], voters: &[&Member], wanted: usize) -> Option<Change> {
    let missing = wanted - voters.len();
    if missing == 0 {
        return None;
    }
    let mut chosen: Vec<&Member> = voters.to_vec();
    for _ in 0..missing {
        chosen.push(best(members, &chosen)?);
    }
    safe(&chosen)
}

/// A caught-up standby in place of a voter that has been dead for long.
fn replace(members: &[Member], voters: &[&Member]) -> Option<Change> {
    let dead = voters.iter().find(|voter| voter.is_dead_since(REPLACE_VOTER_AFTER))?;
    let mut chosen: Vec<&Member> =
        voters.iter().filter(|voter| voter.id != dead.id).copied().collect();
    // The change needs the old majority too, which the dead one does not help.
    let alive = chosen.iter().filter(|voter| voter.is_alive()).count();
    if alive * 2 <= voters.len() {
        return None;
    }
    chosen.push(best(members, &chosen)?);
    safe(&chosen)
}

/// Standbys: enough of them, and none that is dead while a living node is free.
fn staff(members: &[Member], voters: usize, wanted: usize) -> Option<Change> {
    let free =
        members.iter().find(|member| member.role == MemberRole::Outside && member.is_alive());
    let standbys = members.iter().filter(|member| member.role == MemberRole::Standby);
    let places = wanted.saturating_sub(voters) + STANDBYS;
    if standbys.clone().count() < places {
        return free.map(|member| Change::AddStandby(member.id));
    }
    let mut gone = standbys.filter(|member| member.is_dead_since(REPLACE_STANDBY_AFTER));
    match (free, gone.next()) {
        (Some(_), Some(dead)) => Some(Change::RemoveStandby(dead.id)),
        _ => None,
    }
}

/// The standby to vote next: in the zone with the fewest votes, then by id.
fn best<'a>(members: &'a [Member], chosen: &[&Member]) -> Option<&'a Member> {
    members
        .iter()
        .filter(|member| member.can_vote() && chosen.iter().all(|other| other.id != member.id))
        .min_by_key(|member| {
            (chosen.iter().filter(|other| other.zone == member.zone).count(), member.id)
        })
}

/// The change to `chosen`, unless a majority of them is not alive.
fn safe(chosen: &[&Member]) -> Option<Change> {
    let alive = chosen.iter().filter(|member| member.is_alive()).count();
    let enough = alive * 2 > chosen.len();
    enough.then(|| Change::SetVoters(chosen.iter().map(|member| member.id).collect()))
}

#[cfg(test)]
mod tests;
