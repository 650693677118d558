//! Keeps the registration of this node, and notices when it is no longer its own.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::registration::{Registration, RegistrationError, Registrations, Roster};

/// Pause after the registration could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a removed node that still votes waits for the others to let it go.
const LEAVE_DEADLINE: Duration = Duration::from_secs(30);

/// Why a node is no longer part of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Another node has its name.
    Replaced,
    /// It was removed for good.
    Removed,
}

/// A node's place in the roster.
pub(super) struct Place {
    pub(super) registrations: Registrations,
    pub(super) own: Registration,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    /// Cancelled once a peer has refused this node.
    pub(super) refused: CancellationToken,
}

impl Place {
    /// Sees to it that the registration says where this node is now; ends, and tells, when it is
    /// no longer part of the cluster.
    pub(super) fn keep(
        self,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> watch::Receiver<Option<Departure>> {
        let (sender, departure) = watch::channel(None);
        let keeping = async move {
            let refused = self.refused.clone();
            let departure = tokio::select! {
                () = refused.cancelled() => Departure::Removed,
                departure = self.kept() => departure,
            };
            tracing::error!(?departure, "this node is no longer part of the cluster");
            sender.send_replace(Some(departure));
        };
        tasks.spawn(cancel.run_until_cancelled_owned(keeping));
        departure
    }

    /// Returns when the registration cannot be kept.
    async fn kept(mut self) -> Departure {
        loop {
            let roster = self.roster.borrow_and_update().clone();
            if !roster.registered.contains(&self.own) || roster.removed.contains(&self.own.id) {
                let Registration { id, name, address } = &self.own;
                // Whoever else has the name has it rightly, so nobody counts as dead here.
                match self.registrations.claim(name, *id, *address, |_| true).await {
                    Ok(()) => {}
                    Err(RegistrationError::NameTaken { .. }) => return Departure::Replaced,
                    Err(RegistrationError::Removed(_)) => {
                        tracing::warn!("this node has been removed and leaves the cluster");
                        // Peers refuse it as soon as they do without its vote.
                        tokio::time::sleep(LEAVE_DEADLINE).await;
                        return Departure::Removed;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "this node could not be registered");
                        tokio::time::sleep(RETRY_PAUSE).await;
                        continue;
                    }
                }
            }
            if self.roster.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
