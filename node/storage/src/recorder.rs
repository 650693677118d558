//! Events for people: what happened to an object and why, as core/v1 `Event`s.
//!
//! Recording never waits and never fails: events are written by one task in the background, best
//! effort, in the way of Kubernetes' event recorder. A repetition counts up the event it repeats.

mod memory;

use jiff::Timestamp;
use k8s_openapi::{
    Metadata, Resource,
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use skein_objects::{Reason, StatusError};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Client, Storage,
    limits::{EVENT_MESSAGE_BYTES, RECORDER_BACKLOG, RECORDER_DEADLINE},
};
use memory::{Memory, Seen};

/// Whether an event tells of ordinary life or of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Ordinary life.
    Normal,
    /// Trouble.
    Warning,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
struct Occurrence {
    about: ObjectReference,
    event_type: EventType,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Records events. Cheap to clone.
#[derive(Clone)]
pub struct EventRecorder {
    queue: mpsc::Sender<Occurrence>,
}

impl EventRecorder {
    /// Starts the task that writes events in the name of `component` on `host`, until cancelled.
    pub fn start(
        storage: &Storage,
        component: &str,
        host: &str,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(RECORDER_BACKLOG);
        let writer = Writer {
            events: storage.typed(),
            component: component.to_owned(),
            host: host.to_owned(),
            memory: Memory::default(),
        };
        tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = writer.run(waiting) => {}
            }
        });
        Self { queue }
    }

    /// Records that something happened to `object`.
    pub fn event<T: Resource + Metadata<Ty = ObjectMeta>>(
        &self,
        object: &T,
        event_type: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.event_about(reference_to(object), event_type, reason, message);
    }

    /// Records that something happened to the object `about` refers to.
    pub fn event_about(
        &self,
        about: ObjectReference,
        event_type: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(EVENT_MESSAGE_BYTES));
        let at = Timestamp::now();
        let occurrence = Occurrence { about, event_type, reason: reason.to_owned(), message, at };
        if let Err(error) = self.queue.try_send(occurrence) {
            tracing::debug!(reason, %error, "event dropped");
        }
    }
}

/// A reference to `object` for events and binding targets.
pub fn reference_to<T: Resource + Metadata<Ty = ObjectMeta>>(object: &T) -> ObjectReference {
    let metadata = object.metadata();
    ObjectReference {
        api_version: Some(T::API_VERSION.to_owned()),
        kind: Some(T::KIND.to_owned()),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}

/// The task behind a recorder.
struct Writer {
    events: Client<Event>,
    component: String,
    host: String,
    memory: Memory,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Occurrence>) {
        while let Some(occurrence) = waiting.recv().await {
            let written = tokio::time::timeout(RECORDER_DEADLINE, self.write(&occurrence)).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, reason = occurrence.reason, "event lost"),
                Err(_) => tracing::debug!(reason = occurrence.reason, "event timed out"),
            }
        }
    }

    async fn write(&mut self, occurrence: &Occurrence) -> Result<(), StatusError> {
        if let Some(seen) = self.memory.recall(occurrence) {
            match self.count_up(&seen, occurrence).await {
                Err(error) if error.reason == Reason::NotFound => {}
                result => return result,
            }
        }
        let event = self.events.create(&self.first(occurrence)).await?;
        let ObjectMeta { namespace, name, .. } = event.metadata;
        self.memory.remember(
            occurrence,
            Seen { namespace: namespace.unwrap_or_default(), name: name.unwrap_or_default() },
        );
        Ok(())
    }

    async fn count_up(&self, seen: &Seen, occurrence: &Occurrence) -> Result<(), StatusError> {
        let again = |event: &mut Event| {
            event.count = Some(event.count.unwrap_or(1).saturating_add(1));
            event.last_timestamp = Some(Time(occurrence.at));
        };
        self.events.modify(&seen.namespace, &seen.name, again).await?;
        Ok(())
    }

    fn first(&self, occurrence: &Occurrence) -> Event {
        let about = &occurrence.about;
        let namespace = about.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        Event {
            metadata: ObjectMeta {
                namespace: Some(namespace.unwrap_or("default").to_owned()),
                name: Some(format!(
                    "{}.{:016x}",
                    about.name.as_deref().unwrap_or("unknown"),
                    rand::random::<u64>()
                )),
                ..ObjectMeta::default()
            },
            involved_object: about.clone(),
            type_: Some(occurrence.event_type.as_str().to_owned()),
            reason: Some(occurrence.reason.clone()),
            message: Some(occurrence.message.clone()),
            count: Some(1),
            first_timestamp: Some(Time(occurrence.at)),
            last_timestamp: Some(Time(occurrence.at)),
            source: Some(EventSource {
                component: Some(self.component.clone()),
                host: Some(self.host.clone()).filter(|host| !host.is_empty()),
            }),
            reporting_component: Some(self.component.clone()),
            reporting_instance: Some(self.host.clone()),
            ..Event::default()
        }
    }
}
