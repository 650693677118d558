//! Who runs the committer: somebody of its own, so that an fsync never holds up the Raft core and
//! whatever arrives during one shares the next. A thread for a real disk; a task for a simulated
//! one, so that the simulation stays in one thread and on one clock.

use std::io;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::commit::{Committer, Step};
use crate::{disk::Disk, limits};

/// Takes changes in order. The writer ends when this is dropped and all it took is written.
#[derive(Debug)]
pub(super) struct Writer(mpsc::Sender<Step>);

impl Writer {
    /// Runs `committer`; the receiver ends when the file is closed.
    pub(super) fn start(
        committer: Committer,
        disk: &Disk,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let (sender, receiver) = mpsc::channel(limits::LOG_QUEUE);
        let (running, closed) = oneshot::channel();
        match disk {
            Disk::Directory(_) => {
                std::thread::Builder::new()
                    .name("skein-raft-log".to_owned())
                    .spawn(move || on_a_thread(committer, receiver, running))?;
            }
            Disk::Memory(_) => {
                // Ends with the last sender, as the thread does; nobody waits for it otherwise.
                let work = as_a_task(committer, receiver, disk.clone(), running);
                TaskTracker::new().spawn(work);
            }
        }
        Ok((Self(sender), closed))
    }

    /// Puts a step in line, waiting while the line is full.
    pub(super) async fn submit(&self, step: Step) -> io::Result<()> {
        let sent = self.0.send(step).await;
        sent.map_err(|_| io::Error::other("the writer of the raft log has ended"))
    }
}

fn on_a_thread(
    mut committer: Committer,
    mut receiver: mpsc::Receiver<Step>,
    running: oneshot::Sender<()>,
) {
    let mut steps = Vec::new();
    while !steps.is_empty() || receiver.blocking_recv_many(&mut steps, limits::LOG_QUEUE) > 0 {
        let group = group_of(&mut steps);
        let result = committer.write(group.iter().map(|step| &step.change));
        committer.finish(group, &result);
        committer.tidy();
    }
    close(committer, running);
}

async fn as_a_task(
    mut committer: Committer,
    mut receiver: mpsc::Receiver<Step>,
    disk: Disk,
    running: oneshot::Sender<()>,
) {
    let mut steps = Vec::new();
    while !steps.is_empty() || receiver.recv_many(&mut steps, limits::LOG_QUEUE).await > 0 {
        let group = group_of(&mut steps);
        disk.settle().await;
        let result = committer.write(group.iter().map(|step| &step.change));
        disk.settle().await;
        committer.finish(group, &result);
        committer.tidy();
    }
    close(committer, running);
}

/// Takes the next group off the line: all that waits, but of bounded bytes.
fn group_of(steps: &mut Vec<Step>) -> Vec<Step> {
    let mut bytes = 0;
    let within = steps.iter().take_while(|step| {
        let fits = bytes == 0 || bytes + step.change.size() <= limits::GROUP_BYTES;
        bytes += step.change.size();
        fits
    });
    let count = within.count();
    steps.drain(..count).collect()
}

/// Closes the log before it is told that it is closed.
fn close(mut committer: Committer, running: oneshot::Sender<()>) {
    if let Err(error) = committer.close() {
        // Nothing is lost: all that was acknowledged is there.
        tracing::warn!(%error, "the raft log was not closed properly");
    }
    drop(committer);
    drop::<oneshot::Sender<()>>(running);
}
