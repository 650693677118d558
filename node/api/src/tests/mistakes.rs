//! The error a user sees for the commonest mistakes, as one table to read: what was asked, and the
//! code, reason and sentence of the answer.

use http::header;
use serde_json::{Value, json};

use super::harness::{Api, Client};

const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const STRICT: &str = "?fieldValidation=Strict";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// What is sent: a name for the mistake, method, path, content type and body.
type Mistake = (&'static str, &'static str, String, &'static str, String);

fn post(what: &'static str, path: &str, body: &Value) -> Mistake {
    (what, "POST", path.to_owned(), "application/json", body.to_string())
}

fn yaml(what: &'static str, path: &str, body: &str) -> Mistake {
    (what, "POST", format!("{path}{STRICT}"), "application/yaml", body.to_owned())
}

fn send(
    what: &'static str,
    method: &'static str,
    path: &str,
    form: &'static str,
    body: &Value,
) -> Mistake {
    (what, method, path.to_owned(), form, body.to_string())
}

fn get(what: &'static str, path: &str) -> Mistake {
    (what, "GET", path.to_owned(), "", String::new())
}

/// A pod with this container.
fn pod(container: Value) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"containers": [container]}})
}

fn deployment(selector: &str, label: &str) -> Value {
    json!({"metadata": {"name": "new"}, "spec": {
        "selector": {"matchLabels": {"app": selector}},
        "template": {"metadata": {"labels": {"app": label}},
            "spec": {"containers": [{"name": "a", "image": "b"}]}},
    }})
}

/// Mistakes in what is written.
fn manifests() -> Vec<Mistake> {
    let image = json!({"name": "a", "image": "b"});
    let with = |members: Value| {
        let mut container = image.clone();
        container.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        pod(container)
    };
    vec![
        yaml("a tab for an indent", PODS, "metadata:\n\tname: web\n"),
        yaml("an indent that does not fit", PODS, "metadata:\n  name: web\n kind: Pod\n"),
        yaml("a list where a map belongs", PODS, "metadata:\n- name: web\n"),
        yaml("an empty file", PODS, ""),
        yaml("a misspelt field", PODS, "metadata: {name: web}\nspec: {container: []}\n"),
        yaml("a field twice", MAPS, "metadata: {name: a}\ndata: {x: '1'}\ndata: {x: '2'}\n"),
        yaml("a number where a text belongs", MAPS, "metadata: {name: a}\ndata: {x: 1}\n"),
        yaml("yes where a text belongs", MAPS, "metadata: {name: a}\ndata: {x: true}\n"),
        yaml("replicas as a text", DEPLOYMENTS, "metadata: {name: a}\nspec: {replicas: '3'}\n"),
        yaml("another kind", PODS, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"),
        yaml("an old version", DEPLOYMENTS, "apiVersion: extensions/v1beta1\nkind: Deployment\n"),
        yaml(
            "a secret that is not base64",
            "/api/v1/namespaces/default/secrets",
            "metadata: {name: a}\ndata: {password: not base64!}\n",
        ),
        post("JSON that breaks off", PODS, &json!({"metadata": {"name": "web"}, "spec": {}})),
        post("no name", PODS, &json!({"spec": {"containers": [image.clone()]}})),
        post("a name in capitals", MAPS, &json!({"metadata": {"name": "Settings"}})),
        post("a name with an underscore", MAPS, &json!({"metadata": {"name": "my_map"}})),
        post(
            "a service whose name begins with a digit",
            SERVICES,
            &json!({"metadata": {"name": "1st"}, "spec": {"ports": [{"port": 80}]}}),
        ),
        post(
            "another namespace in the manifest",
            MAPS,
            &json!({"metadata": {"name": "a", "namespace": "other"}}),
        ),
        post(
            "a namespace that is not there",
            "/api/v1/namespaces/absent/configmaps",
            &json!({"metadata": {"name": "a"}}),
        ),
        post("no containers", PODS, &json!({"metadata": {"name": "web"}, "spec": {}})),
        post("no image", PODS, &pod(json!({"name": "a"}))),
        post(
            "two containers of one name",
            PODS,
            &json!({"metadata": {"name": "web"},
            "spec": {"containers": [image.clone(), image.clone()]}}),
        ),
        post("a port that is too high", PODS, &with(json!({"ports": [{"containerPort": 70000}]}))),
        post(
            "a mount of no volume",
            PODS,
            &with(json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]})),
        ),
        post(
            "memory in no known unit",
            PODS,
            &with(json!({"resources": {"limits": {"memory": "100MB!"}}})),
        ),
        post(
            "a request above the limit",
            PODS,
            &with(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
        ),
        post("a pull policy that is none", PODS, &with(json!({"imagePullPolicy": "Sometimes"}))),
        post(
            "a label that is too long",
            MAPS,
            &json!({"metadata": {"name": "a", "labels": {"x": "y".repeat(64)}}}),
        ),
        post("a selector that picks other pods", DEPLOYMENTS, &deployment("web", "shop")),
        post("a service without ports", SERVICES, &json!({"metadata": {"name": "a"}, "spec": {}})),
        post(
            "a job whose pods restart for ever",
            JOBS,
            &json!({"metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": [image], "restartPolicy": "Always"}}}}),
        ),
    ]
}

