//! Starting a replica anew: in another epoch, or because its files are damaged.
//!
//! An [`Order`] is written down while the replica runs and carried out when its files are opened
//! next, before anything else. The new files are made beside the old ones and take over in one
//! step, so a power cut at any point leaves a replica that is wholly the old one or wholly the
//! new one, and an order carried out twice is carried out once.

use std::io;

use openraft::{
    EntryPayload, Membership, entry::RaftEntry, impls::leader_id_std::LeaderId, vote::RaftLeaderId,
};
use serde::{Deserialize, Serialize};
use skein_net::NodeId;

use crate::{
    Epoch, Revision,
    disk::Disk,
    lineage::{Lineage, generation_of},
    log_store,
    owner::{Owner, StartError},
    raft::{LogId, StoredMembership, Vote},
    sealed::{self, SealError},
    state_store::{Applied, StateStore},
};

/// The file of the order.
const FILE: &str = "order";

/// Where the files of earlier generations are put.
const ASIDE: &str = "before-epoch-";

/// How far the revision jumps with a new epoch. The lost members may have given out revisions
/// this replica has not seen; none of them is ever given again, and a watch from one of them is
/// told to list anew. A million writes a second reach it in over an hour without contact.
const REVISION_JUMP: u64 = 1 << 32;

/// What a replica is to do when its files are opened next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Go on alone from what it has, every log entry included, be it committed or not: it may
    /// have been acknowledged.
    Lead {
        /// The epoch that begins with this.
        epoch: Epoch,
    },
    /// Put what it has aside and start empty, to be filled by the leader.
    Follow {
        /// The epoch to follow in.
        epoch: Epoch,
    },
}

impl Order {
    fn epoch(self) -> Epoch {
        match self {
            Self::Lead { epoch } | Self::Follow { epoch } => epoch,
        }
    }
}

/// An order as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    order: Order,
    /// The generation it was given to: done when the files are of a later one.
    generation: u64,
}

/// Writes `order` down, durably, in place of an earlier one not carried out yet.
pub fn order(disk: &Disk, order: &Order) -> io::Result<()> {
    let generation = read_lineage(disk)?.generation;
    let written = Written { order: *order, generation };
    disk.replace(FILE, &sealed::seal(&written).map_err(io::Error::other)?)
}

/// The epoch of the files on `disk`.
pub fn epoch(disk: &Disk) -> io::Result<Epoch> {
    read_lineage(disk).map(|lineage| lineage.epoch)
}

/// The newer epoch that the replica on `disk` has heard of, if any.
pub fn outdated(disk: &Disk) -> io::Result<Option<Epoch>> {
    read_lineage(disk).map(|lineage| lineage.outdated)
}

/// Notes, durably, that the cluster is in the newer epoch `current`. Holds until an order is
/// carried out.
pub fn mark_outdated(disk: &Disk, current: Epoch) -> io::Result<()> {
    let lineage = read_lineage(disk)?;
    if lineage.outdated >= Some(current) {
        return Ok(());
    }
    Lineage { outdated: Some(current), ..lineage }.write(disk)
}

fn read_lineage(disk: &Disk) -> io::Result<Lineage> {
    Lineage::read(disk).map_err(|error| match error {
        StartError::Disk { source, .. } => source,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    })
}

/// Carries the order on `disk` out, if there is one, and returns the epoch of the files. To be
/// called before they are opened.
///
/// [`Order::Follow`] needs nothing of the old files, so it also replaces damaged ones;
/// [`Order::Lead`] needs all of them and fails with what is wrong with them.
pub fn carry_out(disk: &Disk, owner: &Owner) -> Result<Epoch, StartError> {
    let fail = |source| StartError::Disk { file: FILE, source };
    let mut lineage = Lineage::read(disk)?;
    if let Some(content) = disk.read(FILE).map_err(fail)? {
        let written: Written = sealed::open(&content)
            .map_err(|error: SealError| StartError::damaged(FILE, "its content", &error))?;
        if written.generation == lineage.generation {
            let next = Lineage {
                epoch: written.order.epoch(),
                generation: lineage.generation + 1,
                outdated: None,
            };
            remove_generation(disk, next.generation).map_err(fail)?;
            if let Order::Lead { .. } = written.order {
                found(disk, owner, &lineage, &next)?;
            }
            forget_aside(disk, &lineage).map_err(fail)?;
            next.write(disk).map_err(fail)?;
            lineage = next;
        }
        disk.remove(FILE).map_err(fail)?;
    }
    set_aside(disk, &lineage).map_err(fail)?;
    Ok(lineage.epoch)
}

