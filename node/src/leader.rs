//! What only the leader does, for exactly as long as it leads, and what every host that may lead
//! keeps ready for that.

use skein_consensus::{RaftStatus, SharedStore};
use skein_controllers::Standby;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Keeps a [`Standby`] for as long as this node holds a replica of the group, and runs `work` with
/// it whenever this node leads.
pub(crate) async fn stand_by<W, F>(
    store: SharedStore,
    mut status: watch::Receiver<RaftStatus>,
    cancel: CancellationToken,
    work: W,
) where
    W: Fn(Standby, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    loop {
        let held = cancel.run_until_cancelled(status.wait_for(holds_replica));
        let held = matches!(held.await, Some(Ok(_)));
        if !held {
            return;
        }
        let standby = Standby::start(&store);
        let holding = cancel.child_token();
        let working =
            while_leading(status.clone(), holding.clone(), |reign| work(standby.clone(), reign));
        let mut working = std::pin::pin!(working);
        // A replica that is gone reports nothing any more: that is an end too.
        let gone = async { drop(status.wait_for(|now| !holds_replica(now)).await) };
        tokio::select! {
            () = &mut working => {}
            () = gone => {
                holding.cancel();
                working.await;
            }
        }
        standby.stop().await;
        if cancel.is_cancelled() || status.has_changed().is_err() {
            return;
        }
    }
}

/// Whether this node is a member of the group, with a vote or without.
fn holds_replica(status: &RaftStatus) -> bool {
    status.voters.contains(&status.id) || status.learners.contains(&status.id)
}

/// Runs `work` whenever this node leads, and cancels it when the term or the role ends.
async fn while_leading<W, F>(
    mut status: watch::Receiver<RaftStatus>,
    cancel: CancellationToken,
    work: W,
) where
    W: Fn(CancellationToken) -> F,
    F: Future<Output = ()>,
{
    loop {
        let leads = |status: &RaftStatus| status.is_leader();
        let term = tokio::select! {
            () = cancel.cancelled() => return,
            led = status.wait_for(leads) => match led {
                Ok(status) => status.term,
                Err(_) => return,
            },
        };
        tracing::info!(term, "this node leads");
        let reign = cancel.child_token();
        let mut working = std::pin::pin!(work(reign.clone()));
        let over = |status: &RaftStatus| !status.is_leader() || status.term != term;
        // A replica that is gone reports nothing any more: that is an end too.
        let deposed = async { drop(status.wait_for(over).await) };
        tokio::select! {
            () = &mut working => {}
            () = deposed => {
                tracing::info!(term, "this node no longer leads");
                reign.cancel();
                working.await;
            }
        }
        if cancel.is_cancelled() {
            return;
        }
    }
}
