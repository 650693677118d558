//! Every bound of this crate, with its reason.

use std::time::Duration;

/// How long `nft` or `iptables` may take; loading a few rules takes milliseconds, waiting for
/// another program's lock on a loaded machine seconds.
pub(crate) const COMMAND_DEADLINE: Duration = Duration::from_secs(15);

/// How long `iptables` waits for its lock, in seconds; less than [`COMMAND_DEADLINE`], so that its
/// own message is seen.
pub(crate) const IPTABLES_WAIT_SECONDS: &str = "10";

/// How long the kernel may take for one netlink request.
pub(crate) const NETLINK_DEADLINE: Duration = Duration::from_secs(10);

/// How much of a failed command's output goes into the error.
pub(crate) const COMMAND_OUTPUT_BYTES: usize = 1024;

/// How long a connection to a port of a pod of this host may take: it never leaves the host.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
