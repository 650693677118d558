//! Keeps the registration of this node, and notices when it is no longer its own.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::registration::{Registration, RegistrationError, Registrations};

/// Between two looks at this node's own registration. While another node has its name both would
/// run the same pods.
const INTERVAL: Duration = Duration::from_secs(5);

/// Why a node is no longer part of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Another node has its name.
    Replaced,
}

/// Sees to it that the registration says where this node is now; ends, and tells, when the name
/// has become another node's while this one was away.
pub(super) fn keep(
    registrations: Registrations,
    own: Registration,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> watch::Receiver<Option<Departure>> {
    let (sender, departure) = watch::channel(None);
    let keeping = async move {
        let mut checks = tokio::time::interval(INTERVAL);
        loop {
            checks.tick().await;
            // Whoever else has the name has it rightly, so nobody counts as dead here.
            match registrations.claim(&own.name, own.id, own.address, |_| true).await {
                Ok(()) => {}
                Err(error @ RegistrationError::NameTaken { .. }) => {
                    tracing::error!(%error, "this node has been replaced by another of its name");
                    sender.send_replace(Some(Departure::Replaced));
                    return;
                }
                Err(error) => tracing::debug!(%error, "the registration could not be checked"),
            }
        }
    };
    tasks.spawn(cancel.run_until_cancelled_owned(keeping));
    departure
}