/// Mistakes in what is asked of what there is.
fn requests() -> Vec<Mistake> {
    let old = json!({"metadata": {"name": "kept", "resourceVersion": "1"}});
    let web = format!("{DEPLOYMENTS}/web");
    vec![
        get("a pod that is not there", &format!("{PODS}/absent")),
        get("a resource that is misspelt", "/api/v1/namespaces/default/pod"),
        get("a resource in another group", "/api/v1/namespaces/default/deployments"),
        get("a selector that does not parse", &format!("{PODS}?labelSelector=app%3D%3D%3Dweb")),
        get("a field nobody can select by", &format!("{PODS}?fieldSelector=spec.image%3Dx")),
        get("logs of a pod without a host", &format!("{PODS}/alone/log")),
        get("a log of a container that is none", &format!("{PODS}/alone/log?container=none")),
        post("a name that is taken", MAPS, &json!({"metadata": {"name": "kept"}})),
        send(
            "an old version of the object",
            "PUT",
            &format!("{MAPS}/kept"),
            "application/json",
            &old,
        ),
        send(
            "another selector",
            "PATCH",
            &web,
            MERGE,
            &json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
        ),
        send(
            "another image of a pod's container, and a command",
            "PATCH",
            &format!("{PODS}/alone"),
            "application/strategic-merge-patch+json",
            &json!({"spec": {"containers": [{"name": "a", "command": ["x"]}]}}),
        ),
        send("a patch without its type", "PATCH", &web, "application/json", &json!({})),
        send("an apply without a manager", "PATCH", &web, APPLY, &deployment("web", "web")),
        send(
            "fewer than no replicas",
            "PATCH",
            &format!("{web}/scale"),
            MERGE,
            &json!({"spec": {"replicas": -1}}),
        ),
        send(
            "the namespace default",
            "DELETE",
            "/api/v1/namespaces/default",
            "application/json",
            &json!({}),
        ),
    ]
}

async fn answer(client: &Client, mistake: Mistake) -> String {
    let (what, method, path, form, body) = mistake;
    let body = match what {
        "JSON that breaks off" => body[..body.len() - 4].to_owned(),
        _ => body,
    };
    let headers = [(header::CONTENT_TYPE, form)];
    let headers = if form.is_empty() { &[][..] } else { &headers[..] };
    let answer = client.send(method, &path, headers, body.into()).await;
    let status = answer.json();
    let text = |name: &str| status[name].as_str().unwrap_or("?").to_owned();
    assert!(answer.code >= 400, "{what}: {status}");
    assert_eq!(status["kind"], "Status", "{what}");
    format!("{what}\n    {} {}: {}\n", answer.code, text("reason"), text("message"))
}

#[tokio::test]
async fn mistakes_are_told_what_is_wrong_and_where() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &json!({"metadata": {"name": "kept"}})).await.ok();
    let mut web = deployment("web", "web");
    web["metadata"]["name"] = json!("web");
    client.post(DEPLOYMENTS, &web).await.ok();
    let mut alone = pod(json!({"name": "a", "image": "b"}));
    alone["metadata"]["name"] = json!("alone");
    client.post(PODS, &alone).await.ok();
    let mut table = String::new();
    for mistake in manifests().into_iter().chain(requests()) {
        table.push_str(&answer(&client, mistake).await);
    }
    insta::assert_snapshot!(table);
}
