//! Who runs the committer: a thread of its own, so that an fsync never holds up the runtime and
//! whatever arrives during one shares the next; or, on a disk without latency, the caller.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::commit::{Committer, Step};
use crate::limits;

/// Takes changes in order.
pub(super) enum Writer {
    Thread(mpsc::Sender<Step>),
    Inline {
        committer: Mutex<Committer>,
        /// Tells by its end that the file is closed.
        _running: oneshot::Sender<()>,
    },
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thread(_) => "Writer::Thread",
            Self::Inline { .. } => "Writer::Inline",
        })
    }
}

impl Writer {
    /// Runs `committer` on a new thread until the writer is dropped; the receiver ends then.
    pub(super) fn on_a_thread(
        mut committer: Committer,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (sender, mut receiver) = mpsc::channel(limits::LOG_QUEUE);
        let (running, closed) = oneshot::channel();
        std::thread::Builder::new().name("skein-raft-log".to_owned()).spawn(move || {
            let mut steps = Vec::new();
            while receiver.blocking_recv_many(&mut steps, limits::LOG_QUEUE) > 0 {
                committer.commit(std::mem::take(&mut steps));
            }
            drop(committer);
            drop::<oneshot::Sender<()>>(running);
        })?;
        Ok((Self::Thread(sender), closed))
    }

    /// Runs `committer` in the caller; the receiver ends when the writer is dropped.
    pub(super) fn inline(committer: Committer) -> (Self, oneshot::Receiver<()>) {
        let (running, closed) = oneshot::channel();
        (Self::Inline { committer: Mutex::new(committer), _running: running }, closed)
    }

    /// Puts a step in line, waiting while the line is full.
    pub(super) async fn submit(&self, step: Step) -> io::Result<()> {
        match self {
            Self::Thread(sender) => sender
                .send(step)
                .await
                .map_err(|_| io::Error::other("the writer of the raft log has ended")),
            Self::Inline { committer, .. } => {
                committer.lock().unwrap_or_else(PoisonError::into_inner).commit(vec![step]);
                Ok(())
            }
        }
    }
}
