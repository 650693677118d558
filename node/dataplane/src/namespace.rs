//! Network namespaces of pods, entered by threads that end there.

use std::{fs::File, io, os::unix::fs::MetadataExt, thread};

use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

/// The network namespace of a process, unless it is the one that this process is in.
pub(crate) fn of_process(pid: u32) -> io::Result<Option<File>> {
    let theirs = File::open(format!("/proc/{pid}/ns/net"))?;
    let own = File::open("/proc/thread-self/ns/net")?;
    let is_own = theirs.metadata()?.ino() == own.metadata()?.ino();
    Ok((!is_own).then_some(theirs))
}

/// Does something that may block on a thread inside a namespace, or in this process's where there
/// is none, with the caller's tokio runtime around it.
pub(crate) async fn inside<T: Send + 'static>(
    namespace: impl Into<Option<File>>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let namespace = namespace.into();
    let (sender, done) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let enter = move || {
        if let Some(namespace) = namespace {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
        }
        let _context = runtime.enter();
        work()
    };
    thread::Builder::new().name("pod-netns".to_owned()).spawn(move || {
        // The receiver is gone only if the caller was cancelled; then nobody needs the outcome.
        drop(sender.send(enter()));
    })?;
    done.await.map_err(io::Error::other)?
}
