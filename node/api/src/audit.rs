//! The audit log: who asked for what, when, and how it was answered, as far as a policy wants it
//! noted. Policy and events are those of `audit.k8s.io/v1`. Without a policy nothing is noted.

mod log;
mod policy;
mod record;

use std::{io, path::PathBuf, sync::Mutex, thread};

use bytes::Bytes;
use tokio::sync::mpsc;

use self::{log::Writer, policy::Policy};
use crate::limits;

pub use self::log::AuditLog;
pub(crate) use self::record::Record;

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The policy cannot be used.
    #[error("the audit policy is unusable: {0}")]
    Policy(String),
    /// The file cannot be opened.
    #[error("the audit log {path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("the audit log cannot be written")]
    Thread(#[source] io::Error),
}

/// An audit log that is being written. What is queued is written before it ends.
pub struct Audit {
    policy: Policy,
    /// Nothing, once it ends.
    events: Option<mpsc::Sender<Bytes>>,
    /// A thread of its own: a slow disk must delay requests at most, and nothing else.
    writer: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Audit {
    /// Begins to write; `policy` is a `Policy` of `audit.k8s.io/v1` in YAML or JSON.
    ///
    /// # Errors
    /// Where the policy is none, or the file cannot be written.
    pub fn start(policy: &[u8], log: AuditLog) -> Result<Self, AuditError> {
        let policy = Policy::read(policy).map_err(AuditError::Policy)?;
        let path = log.path.clone();
        let writer = Writer::open(log).map_err(|source| AuditError::Open { path, source })?;
        let (events, queue) = mpsc::channel(limits::AUDIT_QUEUE);
        let thread = thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer.run(queue)).map_err(AuditError::Thread)?;
        Ok(Self { policy, events: Some(events), writer: Mutex::new(Some(thread)) })
    }

    /// Queues an event, when there is room.
    async fn write(&self, event: Bytes) {
        if let Some(events) = &self.events
            && events.send(event).await.is_err()
        {
            tracing::error!("an audit event is lost: nobody writes any more");
        }
    }

    /// Queues an event of an answer whose end nobody waits for.
    fn write_now(&self, event: Bytes) {
        if let Some(events) = &self.events
            && let Err(error) = events.try_send(event)
        {
            tracing::error!(%error, "an audit event is lost");
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.events = None;
        let writer = self.writer.get_mut().map(Option::take);
        if let Ok(Some(writer)) = writer
            && writer.join().is_err()
        {
            tracing::error!("the audit log ended badly");
        }
    }
}
