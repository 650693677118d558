//! Every bound of the simulation, with its reason.

use std::time::Duration;

/// One step of every host. The shortest way between two hosts takes as long; finer steps cost
/// time and show nothing that a millisecond does not.
pub(crate) const STEP: Duration = Duration::from_millis(1);

/// How long stopping in order may take: handing over and finishing a change of members are given
/// seconds each.
pub(crate) const STOPS_WITHIN_MS: u64 = 20_000;

/// How long, in virtual milliseconds, a replica may take to tell that its disk has refused a write.
pub(crate) const DISK_TELLS_WITHIN_MS: u64 = 100;

/// Lines of the trace in a report of a failure.
pub(crate) const REPORTED_LINES: usize = 60;

/// Bytes on their way in one direction of a stream before its writer waits.
pub(crate) const STREAM_WINDOW_BYTES: usize = 256 << 10;

/// Silence after which a stream over a broken path is reset, as QUIC's connections are.
pub(crate) const STREAM_PATIENCE_MS: u64 = 2_000;

/// How often a lost part of a stream is sent again.
pub(crate) const RETRANSMIT_MS: u64 = 60;

/// Between two looks at whether streams still have a path.
pub(crate) const STREAM_SWEEP_MS: u64 = 100;

/// Refusals a process may be slow to hear; later ones push older ones out.
pub(crate) const REFUSALS: usize = 64;

/// The most calls on one register that the search for a linearization takes.
pub(crate) const CALLS: usize = 128;
