//! Where the agent does what blocks on its disk.

use tokio::task::{JoinError, spawn_blocking};

/// Where the agent does what blocks on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskWork {
    /// On threads of their own, so that a slow disk holds up nothing else.
    #[default]
    Threads,
    /// Where it is asked for: for simulations, in which no thread may run beside the one that
    /// simulates.
    Inline,
}

impl DiskWork {
    /// Does `work` and returns what comes of it; an error if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Self::Threads => spawn_blocking(work).await,
            Self::Inline => Ok(work()),
        }
    }
}
