//! One request whose target is objects.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use hyper::upgrade::OnUpgrade;
use skein_consensus::Consistency;
use skein_objects::{MediaType, StatusError};

use crate::{
    audit::Record,
    body::{self, RequestBody},
    identity::Identity,
    media,
    media::{BodyType, PatchType},
    query::{Query, Version},
    route::{Target, Verb},
    subresource::Subresource,
};

/// What is asked, of which objects, and what came with it.
pub(crate) struct Call {
    /// Who asks.
    pub(crate) identity: Arc<Identity>,
    pub(crate) target: Target,
    pub(crate) verb: Verb,
    pub(crate) query: Query,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// Whether whatever the nearest replica has must do, because the cluster has lost its quorum.
    pub(crate) stale: bool,
    /// What is noted of the request.
    pub(crate) record: Option<Arc<Record>>,
    body: Mutex<Option<RequestBody>>,
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Call {
    pub(crate) fn new(
        identity: Arc<Identity>,
        target: Target,
        verb: Verb,
        query: Query,
        request: Request<RequestBody>,
        record: Option<Arc<Record>>,
    ) -> Self {
        let (mut parts, body) = request.into_parts();
        Self {
            identity,
            target,
            verb,
            query,
            upgrade: Mutex::new(parts.extensions.remove()),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            stale: false,
            record,
            body: Mutex::new(Some(body)),
        }
    }

    /// The body as it comes, once.
    pub(crate) fn take_body(&self) -> Result<RequestBody, StatusError> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        body.ok_or_else(|| StatusError::internal("the body is read twice"))
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
    pub(crate) async fn read_object(&self) -> Result<(Bytes, MediaType), StatusError> {
        let body_type = media::body_type(&self.headers)?;
        let bytes = self.read().await?;
        let (bytes, media) = match body_type {
            BodyType::Text(media) => (bytes, media),
            BodyType::Protobuf if bytes.is_empty() => (bytes, MediaType::Json),
            BodyType::Protobuf => {
                let object = skein_protobuf::decode(&bytes)
                    .map_err(|error| StatusError::bad_request(error.to_string()))?;
                (object.to_string().into(), MediaType::Json)
            }
        };
        self.note(&bytes, media);
        Ok((bytes, media))
    }

    /// The body as a patch, once.
    pub(crate) async fn read_patch(&self) -> Result<(Bytes, PatchType), StatusError> {
        let patch_type = media::patch_type(&self.headers)?;
        let bytes = self.read().await?;
        let is_yaml = patch_type == PatchType::Apply;
        self.note(&bytes, if is_yaml { MediaType::Yaml } else { MediaType::Json });
        Ok((bytes, patch_type))
    }

    /// Notes what was sent, if anybody wants to know.
    fn note(&self, bytes: &[u8], media: MediaType) {
        if let Some(record) = &self.record
            && !bytes.is_empty()
        {
            record.sent(bytes, media);
        }
    }

    async fn read(&self) -> Result<Bytes, StatusError> {
        body::read(&self.headers, self.take_body()?).await
    }
}
