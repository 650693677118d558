//! Who votes, and who leads.

use std::{cmp::Reverse, time::Duration};

use skein_net::NodeId;

use super::{
    Change, DROP_VOTERS_AFTER, Leaving, Member, MemberRole, Planned, REPLACE_VOTER_AFTER, tolerance,
};

/// Whether a voter is to lose its vote if somebody can take its place.
fn is_due(voter: &Member) -> bool {
    !voter.stays() || voter.is_dead_since(REPLACE_VOTER_AFTER)
}

/// The standby to vote next: no witness if it can be helped, in the zone with the fewest votes,
/// the one that has been there longest.
fn best<'a>(members: &'a [Member], chosen: &[&Member]) -> Option<&'a Member> {
    // Differences of less than a minute are chance.
    let minutes = |time: Duration| time.as_secs() / 60;
    members
        .iter()
        .filter(|member| member.can_vote() && chosen.iter().all(|other| other.id != member.id))
        .min_by_key(|member| {
            let neighbours = chosen.iter().filter(|other| other.zone == member.zone).count();
            (member.witness, neighbours, Reverse(minutes(member.alive_for)), member.id)
        })
}

/// The change from `voters` to `chosen`, unless it would bear less.
fn safe(voters: &[&Member], chosen: &[&Member]) -> Option<Change> {
    (tolerance(chosen) >= tolerance(voters).max(0)).then(|| set(chosen))
}

fn set(chosen: &[&Member]) -> Change {
    Change::SetVoters(chosen.iter().map(|member| member.id).collect())
}

fn without<'a>(voters: &[&'a Member], id: NodeId) -> Vec<&'a Member> {
    voters.iter().filter(|voter| voter.id != id).copied().collect()
}

/// Another leads before this node goes, and instead of a node that is only there to vote.
pub(super) fn hand_over(voters: &[&Member]) -> Option<Planned> {
    let leader = voters.iter().find(|voter| voter.leads)?;
    let mut others =
        voters.iter().filter(|voter| voter.is_alive() && !voter.leads && voter.stays());
    let why = match (leader.stays(), leader.witness) {
        (false, _) => "is to leave the cluster, so another leads from now on",
        (true, true) => "is a witness, so another leads from now on",
        (true, false) => return None,
    };
    let fitting = others.any(|voter| !voter.witness || !leader.stays());
    fitting.then(|| Planned::new(Change::HandOver, leader, "LeadershipHandedOver", why.to_owned()))
}

/// Caught-up standbys in place of all the voters that are to go, as far as they reach; and a host
/// in place of a witness.
pub(super) fn replace(members: &[Member], voters: &[&Member]) -> Option<Planned> {
    let mut chosen = voters.to_vec();
    let mut replaced: Vec<(&Member, &Member)> = Vec::new();
    let mut due: Vec<&Member> = voters.iter().filter(|voter| is_due(voter)).copied().collect();
    // The dead first: they help nobody meanwhile. This node last: it has to see to the rest.
    due.sort_by_key(|voter| (voter.leads, voter.is_alive(), voter.id));
    for voter in due {
        let rest = without(&chosen, voter.id);
        let Some(heir) = best(members, &rest) else { break };
        chosen = rest;
        chosen.push(heir);
        replaced.push((voter, heir));
    }
    if let Some((voter, heir)) = replaced.first() {
        let change = safe(voters, &chosen)?;
        let cause = match (voter.leaving, voter.dead_for) {
            (Some(Leaving::Removed), _) => "was removed from the cluster".to_owned(),
            (Some(Leaving::Damaged), _) => "has damaged files".to_owned(),
            (None, dead_for) => {
                format!("has been dead for {} s", dead_for.unwrap_or_default().as_secs())
            }
        };
        let why = format!("{cause}: {} votes in its place", heir.name);
        return Some(Planned::new(change, voter, "VoterReplaced", why));
    }
    let witness = voters.iter().find(|voter| voter.witness && !voter.leads)?;
    let rest = without(voters, witness.id);
    let host = best(members, &rest).filter(|host| !host.witness)?;
    let change = safe(voters, &[rest.as_slice(), &[host]].concat())?;
    let why = format!("is a witness: {} votes in its place", host.name);
    Some(Planned::new(change, witness, "VoterReplaced", why))
}

/// More voters, all that are missing at once.
pub(super) fn grow(members: &[Member], voters: &[&Member], wanted: usize) -> Option<Planned> {
    let missing = wanted.saturating_sub(voters.len());
    let mut chosen: Vec<&Member> = voters.to_vec();
    let mut first = None;
    for _ in 0..missing {
        let next = best(members, &chosen)?;
        chosen.push(next);
        first = first.or(Some(next));
    }
    let why = format!("votes from now on: {} voters for the cluster's size", chosen.len());
    Some(Planned::new(safe(voters, &chosen)?, first?, "VotersAdded", why))
}

/// Fewer voters, where the long dead make the group bear less than the living alone would.
pub(super) fn drop_dead(voters: &[&Member]) -> Option<Planned> {
    let dead: Vec<&Member> =
        voters.iter().filter(|voter| voter.is_dead_since(DROP_VOTERS_AFTER)).copied().collect();
    let mut best: Option<Vec<&Member>> = None;
    let mut chosen = voters.to_vec();
    for gone in &dead {
        chosen = without(&chosen, gone.id);
        // The fewest that help most: the dead may come back.
        if tolerance(&chosen) > tolerance(best.as_deref().unwrap_or(voters)) {
            best = Some(chosen.clone());
        }
    }
    let chosen = best?;
    let gone = dead.first()?;
    let why = format!(
        "and other voters have been dead for long and nobody can replace them: the {} left bear \
         more without them",
        chosen.len()
    );
    Some(Planned::new(set(&chosen), gone, "VotersDropped", why))
}

/// A voter that is to go and that nobody replaces: no other host is left to be made a voter.
pub(super) fn let_go(members: &[Member], voters: &[&Member]) -> Option<Planned> {
    let mut due: Vec<&Member> = voters.iter().filter(|voter| !voter.stays()).copied().collect();
    due.sort_by_key(|voter| (voter.leads, voter.is_alive(), voter.id));
    let gone = due.first()?;
    let rest = without(voters, gone.id);
    let hosts = || members.iter().filter(|member| member.is_alive() && member.stays());
    let others = hosts().any(|member| member.role != MemberRole::Voter);
    let bears_less = tolerance(&rest) < tolerance(voters);
    // A dead or damaged one is missed by nobody; for a living one, others are made ready first.
    if rest.is_empty() || tolerance(&rest) < 0 || (bears_less && others && gone.is_alive()) {
        return None;
    }
    let why = "votes no more: it was removed or starts anew".to_owned();
    Some(Planned::new(set(&rest), gone, "VoterRemoved", why))
}

/// One voter less, where there are more than the cluster's size asks for and one less bears as
/// much: an even number.
pub(super) fn shrink(voters: &[&Member], wanted: usize) -> Option<Planned> {
    if voters.len() <= wanted || voters.iter().any(|voter| !voter.is_alive()) {
        return None;
    }
    let gone = voters
        .iter()
        .filter(|voter| !voter.leads)
        .max_by_key(|voter| (voter.witness, Reverse(voter.alive_for), voter.id))?;
    let rest = without(voters, gone.id);
    let change = safe(voters, &rest)?;
    let why = format!("stands by from now on: {} voters bear as much", rest.len());
    Some(Planned::new(change, gone, "VoterRetired", why))
}
