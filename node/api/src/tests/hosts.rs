//! Hosts with a pod that anything can be asked of.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use skein_objects::StatusError;
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    task::JoinSet,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::hook::Hook;
use crate::{
    Api, ByteStream, ConnectRequest, Conversation, Duplex, ExecRequest, HostProxy, ImageLoad,
    LogRequest,
};

/// Answers requests with what they are; `/moved` is moved to `/there`.
async fn serve_http(connection: DuplexStream) {
    let answer = |request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let headers: Vec<&str> = parts.headers.keys().map(|name| name.as_str()).collect();
        let said = json!({"method": parts.method.as_str(), "path": parts.uri.to_string(),
            "headers": headers, "body": String::from_utf8_lossy(&body)});
        let mut reply = Response::new(Full::<Bytes>::from(said.to_string()));
        if parts.uri.path() == "/moved" {
            *reply.status_mut() = StatusCode::FOUND;
            reply.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/there?a=b"));
        }
        Ok::<_, hyper::Error>(reply)
    };
    let mut served = http1::Builder::new();
    served.half_close(true);
    let served = served.serve_connection(TokioIo::new(connection), service_fn(answer)).await;
    served.expect("the connection ends well");
}

/// Hosts that answer at once and remember what they were asked.
#[derive(Default)]
pub(super) struct FakeHosts {
    pub(super) asked: Mutex<Vec<(String, LogRequest)>>,
    pub(super) ran: Mutex<Vec<(String, ExecRequest)>>,
    /// What listens at port 8443 of every pod.
    pub(super) hook: Mutex<Option<Arc<Hook>>>,
    /// The API of every other node.
    pub(super) other: Mutex<Option<Api>>,
    tasks: Mutex<JoinSet<()>>,
}

#[async_trait]
impl HostProxy for FakeHosts {
    async fn pod_logs(&self, node: &str, request: LogRequest) -> Result<ByteStream, StatusError> {
        self.asked.lock().unwrap().push((node.to_owned(), request));
        let lines = ["first\n", "second\n"].map(|line| Ok(Bytes::from(line)));
        Ok(stream::iter(lines).boxed())
    }

    /// A process that says back what it hears and ends with 3 when its input does.
    async fn exec(&self, node: &str, request: ExecRequest) -> Result<Conversation, StatusError> {
        let (waits, vanishes) = (request.stdin, request.command == ["vanish"]);
        self.ran.lock().unwrap().push((node.to_owned(), request));
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut frames = Framed::new(far, LengthDelimitedCodec::new());
        self.tasks.lock().unwrap().spawn(async move {
            frames.send(Bytes::from_static(b"\x01hello ")).await.unwrap();
            while waits && let Some(Ok(frame)) = frames.next().await {
                match frame.split_first() {
                    Some((0, said)) => {
                        let back = Bytes::from([b"\x01", said].concat());
                        frames.send(back).await.unwrap();
                    }
                    Some((255, [0])) => break,
                    _ => {}
                }
            }
            if vanishes {
                return;
            }
            let status = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "3",
                "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
            frames.send(Bytes::from(format!("\x03{status}"))).await.unwrap();
            SinkExt::<Bytes>::close(&mut frames).await.unwrap();
        });
        Ok(Box::new(near))
    }

    /// A pod that serves HTTP at port 80 by saying back what it was asked, echoes at port 7, and
    /// listens nowhere else.
    async fn connect(
        &self,
        _node: &str,
        request: ConnectRequest,
    ) -> Result<Box<dyn Duplex>, StatusError> {
        let (near, far) = tokio::io::duplex(1 << 16);
        if let (8443, Some(hook)) = (request.port, &*self.hook.lock().unwrap()) {
            hook.serve(far);
            return Ok(Box::new(near));
        }
        let mut tasks = self.tasks.lock().unwrap();
        match request.port {
            7 => tasks.spawn(async move {
                let (mut reads, mut writes) = tokio::io::split(far);
                tokio::io::copy(&mut reads, &mut writes).await.unwrap();
                writes.shutdown().await.unwrap();
            }),
            80 => tasks.spawn(serve_http(far)),
            port => {
                let why = format!("nothing listens at port {port}");
                return Err(StatusError::service_unavailable(why));
            }
        };
        Ok(Box::new(near))
    }

    async fn node(&self, node: &str) -> Result<Box<dyn Duplex>, StatusError> {
        let Some(other) = self.other.lock().unwrap().clone() else {
            return Err(StatusError::service_unavailable(format!("host {node:?} cannot be asked")));
        };
        let (near, far) = tokio::io::duplex(1 << 16);
        self.tasks.lock().unwrap().spawn(async move { other.serve_node(far).await });
        Ok(Box::new(near))
    }

    async fn load_image(&self, mut archive: ByteStream) -> Result<Vec<ImageLoad>, StatusError> {
        let mut size = 0;
        while let Some(chunk) = archive.next().await {
            size += chunk.map_err(|error| StatusError::bad_request(error.to_string()))?.len();
        }
        let images = vec![format!("{size} bytes")];
        Ok(vec![ImageLoad { node: "h1".to_owned(), images, error: None }])
    }
}
