//! One request whose target is objects.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use skein_consensus::Consistency;
use skein_objects::{MediaType, StatusError};

use crate::{
    body::{self, RequestBody},
    media,
    media::{BodyType, PatchType},
    query::{Query, Version},
    route::{Target, Verb},
    subresource::Subresource,
};

/// What is asked, of which objects, and what came with it.
pub(crate) struct Call {
    pub(crate) target: Target,
    pub(crate) verb: Verb,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// Whether whatever the nearest replica has must do, because the cluster has lost its quorum.
    pub(crate) stale: bool,
    body: Option<RequestBody>,
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Call {
    pub(crate) fn new(
        target: Target,
        verb: Verb,
        query: Query,
        headers: HeaderMap,
        body: RequestBody,
        upgrade: Option<OnUpgrade>,
    ) -> Self {
        let (body, upgrade) = (Some(body), Mutex::new(upgrade));
        Self { target, verb, query, headers, stale: false, body, upgrade }
    }

    /// The connection, once its request is answered and it belongs to another protocol: once, and
    /// only where it can.
    pub(crate) fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the answer goes on for as long as both sides want.
    pub(crate) fn is_stream(&self) -> bool {
        let is_part = self.target.subresource.is_some_and(Subresource::is_stream);
        self.verb == Verb::Watch || is_part
    }

    /// How fresh a read at this version must be.
    pub(crate) fn consistency(&self, version: Version) -> Consistency {
        match version {
            Version::Latest if self.stale => Consistency::Any,
            Version::Latest => Consistency::Linearizable,
            Version::Any => Consistency::Any,
            Version::At(revision) => Consistency::AtLeast(revision),
        }
    }

    /// The body and its form, once; a form that is not understood is refused before it is read.
    /// Protobuf becomes JSON here, and nothing behind knows of it.
    pub(crate) async fn read_object(&mut self) -> Result<(Bytes, MediaType), StatusError> {
        let body_type = media::body_type(&self.headers)?;
        let bytes = self.read().await?;
        match body_type {
            BodyType::Text(media) => Ok((bytes, media)),
            BodyType::Protobuf if bytes.is_empty() => Ok((bytes, MediaType::Json)),
            BodyType::Protobuf => {
                let object = skein_protobuf::decode(&bytes)
                    .map_err(|error| StatusError::bad_request(error.to_string()))?;
                Ok((object.to_string().into(), MediaType::Json))
            }
        }
    }

    /// The body as a patch, once.
    pub(crate) async fn read_patch(&mut self) -> Result<(Bytes, PatchType), StatusError> {
        let patch_type = media::patch_type(&self.headers)?;
        Ok((self.read().await?, patch_type))
    }

    async fn read(&mut self) -> Result<Bytes, StatusError> {
        match self.body.take() {
            Some(body) => body::read(&self.headers, body).await,
            None => Err(StatusError::internal("the body is read twice")),
        }
    }
}
