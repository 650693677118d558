//! What only the leader does, for exactly as long as it leads.

use skein_consensus::RaftStatus;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Runs `work` whenever this node leads, and cancels it when the term or the role ends.
pub(crate) async fn while_leading<W, F>(
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
