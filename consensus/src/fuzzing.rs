//! For the fuzz targets of `skein-fuzz`, which reach what is private here through nothing else. Not
//! part of the interface.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use skein_net::{BoxedStream, codec};
use skein_store::Epoch;
use tokio::io::AsyncReadExt;

use crate::{
    network::{Reply, Request},
    snapshot,
    store_protocol::{ListPart, Refusal, StoreReply, StoreRequest, StreamRequest, WatchPart},
};

/// Reads a message and writes it again; nothing, if it is none.
pub type Rewrite = fn(&[u8]) -> Option<Bytes>;

/// Every message between replicas, in both directions.
pub const MESSAGES: [Rewrite; 8] = [
    rewritten::<(Epoch, Request)>,
    rewritten::<Reply>,
    rewritten::<snapshot::Header>,
    rewritten::<(Option<Epoch>, StoreRequest)>,
    rewritten::<(Option<Epoch>, StreamRequest)>,
    rewritten::<Result<StoreReply, Refusal>>,
    rewritten::<ListPart>,
    rewritten::<WatchPart>,
];

fn rewritten<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Bytes> {
    codec::encode(&codec::decode::<T>(bytes).ok()?).ok()
}

/// Receives a snapshot and sends it on; nothing, if it does not arrive whole.
pub async fn snapshot(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut stream: BoxedStream =
        Box::new(tokio::io::join(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink()));
    let state = snapshot::receive(&mut stream).await.ok()?;
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let mut far: BoxedStream = Box::new(far);
    let sending = async move { snapshot::send(&mut far, &state).await.ok() };
    let mut sent = Vec::new();
    let (is_sent, is_read) = tokio::join!(sending, near.read_to_end(&mut sent));
    (is_sent.is_some() && is_read.is_ok()).then_some(sent)
}
