//! Whether and when a container that ended is started again.
//!
//! The delays are the kubelet's: none before the first restart, then 10 s doubling to 5 min,
//! starting over after a run of 10 min. They follow from the attempt alone, so that they survive
//! the agent.

use jiff::SignedDuration;
use skein_runtime::ContainerState;

use super::{RestartPolicy, memory::doubled};
use crate::limits;

/// Exit code shown for a container that could not be started, as containerd's.
pub(super) const START_ERROR_CODE: i32 = 128;

/// Whether the policy asks for another start after this end.
pub(super) fn may_restart(policy: RestartPolicy, exit_code: i32) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != 0,
        RestartPolicy::Never => false,
    }
}

/// Whether it ended after so long a run that its delays start over.
pub(super) fn ran_long(state: &ContainerState) -> bool {
    match state {
        ContainerState::Exited { started: Some(started), finished, .. } => {
            finished.duration_since(*started) >= limits::RESTART_RESET
        }
        _ => false,
    }
}

/// How long after its end a container of this `attempt` may start again; `base` is the attempt
/// its delays count from.
pub(crate) fn restart_delay(attempt: u32, base: u32) -> SignedDuration {
    match attempt.saturating_sub(base).checked_sub(1) {
        Some(doublings) => doubled(limits::RESTART_DELAY, limits::RESTART_DELAY_MAX, doublings),
        None => SignedDuration::ZERO,
    }
}
