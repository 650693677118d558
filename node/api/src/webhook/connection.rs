//! Connections to webhooks: to an address, or to a pod behind a Service; TLS and HTTP/1.1 over them.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rand::seq::SliceRandom;
use rustls::ClientConfig;
use skein_consensus::Consistency;
use skein_objects::WebhookAddress;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Fault, Place, Webhooks};
use crate::{
    hosts::{ConnectRequest, Duplex},
    limits,
    media::JSON,
    verbs::{node_of, ready_endpoints},
};

impl Webhooks {
    /// Opens what bytes go over.
    pub(super) async fn reach(
        &self,
        address: &WebhookAddress,
        place: &Place,
    ) -> Result<Box<dyn Duplex>, Fault> {
        match address {
            WebhookAddress::Url(_) => {
                let stream = TcpStream::connect((&*place.host, place.port)).await;
                Ok(Box::new(stream.map_err(|error| Fault::Unreachable(error.to_string()))?))
            }
            WebhookAddress::Service { namespace, name, port, .. } => {
                self.reach_service(namespace, name, *port).await
            }
        }
    }

    /// Connects to one of the pods of a Service, any of them; to another where one is not there. The
    /// nearest replica knows them well enough, also without a quorum.
    async fn reach_service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<Box<dyn Duplex>, Fault> {
        let port = port.to_string();
        let asked = (name, Some(&*port));
        let mut all = ready_endpoints(&self.storage, namespace, asked, Consistency::Any).await?;
        all.shuffle(&mut rand::rng());
        let mut fault = Fault::Unreachable("no pod is ready".to_owned());
        for (pod, port) in all.into_iter().take(limits::WEBHOOK_ENDPOINTS) {
            let node = node_of(&pod)?;
            let request = ConnectRequest { pod_uid: pod.metadata.uid.unwrap_or_default(), port };
            match self.hosts.connect(&node, request).await {
                Ok(stream) => return Ok(stream),
                Err(error) => fault = error.into(),
            }
        }
        Err(fault)
    }
}

/// A connection that takes one request after the other. Nothing goes over it between two.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// What moves its bytes while it is polled. It never ends: how the connection ended, requests
    /// learn themselves.
    driver: Pin<Box<dyn Future<Output = Infallible> + Send>>,
}

impl Connection {
    pub(super) async fn open(
        stream: Box<dyn Duplex>,
        tls: &Arc<ClientConfig>,
        place: &Place,
    ) -> Result<Self, Fault> {
        let connector = TlsConnector::from(tls.clone());
        let stream = connector.connect(place.name.clone(), stream).await.map_err(Fault::Tls)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(Fault::Exchange)?;
        let driver = Box::pin(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a webhook broke");
            }
            std::future::pending().await
        });
        Ok(Self { sender, driver })
    }

    /// Posts a body and reads the answer to its end.
    pub(super) async fn post(&mut self, place: &Place, body: Bytes) -> Result<Bytes, Fault> {
        let Self { sender, driver } = self;
        tokio::select! {
            biased;
            answer = exchange(sender, place, body) => answer,
            never = driver => match never {},
        }
    }
}

async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    place: &Place,
    body: Bytes,
) -> Result<Bytes, Fault> {
    sender.ready().await.map_err(Fault::Exchange)?;
    let json = HeaderValue::from_static(JSON);
    let request = Request::builder()
        .method(Method::POST)
        .uri(&*place.path)
        .header(header::HOST, &*place.authority)
        .header(header::CONTENT_TYPE, &json)
        .header(header::ACCEPT, &json)
        .body(Full::new(body))
        .map_err(|error| Fault::Address(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(Fault::Exchange)?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), limits::WEBHOOK_ANSWER_BYTES).collect().await;
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Fault::TooLong),
        Err(error) => return Err(Fault::Unreachable(format!("the answer broke off: {error}"))),
    };
    if code.is_success() {
        return Ok(body);
    }
    let said = String::from_utf8_lossy(&body).chars().take(limits::WEBHOOK_SAID).collect();
    Err(Fault::Refused { code, said })
}
