//! Exit codes and the errors that choose them.

use std::process::ExitCode;

/// Everything that was asked for was done.
pub const SUCCESS: u8 = 0;
/// The cluster refused, was not reached, or the state waited for did not come.
pub const FAILURE: u8 = 1;
/// The command line or a file given on it makes no sense; nothing was sent anywhere.
pub const USAGE: u8 = 2;

/// A mistake in what was typed, as opposed to one that the cluster reported.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    message: String,
}

impl UsageError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        UsageError { message: message.into() }
    }
}

/// The exit code an error calls for.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let is_usage =
        error.chain().any(|cause| cause.is::<UsageError>() || cause.is::<crate::up::UpError>());
    ExitCode::from(if is_usage { USAGE } else { FAILURE })
}

/// Whether the reader of our output went away (`skein get pods | head`): no error to speak of.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
