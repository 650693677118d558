//! Requests and connections that go on to pods.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::header;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::harness::{Api, Client, DEADLINE, WebSocket};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SERVICES: &str = "/api/v1/namespaces/default/services";

/// An API with a pod that runs, and a Service before it.
async fn running() -> (Api, Client) {
    let api = Api::with_namespace().await;
    let client = api.client();
    let container = json!({"name": "c", "image": "hello:1",
        "ports": [{"name": "http", "containerPort": 80}]});
    let pod = json!({"metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"nodeName": "h2", "containers": [container]}});
    client.post(PODS, &pod).await.ok();
    let status = json!({"status": {"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}]}});
    let path = format!("{PODS}/web/status");
    client.send_json("PATCH", &path, "application/merge-patch+json", &status).await.ok();
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"},
        "ports": [{"name": "http", "port": 8080, "targetPort": "http"},
            {"name": "none", "port": 9}]}});
    client.post(SERVICES, &service).await.ok();
    (api, client)
}

#[tokio::test]
async fn a_request_for_a_pod_or_a_service_is_answered_by_the_pod() {
    let (_api, client) = running().await;
    for name in
        ["pods/web", "pods/web:80", "pods/http:web:", "services/web:http", "services/web:8080"]
    {
        let path = format!("/api/v1/namespaces/default/{name}/proxy/a%2Fb/c?d=e&watch=f");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let headers = [(header::ACCEPT, "text/css"), (header::TE, "trailers")];
            let answer = client.send(method, &path, &headers, Bytes::from_static(b"said")).await;
            let said = answer.ok();
            let expected =
                json!({"method": method, "path": "/a%2Fb/c?d=e&watch=f", "body": "said"});
            for member in ["method", "path", "body"] {
                assert_eq!(said[member], expected[member], "{method} {name}");
            }
            let headers = said["headers"].as_array().unwrap();
            assert!(
                headers.contains(&json!("accept")) && !headers.contains(&json!("te")),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn redirections_of_a_pod_lead_back_to_it() {
    let (_api, client) = running().await;
    let root = client.get(&format!("{PODS}/web/proxy?a=b")).await;
    let slash = format!("{PODS}/web/proxy/?a=b");
    assert_eq!((root.code, root.header(header::LOCATION)), (301, slash.as_str()));
    let moved = client.get(&format!("{SERVICES}/web:http/proxy/moved")).await;
    let there = format!("{SERVICES}/web:http/proxy/there?a=b");
    assert_eq!((moved.code, moved.header(header::LOCATION)), (302, there.as_str()));
}

#[tokio::test]
async fn a_proxy_says_why_there_is_no_answer() {
    let (_api, client) = running().await;
    for (path, code, why) in [
        ("pods/web:9/proxy/", 503, "nothing listens at port 9"),
        ("pods/web:http/proxy/", 400, "must be a number"),
        ("pods/https:web:443/proxy/", 400, "not https"),
        ("pods/none/proxy/", 404, "not found"),
        ("services/web:none/proxy/", 503, "nothing listens at port 9"),
        ("services/web:other/proxy/", 503, "no such port"),
        ("services/web/proxy/", 503, "no such port"),
        ("services/none/proxy/", 404, "not found"),
    ] {
        let answer = client.get(&format!("/api/v1/namespaces/default/{path}")).await;
        assert_eq!(answer.code, code, "{path}: {}", answer.text());
        assert!(answer.text().contains(why), "{path}: {}", answer.text());
    }
    let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let status = format!("{PODS}/web/status");
    client.send_json("PATCH", &status, "application/merge-patch+json", &patch).await.ok();
    let unready = client.get(&format!("{SERVICES}/web:http/proxy/")).await;
    assert!(unready.text().contains("no pod that it selects is ready"), "{}", unready.text());
}

#[tokio::test]
async fn a_node_answers_for_itself_whoever_is_asked() {
    let (api, client) = running().await;
    let other = Api::with_namespace().await;
    let there = json!({"metadata": {"name": "there"}, "spec": {"nodeName": "h1",
        "containers": [{"name": "c", "image": "hello:1"}]}});
    other.client().post(PODS, &there).await.ok();
    for name in ["h1", "h2"] {
        client.post("/api/v1/nodes", &json!({"metadata": {"name": name}})).await.ok();
    }
    let gone = client.get("/api/v1/nodes/h2/proxy/healthz").await;
    assert_eq!((gone.code, gone.text().contains("cannot be asked")), (503, true), "{gone:?}");
    *api.hosts.other.lock().unwrap() = Some(other.api.clone());

    for (node, pods) in
        [("h1", json!([])), ("h2", json!(["there"])), ("h2:10250", json!(["there"]))]
    {
        let path = |rest| format!("/api/v1/nodes/{node}/proxy{rest}");
        assert_eq!(client.get(&path("/healthz")).await.text(), "ok");
        let metrics = client.get(&path("/metrics")).await;
        assert!(metrics.text().contains("skein_raft_term 7"), "{metrics:?}");
        let list = client.get(&path("/pods/")).await.ok();
        assert_eq!(list["kind"], "PodList");
        let names: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|pod| &pod["metadata"]["name"]).collect();
        assert_eq!(json!(names), pods, "{node}");
        for (method, rest, code) in
            [("GET", "/run/a", 404), ("GET", "/", 404), ("POST", "/pods", 405), ("GET", "", 301)]
        {
            let answer = client.send(method, &path(rest), &[], Bytes::new()).await;
            assert_eq!(answer.code, code, "{node} {method} {rest}: {}", answer.text());
        }
    }
    for (name, code) in [("h3", 404), ("h1:9100", 400), ("https:h1:10250", 400)] {
        let answer = client.get(&format!("/api/v1/nodes/{name}/proxy/healthz")).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_ephemeral_container_is_added_through_its_subresource_and_talked_to() {
    let (api, client) = running().await;
    let path = format!("{PODS}/web/ephemeralcontainers");
    let patch = json!({"metadata": {"labels": {"app": "other"}}, "spec": {"ephemeralContainers":
        [{"name": "debugger", "image": "tools:1", "targetContainerName": "c"}]}});
    let strategic = "application/strategic-merge-patch+json";
    let pod = client.send_json("PATCH", &path, strategic, &patch).await.ok();
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["name"], "debugger");
    assert_eq!((&pod["metadata"]["labels"]["app"], &pod["kind"]), (&json!("web"), &json!("Pod")));
    let other = json!({"spec": {"ephemeralContainers": [{"name": "debugger", "image": "b:1"}]}});
    let refused = client.send_json("PATCH", &path, strategic, &other).await;
    assert_eq!(refused.code, 422, "{}", refused.text());
    let log = client.get(&format!("{PODS}/web/log?container=debugger")).await;
    assert_eq!(log.code, 200, "{}", log.text());
    let (_, request) = api.hosts.asked.lock().unwrap().remove(0);
    assert_eq!(request.container, "debugger");
}

#[tokio::test]
async fn a_pod_is_resized_through_its_subresource_alone() {
    let (_api, client) = running().await;
    let (path, strategic) =
        (format!("{PODS}/sized/resize"), "application/strategic-merge-patch+json");
    let container = json!({"name": "c", "image": "hello:1",
        "resources": {"requests": {"cpu": "100m"}}});
    let pod = json!({"metadata": {"name": "sized"}, "spec": {"containers": [container]}});
    client.post(PODS, &pod).await.ok();
    let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers":
        [{"name": "c", "image": "other:1", "resources": {"requests": {"cpu": "200m"}}}]}});
    let pod = client.send_json("PATCH", &path, strategic, &patch).await.ok();
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["resources"], json!({"requests": {"cpu": "200m"}}));
    assert_eq!((&container["image"], pod["metadata"].get("labels")), (&json!("hello:1"), None));
    assert_eq!((&pod["metadata"]["generation"], &pod["kind"]), (&json!(2), &json!("Pod")));

    let mut put = client.get(&path).await.ok();
    put["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("300m");
    let pod = client.send_json("PUT", &path, "application/json", &put).await.ok();
    assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"], "300m");
    let fixed = json!({"spec": {"containers": [{"name": "c",
        "resources": {"limits": {"ephemeral-storage": "1Gi"}}}]}});
    let refused = client.send_json("PATCH", &path, strategic, &fixed).await;
    assert_eq!(refused.code, 422, "{}", refused.text());
    assert!(refused.text().contains("only cpu and memory resources are mutable"));
    let whole = client.send_json("PATCH", &format!("{PODS}/sized"), strategic, &patch).await;
    assert_eq!(whole.code, 422, "{}", whole.text());

    let listed = client.get("/api/v1").await.ok();
    let listed = listed["resources"].as_array().unwrap();
    let resize = listed.iter().find(|one| one["name"] == "pods/resize").unwrap();
    assert_eq!(resize["verbs"], json!(["get", "patch", "update"]));
}

async fn next(socket: &mut WebSocket) -> Option<Bytes> {
    match tokio::time::timeout(DEADLINE, socket.next()).await.expect("in time")?.unwrap() {
        Message::Close(_) => None,
        message => Some(message.into_data()),
    }
}

#[tokio::test]
async fn ports_are_forwarded_on_the_channels_of_a_websocket() {
    let (_api, client) = running().await;
    let path = format!("{PODS}/web/portforward?ports=7&ports=9");
    let mut socket = client.web_socket(&path, "v4.channel.k8s.io").await;
    socket.send(Message::Binary(Bytes::from_static(b"\x00said"))).await.unwrap();
    let (mut ports, mut echo, mut error) = (Vec::new(), Vec::new(), String::new());
    while ports.len() < 4 || echo.len() < 4 || error.is_empty() {
        let frame = next(&mut socket).await.expect("it goes on");
        match (frame[0], &frame[1..]) {
            (channel, [low, 0]) => ports.push((channel, *low)),
            (0, said) => echo.extend_from_slice(said),
            (3, why) => error.push_str(std::str::from_utf8(why).unwrap()),
            (channel, bytes) => panic!("{channel}: {bytes:?}"),
        }
    }
    ports.sort_unstable();
    assert_eq!(ports, [(0, 7), (1, 7), (2, 9), (3, 9)]);
    assert_eq!(echo, b"said");
    assert!(error.contains("nothing listens at port 9"), "{error}");
}

#[tokio::test]
async fn what_is_no_port_is_refused_before_the_connection_is_another_protocols() {
    let (_api, client) = running().await;
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        (header::SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io"),
    ];
    for (query, why) in
        [("", "is required"), ("?ports=0", "from 1 to 65535"), ("?ports=a", "\"a\"")]
    {
        let path = format!("{PODS}/web/portforward{query}");
        let answer = client.send("GET", &path, &headers, Bytes::new()).await;
        assert_eq!(answer.code, 400, "{query}");
        assert!(answer.json()["message"].as_str().unwrap().contains(why), "{}", answer.text());
    }
    let plain = client.get(&format!("{PODS}/web/portforward?ports=7")).await;
    assert!(plain.text().contains("Upgrade request required"), "{}", plain.text());
}
