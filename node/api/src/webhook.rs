//! Calls of webhooks: a JSON body goes to whomever a `clientConfig` names, and JSON comes back.
//!
//! A webhook behind a Service is reached inside its pod, on whichever host that runs, as the proxy of
//! Services does it. Connections are kept for the next call. What is sent must bear being sent twice:
//! a kept connection may turn out to be dead after it has taken a body.

mod connection;
mod place;
mod trust;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use rustls::ClientConfig;
use skein_objects::{StatusError, Webhook};
use skein_storage::Storage;
use tokio::sync::Semaphore;

use crate::{HostProxy, limits};
use connection::Connection;
use place::Place;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("Post {url:?}: {fault}")]
pub(crate) struct CallError {
    url: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    /// It took longer than it may.
    #[error("context deadline exceeded")]
    Deadline,
    #[error("the address is unusable: {0}")]
    Address(String),
    #[error("unable to load root certificates: {0}")]
    Trust(String),
    /// Nothing takes the connection.
    #[error("{0}")]
    Unreachable(String),
    #[error("tls: {0}")]
    Tls(std::io::Error),
    /// The connection broke, or what came over it is no HTTP.
    #[error("{0}")]
    Exchange(hyper::Error),
    #[error("the server responded with the status code {}: {said:?}", code.as_u16())]
    Refused { code: StatusCode, said: String },
    #[error("the answer is longer than {} bytes", limits::WEBHOOK_ANSWER_BYTES)]
    TooLong,
}

impl From<StatusError> for Fault {
    fn from(error: StatusError) -> Self {
        Self::Unreachable(error.message)
    }
}

/// Webhooks, and connections to those that were called.
pub(crate) struct Webhooks {
    storage: Storage,
    hosts: Arc<dyn HostProxy>,
    known: Mutex<HashMap<Webhook, Arc<Known>>>,
}

/// What is kept of a webhook between two calls.
struct Known {
    tls: Arc<ClientConfig>,
    /// Room for calls under way: one that is slow holds up its own kind alone.
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Webhooks {
    /// Webhooks at addresses of their own and behind the Services in `storage`.
    pub(crate) fn new(storage: Storage, hosts: Arc<dyn HostProxy>) -> Self {
        Self { storage, hosts, known: Mutex::default() }
    }

    /// Posts a JSON body and gives back the answer, which is one of success.
    pub(crate) async fn call(
        &self,
        webhook: &Webhook,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let url = place::url(&webhook.address);
        let answer = async {
            let place = Place::parse(&url)?;
            let known = self.known(webhook).await?;
            let _place = known.places.acquire().await;
            self.post(webhook, &known, &place, body).await
        };
        let answer = tokio::time::timeout(within, answer).await.unwrap_or(Err(Fault::Deadline));
        answer.map_err(|fault| CallError { url, fault })
    }

    async fn post(
        &self,
        webhook: &Webhook,
        known: &Known,
        place: &Place,
        body: Bytes,
    ) -> Result<Bytes, Fault> {
        while let Some(mut connection) = known.take_idle() {
            match connection.post(place, body.clone()).await {
                // It ended while nobody used it.
                Err(Fault::Exchange(_)) => {}
                answer => return known.keep(connection, answer),
            }
        }
        let stream = self.reach(&webhook.address, place).await?;
        let mut connection = Connection::open(stream, &known.tls, place).await?;
        let answer = connection.post(place, body).await;
        known.keep(connection, answer)
    }

    /// What is kept of a webhook. One that is named otherwise, also by another `caBundle`, is another.
    async fn known(&self, webhook: &Webhook) -> Result<Arc<Known>, Fault> {
        if let Some(known) = self.lock().get(webhook) {
            return Ok(known.clone());
        }
        let tls = trust::client_config(&webhook.ca_bundle).await.map_err(Fault::Trust)?;
        let places = Semaphore::new(limits::WEBHOOK_CALLS);
        let new = Arc::new(Known { tls, places, idle: Mutex::default() });
        let mut known = self.lock();
        if known.len() >= limits::WEBHOOKS {
            known.clear();
        }
        Ok(known.entry(webhook.clone()).or_insert(new).clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Webhook, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Connection> {
        self.lock_idle().pop()
    }

    /// Keeps a connection over which an answer has come to its end.
    fn keep(&self, connection: Connection, answer: Result<Bytes, Fault>) -> Result<Bytes, Fault> {
        let mut idle = self.lock_idle();
        if answer.is_ok() && idle.len() < limits::WEBHOOK_CONNECTIONS {
            idle.push(connection);
        }
        answer
    }
}