/// Removes what an attempt that was cut short has left.
fn remove_generation(disk: &Disk, generation: u64) -> io::Result<()> {
    for name in disk.names("")? {
        if generation_of(&name) == Some(generation) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// Moves the files of the generation before this one out of the way, and removes older ones: one
/// earlier state is kept, for whoever wants to look for lost writes.
fn set_aside(disk: &Disk, lineage: &Lineage) -> io::Result<()> {
    let Some(before) = lineage.generation.checked_sub(1) else { return Ok(()) };
    for name in disk.names("")? {
        match generation_of(&name) {
            Some(generation) if generation == before => {
                let number = lineage.epoch.number;
                disk.rename(&name, &format!("{ASIDE}{number}/{name}"))?;
            }
            Some(generation) if generation < before => disk.remove(&name)?,
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Removes what was put aside when `lineage` began.
fn forget_aside(disk: &Disk, lineage: &Lineage) -> io::Result<()> {
    for name in disk.names(&format!("{ASIDE}{}", lineage.epoch.number))? {
        if generation_of(&name).is_some_and(|generation| generation < lineage.generation) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// Makes the files of a cluster of this node alone, out of the files before.
fn found(disk: &Disk, owner: &Owner, before: &Lineage, next: &Lineage) -> Result<(), StartError> {
    let mut applied = StateStore::read(disk, before, Some(owner))?;
    let log = log_store::read_all(disk, before, Some(owner), |entry| apply(&mut applied, entry))?;
    log.check(applied.last)?;

    let seen = [log.vote.map(|vote| vote.leader_id.term), applied.last.map(|last| term(&last))];
    let highest = seen.into_iter().flatten().max().unwrap_or(0);
    let leader = LeaderId { term: highest + 1, voted_for: owner.node.0 };
    let last = LogId::new(leader.to_committed(), applied.last.map_or(0, |last| last.index + 1));

    let revision = Revision(applied.state.view.revision().0 + REVISION_JUMP);
    applied.state.view.advance(revision);
    applied.membership = alone(owner.node, last);
    applied.last = Some(last);
    let vote = Vote { leader_id: leader, committed: false };
    StateStore::create(disk, next, owner, &applied)?;
    log_store::create(disk, next, owner, vote, last)
}

fn term(id: &LogId) -> u64 {
    id.committed_leader_id().term
}

fn alone(node: NodeId, at: LogId) -> StoredMembership {
    let voters = std::collections::BTreeSet::from([node.0]);
    StoredMembership::new(Some(at), Membership::new_with_defaults(vec![voters], []))
}

/// Applies a log entry as the state machine does, but for the members: they are left behind.
fn apply(applied: &mut Applied, entry: crate::Entry) -> Result<(), StartError> {
    let id = entry.log_id();
    if applied.last.is_some_and(|last| id.index <= last.index) {
        return Ok(());
    }
    let missing = |reason: String| StartError::Damaged {
        file: log_store::FILE,
        what: format!("log entry {}", id.index),
        reason,
    };
    let expected = applied.last.map_or(0, |last| last.index + 1);
    if id.index != expected {
        return Err(missing(format!("entry {expected} before it is missing")));
    }
    if let EntryPayload::Normal(proposal) = &entry.payload {
        let (stamp, transactions) =
            proposal.decode().map_err(|error| missing(error.to_string()))?;
        for transaction in &transactions {
            // Whoever waited for the answer has long gone; the request memory has it.
            drop(applied.state.apply(transaction, stamp, &mut Vec::new()));
        }
    }
    applied.last = Some(id);
    Ok(())
}

#[cfg(test)]
mod tests;
