//! What the agent is told when it starts.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{DiskWork, limits};

/// How pods resolve names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// The cluster's DNS servers; empty leaves pods with the host's.
    pub servers: Vec<String>,
    /// The cluster's domain, `cluster.local`.
    pub domain: String,
}

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Shows `epoch` now and then follows tokio's clock, also a paused one.
    pub fn following_tokio(epoch: Timestamp) -> Self {
        let began = Instant::now();
        Self(Arc::new(move || {
            let elapsed = SignedDuration::try_from(began.elapsed()).unwrap_or_default();
            epoch.checked_add(elapsed).unwrap_or(epoch)
        }))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// What the agent is told when it starts.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Name of this node.
    pub node_name: String,
    /// Address the other hosts reach this one at.
    pub host_ip: IpAddr,
    /// Labels of the node beside those every node has.
    pub labels: BTreeMap<String, String>,
    /// Directory of this process; the agent uses `pods/` in it.
    pub data_dir: PathBuf,
    /// Version of this program, shown as the node's.
    pub version: String,
    /// Pods this node takes.
    pub max_pods: u32,
    /// Pods started at once.
    pub concurrent_starts: usize,
    /// How pods resolve names.
    pub dns: DnsConfig,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where it does what blocks on its disk.
    pub disk_work: DiskWork,
}

impl AgentConfig {
    /// The configuration of a node with the defaults of everything else.
    pub fn new(node_name: impl Into<String>, host_ip: IpAddr, data_dir: PathBuf) -> Self {
        Self {
            node_name: node_name.into(),
            host_ip,
            labels: BTreeMap::new(),
            data_dir,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            max_pods: limits::MAX_PODS,
            concurrent_starts: limits::CONCURRENT_STARTS,
            dns: DnsConfig::default(),
            clock: Clock::system(),
            disk_work: DiskWork::default(),
        }
    }
}
