//! The client of webhooks, against one that listens on loopback.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use skein_consensus::MemoryStore;
use skein_objects::{Webhook, WebhookAddress};
use skein_storage::Storage;

use super::{
    harness::DEADLINE,
    hook::{Hook, json_reply},
    hosts::FakeHosts,
    pki::Authority,
};
use crate::{limits, webhook::Webhooks};

/// How long a webhook may take that never answers.
const SHORT: Duration = Duration::from_millis(100);

fn webhooks() -> Webhooks {
    Webhooks::new(Storage::new(MemoryStore::new()), Arc::new(FakeHosts::default()))
}

fn at(port: u16, ca_bundle: &str) -> Webhook {
    let address = WebhookAddress::Url(format!("https://localhost:{port}/convert"));
    Webhook { address, ca_bundle: ca_bundle.as_bytes().to_vec() }
}

/// A webhook that answers with what `answer` gives, and how to ask it.
async fn asked(
    answer: impl Fn() -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
) -> (Arc<Hook>, Webhook) {
    let authority = Authority::new();
    let hook = Hook::new(authority.serves(&["localhost"]));
    hook.answer(move |_| answer());
    let webhook = at(hook.listen().await, &authority.certificate.pem());
    (hook, webhook)
}

async fn call(webhooks: &Webhooks, webhook: &Webhook) -> Result<Bytes, String> {
    let answer = webhooks.call(webhook, Bytes::from_static(b"{}"), DEADLINE).await;
    answer.map_err(|error| error.to_string())
}

#[tokio::test]
async fn calls_share_a_connection_and_open_another_when_it_ends() {
    let (hook, webhook) = asked(|| Some(json_reply(&json!({"a": 1})))).await;
    let webhooks = webhooks();
    for _ in 0..3 {
        assert_eq!(call(&webhooks, &webhook).await.unwrap(), "{\"a\":1}");
    }
    assert_eq!(hook.connections.load(Ordering::Relaxed), 1);
    let WebhookAddress::Url(url) = &webhook.address else { panic!("a service") };
    let host = url.trim_start_matches("https://").trim_end_matches("/convert");
    assert_eq!(hook.asked.lock().unwrap()[0], ("/convert".to_owned(), host.to_owned()));

    let closing = || {
        let mut reply = json_reply(&json!({}));
        reply.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        Some(reply)
    };
    hook.answer(move |_| closing());
    for _ in 0..2 {
        call(&webhooks, &webhook).await.unwrap();
    }
    assert_eq!(hook.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn only_whom_the_bundle_vouches_for_is_believed() {
    let authority = Authority::new();
    let hook = Hook::new(authority.serves(&["localhost"]));
    let port = hook.listen().await;
    hook.answer(|_| Some(json_reply(&json!({}))));
    let webhooks = webhooks();
    let good = authority.certificate.pem();
    call(&webhooks, &at(port, &good)).await.unwrap();
    let other = Authority::new().certificate.pem();
    for (bundle, why) in [
        (&*other, "tls: "),
        ("nonsense", "unable to load root certificates: unable to parse bytes as PEM block"),
        // Whether or not this host trusts anybody, it does not trust a test.
        ("", ""),
    ] {
        let refused = call(&webhooks, &at(port, bundle)).await.unwrap_err();
        let expected = format!("Post \"https://localhost:{port}/convert\": {why}");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    let elsewhere = Webhook {
        address: WebhookAddress::Url(format!("https://127.0.0.1:{port}/")),
        ..at(port, &good)
    };
    let refused = call(&webhooks, &elsewhere).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_is_signed_by_itself_may_be_its_own_bundle() {
    let (pem, tls) = Authority::serves_itself(&["localhost"]);
    let hook = Hook::new(tls);
    hook.answer(|_| Some(json_reply(&json!({}))));
    let port = hook.listen().await;
    let webhooks = webhooks();
    call(&webhooks, &at(port, &pem)).await.unwrap();
    let elsewhere = Webhook {
        address: WebhookAddress::Url(format!("https://127.0.0.1:{port}/")),
        ..at(port, &pem)
    };
    let refused = call(&webhooks, &elsewhere).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn who_does_not_answer_in_time_holds_up_nobody_else() {
    let (_slow_hook, slow) = asked(|| None).await;
    let (_hook, quick) = asked(|| Some(json_reply(&json!({})))).await;
    let webhooks = webhooks();
    let body = Bytes::from_static(b"{}");
    let slow_calls: Vec<_> =
        (0..2 * limits::WEBHOOK_CALLS).map(|_| webhooks.call(&slow, body.clone(), SHORT)).collect();
    let (slow, quick) =
        tokio::join!(futures::future::join_all(slow_calls), call(&webhooks, &quick));
    quick.unwrap();
    for answer in slow {
        let why = answer.unwrap_err().to_string();
        assert!(why.ends_with("context deadline exceeded"), "{why}");
    }
}

#[tokio::test]
async fn what_is_no_success_or_too_long_is_an_error() {
    let (_hook, broken) = asked(|| {
        let mut reply = Response::new(Full::from("out of order"));
        *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Some(reply)
    })
    .await;
    let why = call(&webhooks(), &broken).await.unwrap_err();
    assert!(
        why.ends_with("the server responded with the status code 500: \"out of order\""),
        "{why}"
    );
    let (_hook, chatty) =
        asked(|| Some(Response::new(Full::from(vec![b' '; limits::WEBHOOK_ANSWER_BYTES + 1]))))
            .await;
    let why = call(&webhooks(), &chatty).await.unwrap_err();
    assert!(why.ends_with("the answer is longer than 16777216 bytes"), "{why}");
}

#[tokio::test]
async fn who_is_not_there_is_an_error() {
    let (hook, webhook) = asked(|| Some(json_reply(&json!({})))).await;
    hook.hang_up();
    let refused = async {
        while call(&webhooks(), &webhook).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("it is refused in time");
    let nowhere = Webhook {
        address: WebhookAddress::Service {
            namespace: "default".to_owned(),
            name: "hook".to_owned(),
            port: 443,
            path: "/".to_owned(),
        },
        ..webhook
    };
    let why = call(&webhooks(), &nowhere).await.unwrap_err();
    assert_eq!(why, "Post \"https://hook.default.svc:443/\": services \"hook\" not found");
}
