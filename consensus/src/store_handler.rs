//! Serves this node's store to its peers.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use skein_net::{BoxedStream, Handler, NodeId, codec};
use tokio::{io::AsyncReadExt, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    frames::{self, FrameError},
    limits,
    reads::leader_index,
    replica_store::ReplicaStore,
    store_protocol::{ListPart, Refusal, StoreReply, StoreRequest, StreamRequest, WatchPart},
};
use skein_store::{KeyRange, Raft, Record, Revision, StoreClient, StoreError};

/// Serves [`skein_net::Protocol::Store`].
pub(crate) struct StoreHandler {
    raft: Raft,
    store: ReplicaStore,
    requests: Semaphore,
    streams: Semaphore,
    cancel: CancellationToken,
}

impl StoreHandler {
    pub(crate) fn new(raft: Raft, store: ReplicaStore, cancel: CancellationToken) -> Self {
        Self {
            raft,
            store,
            requests: Semaphore::new(limits::SERVED_REQUESTS),
            streams: Semaphore::new(limits::SERVED_STREAMS),
            cancel,
        }
    }

    fn check_replica(&self) -> Result<(), Refusal> {
        if self.store.has_data() { Ok(()) } else { Err(Refusal::NoReplica) }
    }

    /// A watch of a replica that does not follow would be silent rather than late.
    fn check_watchable(&self) -> Result<(), Refusal> {
        if self.store.is_current() { Ok(()) } else { Err(Refusal::NoReplica) }
    }

    async fn answer(&self, request: StoreRequest) -> Result<StoreReply, Refusal> {
        let Ok(_permit) = self.requests.try_acquire() else {
            return Err(StoreError::Overloaded.into());
        };
        match request {
            StoreRequest::Propose(transaction) => {
                self.store.writes.propose(transaction).await.map(StoreReply::Written)
            }
            StoreRequest::ReadIndex => leader_index(&self.raft).await.map(StoreReply::ReadIndex),
            StoreRequest::Write(transaction) => {
                self.check_replica()?;
                Ok(StoreReply::Written(self.store.write(transaction).await?))
            }
            StoreRequest::Get(key, consistency) => {
                self.check_replica()?;
                let (record, revision) = self.store.get(&key, consistency).await?;
                Ok(StoreReply::Object(record, revision))
            }
        }
    }

    async fn serve(&self, header: &Bytes, stream: &mut BoxedStream) -> Result<(), FrameError> {
        let request: StreamRequest = codec::decode(header)?;
        let permit = self.streams.try_acquire();
        let allowed = match &permit {
            Ok(_) => self.check_replica(),
            Err(_) => Err(StoreError::Overloaded.into()),
        };
        match request {
            StreamRequest::List(range, options, consistency) => {
                let listed = match allowed {
                    Ok(()) => self.store.view(consistency).await.map_err(Refusal::Store),
                    Err(refusal) => Err(refusal),
                };
                match listed {
                    Ok(view) => send_list(stream, view.list(&range, &options)).await,
                    Err(refusal) => {
                        let part = ListPart::Refused(refusal);
                        frames::write(stream, &part, limits::STREAM_IDLE).await
                    }
                }
            }
            StreamRequest::Watch(range, from) => {
                let allowed = allowed.and_then(|()| self.check_watchable());
                self.send_watch(stream, allowed, &range, from).await
            }
        }
    }

    async fn send_watch(
        &self,
        stream: &mut BoxedStream,
        allowed: Result<(), Refusal>,
        range: &KeyRange,
        from: Revision,
    ) -> Result<(), FrameError> {
        let watch = match allowed {
            Ok(()) => self.store.watch(range, from).await.map_err(Refusal::Store),
            Err(refusal) => Err(refusal),
        };
        let mut watch = match watch {
            Ok(watch) => watch,
            Err(refusal) => {
                let part = WatchPart::Refused(refusal);
                return frames::write(stream, &part, limits::STREAM_IDLE).await;
            }
        };
        frames::write(stream, &WatchPart::Started, limits::STREAM_IDLE).await?;
        loop {
            let mut hung_up = [0];
            let item = tokio::select! {
                item = watch.next() => item,
                // The watcher never writes: anything to read is its end.
                _ = stream.read(&mut hung_up) => return Ok(()),
            };
            let part = match item {
                Some(Ok(batch)) => WatchPart::Batch(batch),
                Some(Err(error)) => WatchPart::Refused(error.into()),
                None => return Ok(()),
            };
            frames::write(stream, &part, limits::STREAM_IDLE).await?;
        }
    }
}

async fn send_list(stream: &mut BoxedStream, listing: crate::Listing) -> Result<(), FrameError> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    for record in listing.records {
        bytes += Record::size(&record);
        part.push(record);
        if bytes >= limits::PART_BYTES {
            let full = ListPart::Records(std::mem::take(&mut part));
            frames::write(stream, &full, limits::STREAM_IDLE).await?;
            bytes = 0;
        }
    }
    frames::write(stream, &ListPart::Records(part), limits::STREAM_IDLE).await?;
    let end = ListPart::End { revision: listing.revision, remaining: listing.remaining };
    frames::write(stream, &end, limits::STREAM_IDLE).await
}

#[async_trait]
impl Handler for StoreHandler {
    async fn request(&self, _from: NodeId, body: Bytes) -> Result<Bytes, String> {
        let request: StoreRequest = codec::decode(&body).map_err(|error| error.to_string())?;
        let reply = self.answer(request).await;
        codec::encode(&reply).map_err(|error| error.to_string())
    }

    async fn stream(&self, from: NodeId, header: Bytes, mut stream: BoxedStream) {
        let served = self.cancel.run_until_cancelled(self.serve(&header, &mut stream)).await;
        if let Some(Err(error)) = served {
            tracing::debug!(%from, %error, "a peer's list or watch ended");
        }
    }
}
