//! Custom resources whose versions a webhook makes, from the definition to the last answer.

use std::sync::{Arc, atomic::Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    harness::{Api, Client},
    hook::{Hook, converted, success},
    pki::Authority,
};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NAME: &str = "crontabs.stable.example.com";
const NEW: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";
const OLD: &str = "/apis/stable.example.com/v1beta1/namespaces/default/crontabs";
const MERGE: &str = "application/merge-patch+json";

fn definition(client_config: &Value) -> Value {
    let text = || json!({"type": "string"});
    let version = |name: &str, storage: bool, members: Value| {
        let mut spec = json!({"type": "object", "properties": members});
        spec["properties"]["replicas"] = json!({"type": "integer"});
        let status = json!({"type": "object", "properties": {"replicas": {"type": "integer"}}});
        let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
        let scale = json!({"specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas"});
        json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}, "scale": scale}})
    };
    let mut old = version("v1beta1", false, json!({"cronSpec": text()}));
    old["selectableFields"] = json!([{"jsonPath": ".spec.cronSpec"}]);
    old["additionalPrinterColumns"] =
        json!([{"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"}]);
    let new = version("v1", true, json!({"minute": text(), "hour": text()}));
    let conversion = json!({"strategy": "Webhook", "webhook": {
        "clientConfig": client_config, "conversionReviewVersions": ["v1"]}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab"}, "versions": [old, new],
            "conversion": conversion},
    })
}

fn old(name: &str, spec: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1beta1", "kind": "CronTab",
        "metadata": {"name": name}, "spec": {"cronSpec": spec, "replicas": 1}})
}

fn new(name: &str, minute: &str) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
        "spec": {"minute": minute, "hour": "*", "replicas": 1}})
}

fn bundle(authority: &Authority) -> Value {
    json!(BASE64_STANDARD.encode(authority.certificate.pem()))
}

