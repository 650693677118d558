//! Who votes, who stands by and who leads, decided from who is there.
//!
//! Pure. One change at a time, each of which leaves the group able to bear at least as many
//! further failures as before, unless a host is to go for good and nobody can take its place. A
//! node gets a vote only when it is alive and has caught up.

pub(crate) mod driver;
mod observe;
mod voters;

use std::{collections::BTreeSet, time::Duration};

use skein_net::NodeId;

/// Nodes that follow without a vote, ready to take over from a dead voter.
const STANDBYS: usize = 2;

/// A voter dead for this long is replaced when a standby has caught up. Long enough for a
/// restart of the process or of a fast machine.
const REPLACE_VOTER_AFTER: Duration = Duration::from_secs(30);

/// Voters dead for this long lose their votes without a replacement, if fewer voters bear more.
const DROP_VOTERS_AFTER: Duration = Duration::from_secs(120);

/// A standby dead for this long gives its place away.
const REPLACE_STANDBY_AFTER: Duration = Duration::from_secs(60);

/// A new leader has not heard from everybody yet. How long each one has been dead it knows from
/// before: the time to wait for the dead does not begin anew.
const SETTLE: Duration = Duration::from_secs(1);

/// A node as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) role: MemberRole,
    /// Whether it is this node, which leads.
    pub(crate) leads: bool,
    /// For how long it has not answered; `None` while it does.
    pub(crate) dead_for: Option<Duration>,
    /// For how long it has been there without a break, as far as is known.
    pub(crate) alive_for: Duration,
    /// Whether it holds nearly all of the log.
    pub(crate) caught_up: bool,
    /// Whether it is only there to vote.
    pub(crate) witness: bool,
    /// Whether it is to go, and why.
    pub(crate) leaving: Option<Leaving>,
}

/// Why a member is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It was removed from the cluster.
    Removed,
    /// Its files are damaged; it comes back empty.
    Damaged,
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
    /// Another is to lead, for this node is to go or only there to vote.
    HandOver,
}

/// A change, and whom it is about and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) change: Change,
    pub(crate) about: NodeId,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Planned {
    fn new(change: Change, about: &Member, reason: &'static str, why: String) -> Self {
        Self { change, about: about.id, reason, message: format!("{} {why}", about.name) }
    }
}

impl Member {
    fn is_alive(&self) -> bool {
        self.dead_for.is_none()
    }

    fn is_dead_since(&self, limit: Duration) -> bool {
        self.dead_for.is_some_and(|dead_for| dead_for >= limit)
    }

    /// Whether it may become or stay a member.
    fn stays(&self) -> bool {
        self.leaving.is_none()
    }

    fn can_vote(&self) -> bool {
        self.role == MemberRole::Standby && self.is_alive() && self.caught_up && self.stays()
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

/// How many further failures voters bear, of which `alive` are; negative without a majority.
fn tolerance(voters: &[&Member]) -> isize {
    let alive = voters.iter().filter(|voter| voter.is_alive()).count();
    alive.cast_signed() - (voters.len() / 2 + 1).cast_signed()
}

/// The next change, if one is due. `leading_for` is how long this leader has led.
pub(crate) fn plan(members: &[Member], leading_for: Duration) -> Option<Planned> {
    if leading_for < SETTLE {
        return None;
    }
    let voters: Vec<&Member> =
        members.iter().filter(|member| member.role == MemberRole::Voter).collect();
    if tolerance(&voters) < 0 {
        return None;
    }
    // Whoever begins anew will be back.
    let is_present = |member: &&Member| match member.leaving {
        None => member.is_alive(),
        Some(Leaving::Damaged) => true,
        Some(Leaving::Removed) => false,
    };
    let wanted = wanted_voters(members.iter().filter(is_present).count());
    voters::hand_over(&voters)
        .or_else(|| voters::replace(members, &voters))
        .or_else(|| voters::grow(members, &voters, wanted))
        .or_else(|| voters::drop_dead(&voters))
        .or_else(|| voters::let_go(members, &voters))
        .or_else(|| release(members))
        .or_else(|| voters::shrink(&voters, wanted))
        .or_else(|| staff(members, voters.len(), wanted))
}

/// What the operator should know: two hosts bear no failure of the one that votes.
pub(crate) fn warning(members: &[Member]) -> Option<Planned> {
    let staying: Vec<&Member> = members.iter().filter(|member| member.stays()).collect();
    let leader = staying.iter().find(|member| member.leads)?;
    (staying.len() == 2).then(|| {
        let why = "is the only voter of a cluster of two hosts: add a third host or a witness \
                   (skein up --witness), so that the cluster survives the loss of one";
        Planned::new(Change::HandOver, leader, "TwoHosts", why.to_owned())
    })
}

/// That what [`warning`] says is over: the loss of any one host is borne.
pub(crate) fn relief(members: &[Member]) -> Option<Planned> {
    let voters: Vec<&Member> =
        members.iter().filter(|member| member.role == MemberRole::Voter).collect();
    let leader = members.iter().find(|member| member.leads)?;
    (tolerance(&voters) > 0).then(|| {
        let why =
            format!("is one of {} voters: the cluster survives the loss of one", voters.len());
        Planned::new(Change::HandOver, leader, "EnoughHosts", why)
    })
}

/// A standby that is to go.
fn release(members: &[Member]) -> Option<Planned> {
    let gone =
        members.iter().find(|member| member.role == MemberRole::Standby && !member.stays())?;
    let why = "is no longer a member: it was removed or starts anew".to_owned();
    Some(Planned::new(Change::RemoveStandby(gone.id), gone, "StandbyRemoved", why))
}

/// Standbys: enough of them, and none that is dead while a living node is free.
fn staff(members: &[Member], voters: usize, wanted: usize) -> Option<Planned> {
    let standbys: Vec<&Member> =
        members.iter().filter(|member| member.role == MemberRole::Standby).collect();
    let hosts = members.iter().filter(|member| member.is_alive() && member.stays());
    let scarce = hosts.filter(|member| !member.witness).count() < wanted_voters(members.len());
    let mut free: Vec<&Member> = members
        .iter()
        .filter(|member| member.role == MemberRole::Outside && member.is_alive() && member.stays())
        // A witness holds a copy only where its vote is needed.
        .filter(|member| !member.witness || scarce)
        .collect();
    free.sort_by_key(|member| (member.witness, std::cmp::Reverse(member.alive_for), member.id));
    let free = free.first()?;
    let places = wanted.saturating_sub(voters) + STANDBYS;
    if standbys.len() < places {
        let change = Change::AddStandby(free.id);
        let why = "follows as a standby, ready to take a voter's place".to_owned();
        return Some(Planned::new(change, free, "StandbyAdded", why));
    }
    let gone = standbys.iter().find(|member| member.is_dead_since(REPLACE_STANDBY_AFTER))?;
    let change = Change::RemoveStandby(gone.id);
    let why = format!("has been dead for long and gives its place to {}", free.name);
    Some(Planned::new(change, gone, "StandbyRemoved", why))
}

#[cfg(test)]
mod tests;
