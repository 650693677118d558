//! What every worker of this host shares, and the health of its runtime.

use std::sync::Arc;

use skein_runtime::{ContainerRuntime, RuntimeError, RuntimeVersion};
use skein_storage::{EventRecorder, Storage};
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    AgentConfig, PodNetwork,
    allocation::{Amounts, Room},
    limits,
    metrics::Metrics,
};

/// What every worker of this host shares.
pub(crate) struct Host {
    pub(crate) config: AgentConfig,
    pub(crate) storage: Storage,
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) network: Arc<dyn PodNetwork>,
    pub(crate) recorder: EventRecorder,
    pub(crate) metrics: Metrics,
    /// What this host's pods hold of it.
    pub(crate) room: Arc<Room>,
    /// Places for starting pods.
    pub(crate) starts: Arc<Semaphore>,
    /// Places for pulling images.
    pub(crate) pulls: Semaphore,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) network_health: watch::Sender<NetworkHealth>,
}

/// How the runtime is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It answers.
    Well(RuntimeVersion),
    /// It does not, and what it was when it last did.
    Ill {
        /// Why not.
        message: String,
        /// What it was.
        last: Option<RuntimeVersion>,
    },
}

/// Whether pods can get addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum NetworkHealth {
    /// No range was assigned yet.
    #[default]
    NoRange,
    /// They can.
    Well,
    /// The host refused the range.
    Ill(String),
}

impl Health {
    /// What the runtime is, or was when it last answered.
    pub(crate) fn version(&self) -> Option<&RuntimeVersion> {
        match self {
            Self::Unknown => None,
            Self::Well(version) => Some(version),
            Self::Ill { last, .. } => last.as_ref(),
        }
    }
}

impl Host {
    /// The runtime's name, the scheme of container ids.
    pub(crate) fn runtime_name(&self) -> String {
        let name = self.health.borrow().version().map(|version| version.name.clone());
        name.unwrap_or_else(|| "docker".to_owned())
    }

    /// Asks the runtime how it is, again and again.
    pub(crate) async fn watch_health(&self) {
        loop {
            let answer = timeout(limits::HEALTH_TIMEOUT, self.runtime.version()).await;
            let answer = answer.unwrap_or(Err(RuntimeError::Timeout(limits::HEALTH_TIMEOUT)));
            let well = answer.is_ok();
            if let Ok(version) = &answer {
                self.room.set_allocatable(Amounts::of_host(version));
            }
            self.health.send_if_modified(|health| {
                let next = match answer {
                    Ok(version) => Health::Well(version),
                    Err(error) => {
                        Health::Ill { message: error.to_string(), last: health.version().cloned() }
                    }
                };
                let changed = *health != next;
                *health = next;
                changed
            });
            sleep(if well { limits::HEALTH_INTERVAL } else { limits::HEALTH_RETRY }).await;
        }
    }
}
