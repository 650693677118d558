//! One image archive to every living host at once, at the pace of the slowest.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use skein_api::{ByteStream, ImageLoad};
use skein_net::{NodeId, Protocol};
use skein_objects::StatusError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Hosts, OPEN_DEADLINE, serve};

/// Chunks on their way to one host.
const CHUNKS_IN_FLIGHT: usize = 16;

/// How long a host may take for one chunk before it is given up.
const CHUNK_DEADLINE: Duration = Duration::from_secs(30);

/// How long a host may take to unpack the archive once it has all of it.
const LOAD_DEADLINE: Duration = Duration::from_secs(300);

/// Longest answer of a host.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// A chunk, or that the archive broke off.
type Chunk = io::Result<Bytes>;

/// The way to one host, until it is given up.
type Target = Option<mpsc::Sender<Chunk>>;

/// Sends `archive` to every living host and gathers what came of it.
pub(super) async fn load(
    hosts: &Hosts,
    mut archive: ByteStream,
) -> Result<Vec<ImageLoad>, StatusError> {
    let mut loads = JoinSet::new();
    let mut targets = Vec::new();
    for (id, name) in hosts.running_pods() {
        let (sender, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
        targets.push(Some(sender));
        let chunks = ReceiverStream::new(chunks).boxed();
        if name == hosts.node_name {
            let agent = hosts.agent.clone();
            loads.spawn(async move { serve::load_locally(&name, &agent, chunks).await });
        } else {
            let transport = hosts.transport.clone();
            loads.spawn(async move {
                let loaded = load_remotely(&*transport, id, chunks).await;
                loaded.unwrap_or_else(|error| ImageLoad {
                    node: name,
                    images: Vec::new(),
                    error: Some(error.to_string()),
                })
            });
        }
    }
    let read = feed(&mut archive, &mut targets).await;
    drop(targets);
    let mut results = Vec::new();
    while let Some(done) = loads.join_next().await {
        results.push(done.map_err(StatusError::internal)?);
    }
    read.map_err(|error| StatusError::bad_request(format!("the archive broke off: {error}")))?;
    results.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(results)
}

/// Gives every chunk to every target; one that hangs or has ended is given up.
async fn feed(archive: &mut ByteStream, targets: &mut [Target]) -> io::Result<()> {
    loop {
        let chunk = match archive.try_next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(error) => {
                for sender in targets.iter().flatten() {
                    let broken = io::Error::new(error.kind(), "the archive broke off");
                    // A target that hangs up first needs no telling.
                    drop(sender.send_timeout(Err(broken), CHUNK_DEADLINE).await);
                }
                return Err(error);
            }
        };
        for target in targets.iter_mut() {
            if let Some(sender) = target
                && sender.send_timeout(Ok(chunk.clone()), CHUNK_DEADLINE).await.is_err()
            {
                *target = None;
            }
        }
    }
}

async fn load_remotely(
    transport: &dyn skein_net::Transport,
    id: NodeId,
    mut chunks: ByteStream,
) -> anyhow::Result<ImageLoad> {
    let mut stream = transport.open(id, Protocol::Blob, Bytes::new(), OPEN_DEADLINE).await?;
    while let Some(chunk) = chunks.try_next().await? {
        stream.write_all(&chunk).await?;
    }
    stream.shutdown().await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(MAX_ANSWER_BYTES);
    tokio::time::timeout(LOAD_DEADLINE, limited.read_to_end(&mut answer)).await??;
    Ok(serde_json::from_slice(&answer)?)
}