/// Makes the definition and accepts its names.
async fn define(client: &Client, client_config: &Value) {
    let mut accepted = client.post(DEFINITIONS, &definition(client_config)).await.ok();
    accepted["status"]["acceptedNames"] = accepted["spec"]["names"].clone();
    accepted["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    client.put(&format!("{DEFINITIONS}/{NAME}/status"), &accepted).await.ok();
}

/// An API with the definition, and its webhook.
async fn defined() -> (Api, Client, Arc<Hook>) {
    let (api, authority) = (Api::with_namespace().await, Authority::new());
    let (client, hook) = (api.client(), Hook::new(authority.serves(&["localhost"])));
    let url = format!("https://localhost:{}/convert", hook.listen().await);
    define(&client, &json!({"url": url, "caBundle": bundle(&authority)})).await;
    (api, client, hook)
}

fn out_of_order(_: &Value) -> Option<Response<Full<bytes::Bytes>>> {
    let mut reply = Response::new(Full::from("out of order"));
    *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    Some(reply)
}

#[tokio::test]
async fn every_verb_of_a_version_sees_and_says_what_that_version_does() {
    let (_api, client, _hook) = defined().await;
    let made = client.post(OLD, &old("a", "5 *")).await.ok();
    assert_eq!(made["spec"], json!({"cronSpec": "5 *", "replicas": 1}));
    let stored = client.get(&format!("{NEW}/a")).await.ok();
    assert_eq!(stored["spec"], json!({"minute": "5", "hour": "*", "replicas": 1}));
    assert_eq!(stored["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(stored["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);

    let one = format!("{OLD}/a");
    let mut read = client.get(&one).await.ok();
    assert_eq!((&read["apiVersion"], &read["spec"]), (&made["apiVersion"], &made["spec"]));
    read["spec"]["cronSpec"] = json!("6 *");
    let updated = client.put(&one, &read).await.ok();
    assert_eq!(
        (&updated["spec"]["cronSpec"], &updated["metadata"]["generation"]),
        (&json!("6 *"), &json!(2))
    );
    assert_eq!(client.get(&format!("{NEW}/a")).await.ok()["spec"]["minute"], "6");
    let patch = json!({"spec": {"cronSpec": "7 *"}});
    let patched = client.send_json("PATCH", &one, MERGE, &patch).await.ok();
    assert_eq!(patched["spec"]["cronSpec"], "7 *");
    assert_eq!(client.get(&format!("{NEW}/a")).await.ok()["spec"]["minute"], "7");

    let apply = "application/apply-patch+yaml";
    for (name, code) in [("a", 200), ("b", 201)] {
        let path = format!("{OLD}/{name}?fieldManager=me&force=true");
        let applied = client.send_json("PATCH", &path, apply, &old(name, "8 *")).await;
        assert_eq!(applied.code, code, "{}", applied.text());
        assert_eq!(applied.ok()["spec"]["cronSpec"], "8 *");
        assert_eq!(client.get(&format!("{NEW}/{name}")).await.ok()["spec"]["minute"], "8");
    }

    let status = json!({"status": {"replicas": 4}});
    let written = client.send_json("PATCH", &format!("{one}/status"), MERGE, &status).await.ok();
    assert_eq!(
        (&written["status"]["replicas"], &written["spec"]["cronSpec"]),
        (&json!(4), &json!("8 *"))
    );
    let scale = format!("{one}/scale");
    let replicas = json!({"spec": {"replicas": 3}});
    client.send_json("PATCH", &scale, MERGE, &replicas).await.ok();
    assert_eq!(client.get(&scale).await.ok()["spec"]["replicas"], 3);
    assert_eq!(client.get(&format!("{NEW}/a")).await.ok()["spec"]["replicas"], 3);

    let finalizers = json!({"metadata": {"finalizers": ["example.com/a"]}});
    client.send_json("PATCH", &one, MERGE, &finalizers).await.ok();
    let marked = client.delete(&one).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    assert_eq!(marked["spec"]["cronSpec"], "8 *");
    let none = json!({"metadata": {"finalizers": null}});
    client.send_json("PATCH", &one, MERGE, &none).await.ok();
    assert_eq!(client.get(&one).await.code, 404);
}

#[tokio::test]
async fn lists_are_converted_in_one_call_and_then_selected_from() {
    let (_api, client, hook) = defined().await;
    for minute in 1..=5 {
        client.post(NEW, &new(&format!("w{minute}"), &minute.to_string())).await.ok();
    }
    assert_eq!(hook.reviewed(), [0_usize; 0]);
    let list = client.get(OLD).await.ok();
    assert_eq!(
        (&list["apiVersion"], &list["kind"]),
        (&json!("stable.example.com/v1beta1"), &json!("CronTabList"))
    );
    let specs: Vec<&Value> =
        list["items"].as_array().unwrap().iter().map(|one| &one["spec"]["cronSpec"]).collect();
    assert_eq!(specs, ["1 *", "2 *", "3 *", "4 *", "5 *"]);
    assert_eq!(hook.reviewed(), [5]);
    let selected = client.get(&format!("{OLD}?fieldSelector=spec.cronSpec%3D2%20*")).await.ok();
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    assert_eq!(hook.reviewed(), [5]);
    let named = client.get(&format!("{OLD}?fieldSelector=metadata.name%3Dw3")).await.ok();
    assert_eq!(named["items"][0]["spec"]["cronSpec"], "3 *");
    assert_eq!(hook.reviewed(), [1], "the others are not looked at");
    let table = client.get_as(OLD, "application/json;as=Table;v=v1;g=meta.k8s.io").await.ok();
    assert_eq!(table["rows"][1]["cells"], json!(["w2", "2 *"]));
    let page = client.get(&format!("{OLD}?limit=2")).await.ok();
    assert_eq!(page["metadata"]["remainingItemCount"], 3);
    let deleted = client.delete(OLD).await.ok();
    assert_eq!(deleted["items"][4]["spec"]["cronSpec"], "5 *");
    assert_eq!(client.get(NEW).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn who_asks_for_the_version_stored_never_waits_for_the_webhook() {
    let (_api, client, hook) = defined().await;
    hook.answer(out_of_order);
    let one = format!("{NEW}/a");
    client.post(NEW, &new("a", "5")).await.ok();
    let patch = json!({"spec": {"minute": "6"}, "metadata": {"finalizers": ["example.com/a"]}});
    client.send_json("PATCH", &one, MERGE, &patch).await.ok();
    assert_eq!(client.get(NEW).await.ok()["items"][0]["spec"]["minute"], "6");
    assert_eq!(hook.reviewed(), [0_usize; 0]);

    // A deletion needs no version: who asks in another one is told that it is done.
    let deleted = client.delete(&format!("{OLD}/a")).await.ok();
    assert_eq!((&deleted["kind"], &deleted["status"]), (&json!("Status"), &json!("Success")));
    let marked = client.get(&one).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
}

#[tokio::test]
async fn a_webhook_that_fails_or_lies_is_an_error_of_whoever_asked() {
    let (_api, client, hook) = defined().await;
    client.post(NEW, &new("a", "5")).await.ok();
    let before = client.get(&format!("{NEW}/a")).await.ok();
    let failed = "conversion webhook for stable.example.com/v1, Kind=CronTab failed: Post";
    let renamed = |review: &Value| {
        let mut objects = converted(review);
        objects[0]["metadata"]["name"] = json!("b");
        Some(success(review, objects))
    };
    type Answering = fn(&Value) -> Option<Response<Full<bytes::Bytes>>>;
    let cases: [(Answering, &str); 3] = [
        (out_of_order, failed),
        (renamed, "returned invalid converted object at index 0: must have the same name: a != b"),
        (|review| Some(success(review, Vec::new())), "returned 0 objects, expected 1"),
    ];
    for (answering, why) in cases {
        hook.answer(answering);
        let patch = json!({"spec": {"replicas": 7}});
        for answer in [
            client.get(&format!("{OLD}/a")).await,
            client.get(OLD).await,
            client.get(&format!("{OLD}/a/scale")).await,
            client.send_json("PATCH", &format!("{OLD}/a"), MERGE, &patch).await,
        ] {
            assert_eq!(answer.code, 500, "{}", answer.text());
            let status = answer.json();
            assert_eq!(status["reason"], "InternalError");
            assert!(status["message"].as_str().unwrap().contains(why), "{status}");
        }
        let mut watch = client.watch(&format!("{OLD}?watch=true&resourceVersion=1")).await;
        let line = watch.next().await.unwrap();
        assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(500)));
        assert_eq!(watch.next().await, None);
    }
    assert_eq!(client.post(OLD, &old("c", "1 *")).await.code, 500);
    assert_eq!(client.get(NEW).await.ok()["items"], json!([before]), "nothing was written");
}

#[tokio::test]
async fn watchers_share_conversions_and_a_webhook_that_hangs_holds_up_only_those_who_need_it() {
    let (_api, client, hook) = defined().await;
    let watch = async |path: &str, selector: &str| {
        client.watch(&format!("{path}?watch=true&resourceVersion=1&{selector}")).await
    };
    let mut watchers = Vec::new();
    for selector in ["", "", "labelSelector=a", "fieldSelector=metadata.name%3Da"] {
        watchers.push(watch(OLD, selector).await);
    }
    let mut object = new("a", "5");
    object["metadata"]["labels"] = json!({"a": "b"});
    client.post(NEW, &object).await.ok();
    let patch = json!({"spec": {"minute": "6"}});
    client.send_json("PATCH", &format!("{NEW}/a"), MERGE, &patch).await.ok();
    for watcher in &mut watchers {
        for (kind, spec) in [("ADDED", "5 *"), ("MODIFIED", "6 *")] {
            let line = watcher.next().await.unwrap();
            assert_eq!(
                (&line["type"], &line["object"]["spec"]["cronSpec"]),
                (&json!(kind), &json!(spec))
            );
            assert_eq!(line["object"]["apiVersion"], "stable.example.com/v1beta1");
        }
    }
    assert_eq!(hook.reviewed().into_iter().sum::<usize>(), 2, "each state once");

    hook.answer(|_| None);
    let mut stored = watch(NEW, "").await;
    client.delete(&format!("{NEW}/a")).await.ok();
    for kind in ["ADDED", "MODIFIED", "DELETED"] {
        assert_eq!(stored.next_event().await, (kind.to_owned(), "a".to_owned()));
    }
    client.post(NEW, &new("b", "5")).await.ok();
    assert_eq!(stored.next_event().await, ("ADDED".to_owned(), "b".to_owned()));
}

#[tokio::test]
async fn objects_stored_in_a_former_version_are_converted_until_they_are_written_again() {
    let (_api, client, hook) = defined().await;
    client.post(NEW, &new("a", "5")).await.ok();
    let path = format!("{DEFINITIONS}/{NAME}");
    let mut changed = client.get(&path).await.ok();
    changed["spec"]["versions"][0]["storage"] = json!(true);
    changed["spec"]["versions"][1]["storage"] = json!(false);
    let changed = client.put(&path, &changed).await.ok();
    assert_eq!(changed["status"]["storedVersions"], json!(["v1", "v1beta1"]));
    // Discovery knows of it, and so does whoever asks afterwards.
    client.get("/apis/stable.example.com/v1").await.ok();
    let read = client.get(&format!("{OLD}/a")).await.ok();
    assert_eq!(read["spec"]["cronSpec"], "5 *");
    assert_eq!(hook.reviewed(), [1]);
    assert_eq!(client.get(&format!("{NEW}/a")).await.ok()["spec"]["minute"], "5");
    assert_eq!(hook.reviewed(), [0_usize; 0], "it is stored as v1");

    client.put(&format!("{OLD}/a"), &read).await.ok();
    hook.reviewed();
    assert_eq!(client.get(&format!("{OLD}/a")).await.ok()["spec"]["cronSpec"], "5 *");
    assert_eq!(hook.reviewed(), [0_usize; 0], "it is stored as v1beta1");
    assert_eq!(client.get(&format!("{NEW}/a")).await.ok()["spec"]["minute"], "5");
    assert_eq!(hook.reviewed(), [1]);
}

#[tokio::test]
async fn a_webhook_behind_a_service_is_reached_inside_its_pod() {
    let (api, authority) = (Api::with_namespace().await, Authority::new());
    let (client, hook) = (api.client(), Hook::new(authority.serves(&["hook.default.svc"])));
    *api.hosts.hook.lock().unwrap() = Some(hook.clone());
    let service = json!({"namespace": "default", "name": "hook", "path": "/convert"});
    define(&client, &json!({"service": service, "caBundle": bundle(&authority)})).await;
    let kept = client.get(&format!("{DEFINITIONS}/{NAME}")).await.ok();
    assert_eq!(kept["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"], 443);
    client.post(NEW, &new("a", "5")).await.ok();
    let none = client.get(&format!("{OLD}/a")).await;
    assert!(none.text().contains("services \\\"hook\\\" not found"), "{}", none.text());

    let core = "/api/v1/namespaces/default";
    let pod = json!({"metadata": {"name": "hook", "labels": {"app": "hook"}}, "spec": {
        "nodeName": "h2", "containers": [{"name": "c", "image": "hook:1"}]}});
    client.post(&format!("{core}/pods"), &pod).await.ok();
    let service = json!({"metadata": {"name": "hook"}, "spec": {"selector": {"app": "hook"},
        "ports": [{"port": 443, "targetPort": 8443}]}});
    client.post(&format!("{core}/services"), &service).await.ok();
    let unready = client.get(&format!("{OLD}/a")).await;
    assert!(unready.text().contains("no endpoints available"), "{}", unready.text());

    let status = json!({"status": {"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}]}});
    client.send_json("PATCH", &format!("{core}/pods/hook/status"), MERGE, &status).await.ok();
    for _ in 0..2 {
        assert_eq!(client.get(&format!("{OLD}/a")).await.ok()["spec"]["cronSpec"], "5 *");
    }
    assert_eq!(hook.connections.load(Ordering::Relaxed), 1);
    let asked = ("/convert".to_owned(), "hook.default.svc:443".to_owned());
    assert_eq!(*hook.asked.lock().unwrap(), [asked.clone(), asked]);
}
