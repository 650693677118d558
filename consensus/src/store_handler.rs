//! Serves this node's store to its peers.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future::join_all};
use skein_net::{BoxedStream, Handler, NodeId, codec};
use tokio::{io::AsyncReadExt, sync::Semaphore, time::timeout};

use crate::{
    frames::{self, FrameError},
    limits,
    parts::Parts,
    reads::leader_index,
    recovery::respond::Responder,
    replica_store::ReplicaStore,
    store_protocol::{ListPart, Refusal, StoreReply, StoreRequest, StreamRequest, WatchPart},
};
use skein_store::{
    Consistency, Epoch, KeyRange, ListOptions, Listing, Revision, StoreClient, StoreError,
};

/// Serves [`skein_net::Protocol::Store`].
pub(crate) struct StoreHandler {
    parts: Parts,
    store: ReplicaStore,
    recovery: Responder,
    requests: Semaphore,
    streams: Semaphore,
}

impl StoreHandler {
    pub(crate) fn new(store: ReplicaStore, recovery: Responder) -> Self {
        Self {
            parts: store.parts.clone(),
            store,
            recovery,
            requests: Semaphore::new(limits::SERVED_REQUESTS),
            streams: Semaphore::new(limits::SERVED_STREAMS),
        }
    }

    fn check_replica(&self) -> Result<(), Refusal> {
        if self.store.has_data() { Ok(()) } else { Err(Refusal::NoReplica) }
    }

    /// A watch of a replica that does not follow would be silent rather than late.
    fn check_watchable(&self) -> Result<(), Refusal> {
        if self.store.is_current() { Ok(()) } else { Err(Refusal::NoReplica) }
    }

    /// Lets a sender of the same epoch pass, and one whose replica belongs to none.
    fn check_epoch(&self, from: NodeId, epoch: Option<Epoch>) -> Result<(), Refusal> {
        let allowed = match epoch {
            Some(epoch) => self.parts.meet(from, epoch),
            None => !self.parts.epochs.is_outdated(),
        };
        if allowed { Ok(()) } else { Err(Refusal::OtherEpoch(self.parts.epochs.current())) }
    }

    async fn answer(&self, from: NodeId, request: StoreRequest) -> Result<StoreReply, Refusal> {
        let Ok(_permit) = self.requests.try_acquire() else {
            return Err(StoreError::Overloaded.into());
        };
        match request {
            StoreRequest::Propose(transactions) => {
                let each = transactions.into_iter().map(|one| in_time(self.store.propose(one)));
                Ok(StoreReply::Proposed(join_all(each).await))
            }
            StoreRequest::ReadIndex => {
                leader_index(&self.parts.raft).await.map(StoreReply::ReadIndex)
            }
            StoreRequest::Write(transaction) => {
                self.check_replica()?;
                let written = in_time(async { Ok(self.store.write(transaction).await?) });
                written.await.map(StoreReply::Written)
            }
            StoreRequest::Get(key, consistency) => {
                self.check_replica()?;
                let read = in_time(async { Ok(self.store.get(&key, consistency).await?) });
                read.await.map(|(record, revision)| StoreReply::Object(record, revision))
            }
            StoreRequest::Survey => Ok(StoreReply::Report(Box::new(self.recovery.report()))),
            StoreRequest::Order(order) => {
                self.recovery.obey(order).await?;
                self.recovery.restart_soon();
                Ok(StoreReply::Ordered)
            }
            StoreRequest::Leave => self.recovery.leave(from).await,
        }
    }

    async fn serve(
        &self,
        from: NodeId,
        header: &Bytes,
        stream: &mut BoxedStream,
    ) -> Result<(), FrameError> {
        let (epoch, request): (Option<Epoch>, StreamRequest) = codec::decode(header)?;
        let permit = self.streams.try_acquire();
        let allowed = match &permit {
            Ok(_) => self.check_epoch(from, epoch).and_then(|()| self.check_replica()),
            Err(_) => Err(StoreError::Overloaded.into()),
        };
        match request {
            StreamRequest::List(range, page, consistency) => {
                self.send_list(stream, allowed, &range, page.options(None), consistency).await
            }
            StreamRequest::ListAt(range, page, consistency, at) => {
                self.send_list(stream, allowed, &range, page.options(Some(at)), consistency).await
            }
            StreamRequest::Watch(range, from) => {
                let allowed = allowed.and_then(|()| self.check_watchable());
                self.send_watch(stream, allowed, &range, from).await
            }
        }
    }

    async fn send_list(
        &self,
        stream: &mut BoxedStream,
        allowed: Result<(), Refusal>,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<(), FrameError> {
        let listed = match allowed {
            Ok(()) => {
                in_time(async { Ok(self.store.list(range, options, consistency).await?) }).await
            }
            Err(refusal) => Err(refusal),
        };
        match listed {
            Ok(listing) => send_listing(stream, listing).await,
            Err(refusal) => {
                let part = ListPart::Refused(refusal);
                frames::write(stream, &part, limits::STREAM_IDLE).await
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

/// What a peer asked for, no longer than it waits for the answer. A write that went on without
/// anybody waiting might reach the log when its request id has long been forgotten.
async fn in_time<T>(work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    timeout(limits::ATTEMPT_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable("the peer did not get it done in time".to_owned()).into())
    })
}

async fn send_listing(stream: &mut BoxedStream, listing: Listing) -> Result<(), FrameError> {
    let (mut part, mut bytes) = (Vec::new(), 0);
    for record in listing.records {
        bytes += record.size();
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
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        let (epoch, request): (Option<Epoch>, StoreRequest) =
            codec::decode(&body).map_err(|error| error.to_string())?;
        let allowed =
            if request.concerns_every_epoch() { Ok(()) } else { self.check_epoch(from, epoch) };
        let reply = match allowed {
            Ok(()) => self.answer(from, request).await,
            Err(refusal) => Err(refusal),
        };
        codec::encode(&reply).map_err(|error| error.to_string())
    }

    async fn stream(&self, from: NodeId, header: Bytes, mut stream: BoxedStream) {
        let serving = self.serve(from, &header, &mut stream);
        let served = self.parts.cancel.run_until_cancelled(serving).await;
        if let Some(Err(error)) = served {
            tracing::debug!(%from, %error, "a peer's list or watch ended");
        }
    }
}
