//! Follows who belongs to the cluster, and tells what follows from it: whom to refuse, and that
//! this node itself must go.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use skein_consensus::RaftStatus;
use skein_net::NodeId;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::registration::{Registrations, Roster};

/// Pause after the roster could not be read.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long the roster is believed when nothing is heard of a change.
const RESYNC: Duration = Duration::from_secs(60);

/// Starts following the records until cancelled.
pub(super) fn follow(
    registrations: Registrations,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> watch::Receiver<Arc<Roster>> {
    let (sender, roster) = watch::channel(Arc::<Roster>::default());
    let following = async move {
        loop {
            match registrations.roster().await {
                Ok((now, since)) => {
                    sender.send_if_modified(|before| {
                        let changed = **before != now;
                        *before = Arc::new(now);
                        changed
                    });
                    let changed = tokio::time::timeout(RESYNC, registrations.changed(since));
                    if let Ok(Err(error)) = changed.await {
                        tracing::debug!(%error, "the registrations are not followed");
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the registrations could not be read");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(following));
    roster
}

/// Keeps `outcasts` current with the roster and the members of the Raft group.
pub(super) fn cast_out(
    mut roster: watch::Receiver<Arc<Roster>>,
    mut raft: watch::Receiver<RaftStatus>,
    outcasts: watch::Sender<Arc<BTreeSet<NodeId>>>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let casting = async move {
        loop {
            let now = outcasts_of(&roster.borrow_and_update(), &raft.borrow_and_update());
            outcasts.send_if_modified(|before| {
                let changed = **before != now;
                *before = Arc::new(now);
                changed
            });
            // Both end with the node.
            let changed = tokio::select! {
                changed = roster.changed() => changed,
                changed = raft.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(casting));
}

/// Removed nodes are refused once they are no longer of the Raft group: until then it may need
/// their votes to let them go. A node that holds no replica does not know, and refuses nobody.
fn outcasts_of(roster: &Roster, raft: &RaftStatus) -> BTreeSet<NodeId> {
    let is_member = |id: &NodeId| raft.voters.contains(id) || raft.learners.contains(id);
    let removed = roster.removed.iter().copied();
    removed.filter(|id| raft.initialized && !is_member(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_node_is_cast_out_once_it_no_longer_votes() {
        let roster = Roster { removed: [NodeId(2), NodeId(3)].into(), ..Roster::default() };
        let voters = vec![NodeId(1), NodeId(2)];
        let raft = RaftStatus { initialized: true, voters, ..RaftStatus::default() };
        assert_eq!(outcasts_of(&roster, &raft), [NodeId(3)].into());
        let raft = RaftStatus { voters: vec![NodeId(1)], ..raft };
        assert_eq!(outcasts_of(&roster, &raft), [NodeId(2), NodeId(3)].into());
        assert!(outcasts_of(&roster, &RaftStatus::default()).is_empty());
    }
}
