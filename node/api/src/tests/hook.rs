//! A webhook that converts, over real TLS, and does as it is told.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// What it answers a review with; nothing, ever, where there is no answer.
type Answering = Arc<dyn Fn(&Value) -> Option<Response<Full<Bytes>>> + Send + Sync>;

/// A webhook, and what it was asked.
pub(super) struct Hook {
    tls: TlsAcceptor,
    answering: Mutex<Answering>,
    reviews: Mutex<Vec<Value>>,
    /// Paths and hosts of requests.
    pub(super) asked: Mutex<Vec<(String, String)>>,
    /// Connections that were taken.
    pub(super) connections: AtomicUsize,
    tasks: Mutex<JoinSet<()>>,
}

impl Hook {
    /// One that converts as it should.
    pub(super) fn new(tls: Arc<ServerConfig>) -> Arc<Self> {
        let hook = Self {
            tls: TlsAcceptor::from(tls),
            answering: Mutex::new(Arc::new(|review| Some(success(review, converted(review))))),
            reviews: Mutex::default(),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            tasks: Mutex::default(),
        };
        Arc::new(hook)
    }

    /// Answers otherwise from now on.
    pub(super) fn answer(
        &self,
        answering: impl Fn(&Value) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
    ) {
        *self.answering.lock().unwrap() = Arc::new(answering);
    }

    /// How many objects each review asked for since this was asked last.
    pub(super) fn reviewed(&self) -> Vec<usize> {
        let reviews = std::mem::take(&mut *self.reviews.lock().unwrap());
        reviews.iter().map(|review| list(&review["request"]["objects"]).len()).collect()
    }

    /// Listens on loopback; where.
    pub(super) async fn listen(self: &Arc<Self>) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hook = self.clone();
        self.tasks.lock().unwrap().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                hook.serve(stream);
            }
        });
        port
    }

    /// Serves a connection.
    pub(super) fn serve<S>(self: &Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let hook = self.clone();
        self.tasks.lock().unwrap().spawn(async move {
            let Ok(stream) = hook.tls.accept(stream).await else { return };
            let answer = service_fn(|request| hook.respond(request));
            // It ends with an error where the other side goes away.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }

    /// Ends every connection and listens no more.
    pub(super) fn hang_up(&self) {
        self.tasks.lock().unwrap().abort_all();
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let host = parts.headers["host"].to_str().unwrap().to_owned();
        self.asked.lock().unwrap().push((parts.uri.path().to_owned(), host));
        let review = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let answering = self.answering.lock().unwrap().clone();
        let answer = answering(&review);
        self.reviews.lock().unwrap().push(review);
        match answer {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The answer to a review with these objects.
pub(super) fn success(review: &Value, objects: Vec<Value>) -> Response<Full<Bytes>> {
    let response = json!({"uid": review["request"]["uid"], "convertedObjects": objects,
        "result": {"status": "Success"}});
    json_reply(&json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "response": response}))
}

pub(super) fn json_reply(body: &Value) -> Response<Full<Bytes>> {
    Response::new(Full::from(body.to_string()))
}

/// The objects of a review in the version it asks for: `spec.cronSpec` of `v1beta1` is `spec.minute`
/// and `spec.hour` of `v1`.
pub(super) fn converted(review: &Value) -> Vec<Value> {
    let to = &review["request"]["desiredAPIVersion"];
    let convert = |object: &Value| {
        let mut object = object.clone();
        assert_ne!(object["apiVersion"], *to, "what has the version is not sent");
        object["apiVersion"] = to.clone();
        let Some(spec) = object["spec"].as_object_mut() else { return object };
        if to == "stable.example.com/v1" {
            if let Some(text) = spec.remove("cronSpec") {
                let (minute, hour) = text.as_str().unwrap().split_once(' ').unwrap();
                spec.extend([
                    ("minute".to_owned(), json!(minute)),
                    ("hour".to_owned(), json!(hour)),
                ]);
            }
        } else if let (Some(minute), Some(hour)) = (spec.remove("minute"), spec.remove("hour")) {
            let text = format!("{} {}", minute.as_str().unwrap(), hour.as_str().unwrap());
            spec.insert("cronSpec".to_owned(), json!(text));
        }
        object
    };
    list(&review["request"]["objects"]).iter().map(convert).collect()
}
