//! The engine's events as hints, across restarts of the engine.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::{errors::Error, models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{client::Client, labels};
use crate::{
    RuntimeEvent,
    limits::{CALL_DEADLINE, EVENT_RETRY_MAX, EVENT_RETRY_MIN},
};

/// Changes the agent looks after; Docker has many more, of `exec` and `top` for example.
const ACTIONS: [&str; 4] = ["start", "die", "destroy", "oom"];

struct Listener {
    client: Arc<Client>,
    open: Option<BoxStream<'static, Result<EventMessage, Error>>>,
    retry: Duration,
}

/// Hints until dropped. Begins with a `Resync`: what happened before the engine was reached is
/// unknown.
pub(super) fn stream(client: Arc<Client>) -> BoxStream<'static, RuntimeEvent> {
    let listener = Listener { client, open: None, retry: EVENT_RETRY_MIN };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await;
        Some((event, listener))
    })
    .boxed()
}

impl Listener {
    async fn next(&mut self) -> RuntimeEvent {
        loop {
            let Some(open) = &mut self.open else {
                if self.connect().await {
                    return RuntimeEvent::Resync;
                }
                sleep(self.retry).await;
                self.retry = (self.retry * 2).min(EVENT_RETRY_MAX);
                continue;
            };
            match open.next().await {
                Some(Ok(message)) => {
                    if let Some(uid) = pod_uid(message) {
                        return RuntimeEvent::Pod { uid };
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "event stream interrupted");
                    self.open = None;
                }
                None => self.open = None,
            }
        }
    }

    /// Opens the stream as of a moment before the engine answered: events between the answer and
    /// the first read are replayed by the engine.
    async fn connect(&mut self) -> bool {
        let since = Timestamp::now().as_second().to_string();
        let answered =
            self.client.call(CALL_DEADLINE, |docker| async move { docker.ping().await }).await;
        let docker = match answered {
            Ok(_pong) => self.client.docker().await,
            Err(error) => Err(error),
        };
        let Ok(docker) = docker else { return false };
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("label".to_owned(), vec![labels::KIND.to_owned()]),
            ("event".to_owned(), ACTIONS.map(str::to_owned).to_vec()),
        ]);
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        self.open = Some(docker.events(Some(options)).boxed());
        self.retry = EVENT_RETRY_MIN;
        true
    }
}

fn pod_uid(message: EventMessage) -> Option<String> {
    message.actor?.attributes?.remove(labels::POD_UID)
}
