//! Requests to the API, over a store in memory and hosts that answer at once.
//!
//! A request is a method and a target, then a header a line, an empty line and the body; a line
//! `===` stands between requests.

mod surroundings;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use skein_api::{Api, ApiConfig, Identity, Reply};
use skein_consensus::MemoryStore;
use skein_storage::Storage;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use surroundings::{Cluster, Hosts};

/// Requests of one input.
const REQUESTS: usize = 8;

/// How long answers are read: those of watches go on. The time is virtual.
const READING: Duration = Duration::from_secs(90);

/// What there is before the first request.
const FIRST: &[u8] = include_bytes!("requests/first.txt");

/// Every request is answered, and not with an error of the server's own.
pub(crate) fn request(bytes: &[u8]) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let api = Api::new(
            Storage::new(MemoryStore::new()),
            Arc::new(Hosts),
            Arc::new(Cluster::default()),
            ApiConfig::default(),
            cancel.clone(),
        );
        for request in separate(FIRST) {
            let status = answer(&api, request).await;
            assert_eq!(status, Some(StatusCode::CREATED), "what is there first");
        }
        for request in separate(bytes).take(REQUESTS) {
            answer(&api, request).await;
        }
        cancel.cancel();
    });
}

fn separate(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        let end = bytes.windows(5).position(|window| window == b"\n===\n");
        rest = end.map(|end| &bytes[end + 5..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

/// Sends a request and reads the answer; nothing, if it is no HTTP.
async fn answer(api: &Api, bytes: &[u8]) -> Option<StatusCode> {
    let request = read(bytes)?;
    let shown = format!("{} {}", request.method(), request.uri());
    let identity = Identity {
        user: "fuzz".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..Identity::default()
    };
    let reply: Reply = timeout(READING, api.handle(request, Some(Arc::new(identity))))
        .await
        .unwrap_or_else(|_| panic!("{shown} is not answered"));
    let status = reply.status();
    let mut body = reply.into_body();
    let mut read = Vec::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { break };
            read.extend(frame.into_data().unwrap_or_default());
        }
    };
    // What goes on is read for as long as it says something new.
    timeout(READING, reading).await.ok();
    let is_ours = matches!(status.as_u16(), 503 | 504);
    let said = String::from_utf8_lossy(&read);
    assert!(!status.is_server_error() || is_ours, "{shown} is answered with {status}: {said}");
    Some(status)
}

fn read(bytes: &[u8]) -> Option<Request<Full<Bytes>>> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let first = std::str::from_utf8(line()).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    let headers = request.headers_mut()?;
    loop {
        let line = line();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        headers.append(name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(rest))).ok()
}
