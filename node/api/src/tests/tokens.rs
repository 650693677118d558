//! Tokens of service accounts, and what roles let their holders do.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use serde_json::{Value, json};

use super::harness::{Answer, Api, Client};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const PODS: &str = "/api/v1/namespaces/default/pods";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A cluster with the account `robot` and a pod that runs as it.
async fn start() -> Api {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(ACCOUNTS, &json!({"metadata": {"name": "robot"}})).await.ok();
    let pod = json!({"metadata": {"name": "web"}, "spec": {"serviceAccountName": "robot",
        "containers": [{"name": "main", "image": "hello"}]}});
    client.post(PODS, &pod).await.ok();
    api
}

async fn ask(client: &Client, spec: Value) -> Answer {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": spec});
    client.post(&format!("{ACCOUNTS}/robot/token"), &request).await
}

async fn token(client: &Client, spec: Value) -> String {
    ask(client, spec).await.ok()["status"]["token"].as_str().unwrap().to_owned()
}

/// A request with a token and no certificate.
async fn send(api: &Api, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers =
        [(header::AUTHORIZATION, bearer.as_str()), (header::CONTENT_TYPE, "application/json")];
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    api.client_with(None).send(method, path, &headers, body).await
}

async fn review(client: &Client, spec: Value) -> Value {
    client.post(REVIEWS, &json!({"spec": spec})).await.ok()["status"].take()
}

#[tokio::test]
async fn a_token_is_its_accounts_for_an_hour() {
    let api = start().await;
    let client = api.client();
    let answer = ask(&client, json!({})).await;
    assert_eq!(answer.code, 201);
    let answer = answer.json();
    assert_eq!(answer["kind"], "TokenRequest");
    assert_eq!(answer["metadata"]["name"], "robot");
    assert_eq!(answer["spec"]["expirationSeconds"], 3600);
    let issuer = "https://kubernetes.default.svc.cluster.local";
    assert_eq!(answer["spec"]["audiences"], json!([issuer]));
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (made, expires) = (
        time(&answer["metadata"]["creationTimestamp"]),
        time(&answer["status"]["expirationTimestamp"]),
    );
    let lifetime = Duration::try_from(expires.duration_since(made)).unwrap();
    assert!((3599..=3600).contains(&lifetime.as_secs()), "{lifetime:?}");

    let token = answer["status"]["token"].as_str().unwrap();
    let status = review(&client, json!({"token": token})).await;
    assert_eq!(status["authenticated"], true, "{status}");
    assert_eq!(status["audiences"], json!([issuer]));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:robot");
    let account = client.get(&format!("{ACCOUNTS}/robot")).await.ok();
    assert_eq!(status["user"]["uid"], account["metadata"]["uid"]);
    let groups =
        ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(status["user"]["groups"], json!(groups));

    let keys = client.get("/openid/v1/jwks").await.ok();
    assert_eq!(keys["keys"][0]["kty"], "EC");
    let discovered = client.get("/.well-known/openid-configuration").await.ok();
    assert_eq!(discovered["issuer"], issuer);
}

#[tokio::test]
async fn a_token_that_does_not_hold_opens_nothing() {
    let api = start().await;
    let client = api.client();
    // Before the first is issued, too.
    assert_eq!(send(&api, "GET", PODS, "made.up.token", None).await.code, 401);
    let token = token(&client, json!({})).await;
    // Another character in the middle of the signature.
    let middle = token.len() - 40;
    let other = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..middle], &token[middle + 1..]);
    for wrong in ["", "made.up.token", forged.as_str()] {
        assert_eq!(send(&api, "GET", PODS, wrong, None).await.code, 401, "{wrong:?}");
    }
    let status = review(&client, json!({"token": forged})).await;
    assert_eq!(status, json!({"authenticated": false, "error": "invalid bearer token"}));
    let for_others = self::token(&client, json!({"audiences": ["vault"]})).await;
    assert_eq!(send(&api, "GET", PODS, &for_others, None).await.code, 401);
    let asked = json!({"token": for_others, "audiences": ["vault", "other"]});
    assert_eq!(review(&client, asked).await["audiences"], json!(["vault"]));

    // Nobody is another account of the same name.
    client.delete(&format!("{ACCOUNTS}/robot")).await.ok();
    client.post(ACCOUNTS, &json!({"metadata": {"name": "robot"}})).await.ok();
    assert_eq!(send(&api, "GET", PODS, &token, None).await.code, 401);
    let status = review(&client, json!({"token": token})).await;
    assert_eq!(status["error"], "the service account is gone");
}

#[tokio::test]
async fn a_bound_token_ends_with_what_it_is_bound_to() {
    let api = start().await;
    let client = api.client();
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "web"});
    let token = token(&client, json!({"boundObjectRef": bound})).await;
    let status = review(&client, json!({"token": token})).await;
    let extra = &status["user"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/pod-name"], json!(["web"]), "{status}");
    client.delete(&format!("{PODS}/web?gracePeriodSeconds=0")).await.ok();
    let status = review(&client, json!({"token": token})).await;
    assert_eq!(status["error"], "what the token is bound to is gone");
}

#[tokio::test]
async fn a_request_for_a_token_is_checked() {
    let api = start().await;
    let client = api.client();
    client
        .post(
            PODS,
            &json!({"metadata": {"name": "other"},
            "spec": {"containers": [{"name": "main", "image": "hello"}]}}),
        )
        .await
        .ok();
    let bound = |kind: &str, name: &str, uid: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}});
    let cases = [
        (
            json!({"expirationSeconds": 60}),
            422,
            "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
        ),
        (json!({"expirationSeconds": 1_i64 << 33}), 422, "larger than 2^32 seconds"),
        (json!({"expirationSeconds": "long"}), 400, "no TokenRequest"),
        (bound("ConfigMap", "web", ""), 400, "cannot bind token"),
        (bound("Pod", "none", ""), 404, "pods \"none\" not found"),
        (bound("Pod", "other", ""), 400, "different serviceaccount name"),
        (bound("Pod", "web", "1"), 409, "does not match the UID"),
        (bound("Secret", "none", ""), 404, "secrets \"none\" not found"),
    ];
    for (spec, code, said) in cases {
        let answer = ask(&client, spec.clone()).await;
        assert_eq!(answer.code, code, "{spec} {}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{spec} {message}");
    }
    let none = client.post(&format!("{ACCOUNTS}/none/token"), &json!({})).await;
    assert_eq!(none.code, 404, "{}", none.text());
    let dry = client.post(&format!("{ACCOUNTS}/robot/token?dryRun=All"), &json!({})).await.ok();
    assert_eq!(dry["status"]["token"], "");
}

#[tokio::test]
async fn a_service_account_may_do_what_its_roles_say() {
    let api = start().await;
    let client = api.client();
    let token = token(&client, json!({})).await;
    let refused = send(&api, "GET", PODS, &token, None).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "pods is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \
         \"pods\" in API group \"\" in the namespace \"default\""
    );
    for path in ["/metrics", "/skein/v1/status", "/api", "/apis/apps/v1"] {
        assert_eq!(send(&api, "GET", path, &token, None).await.code, 403, "{path}");
    }
    let user = json!({"user": "robot", "lifetimeSeconds": 60});
    let made = send(&api, "POST", "/skein/v1/kubeconfig", &token, Some(&user)).await;
    assert_eq!(made.code, 403);

    let role = json!({"metadata": {"name": "reader"},
        "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]});
    client.post(&format!("{RBAC}/namespaces/default/roles"), &role).await.ok();
    let binding = json!({"metadata": {"name": "reader"},
        "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    client.post(&format!("{RBAC}/namespaces/default/rolebindings"), &binding).await.ok();
    assert_eq!(send(&api, "GET", PODS, &token, None).await.code, 200);
    let web = format!("{PODS}/web");
    assert_eq!(send(&api, "GET", &web, &token, None).await.code, 200);
    assert_eq!(send(&api, "DELETE", &web, &token, None).await.code, 403);
    assert_eq!(send(&api, "GET", &format!("{web}/log"), &token, None).await.code, 403);
    assert_eq!(send(&api, "GET", "/api/v1/pods", &token, None).await.code, 403);
    assert_eq!(send(&api, "GET", &format!("{PODS}?watch=true"), &token, None).await.code, 403);

    // To make by applying takes both, to run a command more than looking, one name is allowed alone.
    let patcher = json!({"metadata": {"name": "patcher"}, "rules": [
        {"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["pods", "pods/exec"]},
        {"verbs": ["list", "watch"], "apiGroups": [""], "resources": ["configmaps"],
            "resourceNames": ["settings"]}]});
    client.post(&format!("{RBAC}/namespaces/default/roles"), &patcher).await.ok();
    let binding = json!({"metadata": {"name": "patcher"},
        "roleRef": {"kind": "Role", "name": "patcher"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    client.post(&format!("{RBAC}/namespaces/default/rolebindings"), &binding).await.ok();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new"},
        "spec": {"containers": [{"name": "main", "image": "hello"}]}});
    let applied = format!("{PODS}/new?fieldManager=robot");
    let bearer = format!("Bearer {token}");
    let headers = [
        (header::AUTHORIZATION, bearer.as_str()),
        (header::CONTENT_TYPE, "application/apply-patch+yaml"),
    ];
    let body: Bytes = pod.to_string().into();
    let refused = api.client_with(None).send("PATCH", &applied, &headers, body).await;
    assert_eq!(refused.code, 403);
    assert!(refused.text().contains("cannot create resource"), "{}", refused.text());
    let exec = send(&api, "GET", &format!("{web}/exec?command=ls&stdout=true"), &token, None).await;
    assert_eq!(exec.code, 403);
    let maps = "/api/v1/namespaces/default/configmaps";
    assert_eq!(send(&api, "GET", maps, &token, None).await.code, 403);
    let one = format!("{maps}?fieldSelector=metadata.name%3Dsettings");
    assert_eq!(send(&api, "GET", &one, &token, None).await.code, 200);

    // The questions are answered by the same rules.
    let subject = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    for (verb, allowed) in [("list", true), ("delete", false)] {
        let attributes = json!({"verb": verb, "resource": "pods", "namespace": "default"});
        let spec = json!({"user": "system:serviceaccount:default:robot",
            "groups": ["system:serviceaccounts"], "resourceAttributes": attributes});
        let said = client.post(subject, &json!({"spec": spec})).await.ok();
        assert_eq!(said["status"]["allowed"], allowed, "{said}");
    }
    for spec in [
        json!({"user": "system:anonymous"}),
        json!({"groups": ["system:serviceaccounts"]}),
        json!({"user": "eve", "groups": ["system:unauthenticated"]}),
    ] {
        let mut spec = spec;
        spec["resourceAttributes"] = json!({"verb": "list", "resource": "secrets"});
        let said = client.post(subject, &json!({"spec": spec})).await.ok();
        assert_eq!(said["status"]["allowed"], false, "{said}");
    }
    let local = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    let attributes = json!({"verb": "list", "resource": "pods", "namespace": "other"});
    let spec = json!({"user": "jo", "resourceAttributes": attributes});
    assert_eq!(client.post(local, &json!({"spec": spec})).await.code, 422);
    let basic = json!({"metadata": {"name": "asks"}, "rules": [{"verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"], "resources": ["*"]}]});
    client.post(&format!("{RBAC}/clusterroles"), &basic).await.ok();
    let binding = json!({"metadata": {"name": "asks"},
        "roleRef": {"kind": "ClusterRole", "name": "asks"},
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts"}]});
    client.post(&format!("{RBAC}/clusterrolebindings"), &binding).await.ok();
    let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let asked = json!({"spec": {"namespace": "default"}});
    let said = send(&api, "POST", rules, &token, Some(&asked)).await.ok();
    let resources = said["status"]["resourceRules"].as_array().unwrap();
    assert!(resources.iter().any(|rule| rule["resources"] == json!(["pods"])), "{said}");
}

#[tokio::test]
async fn reviews_tell_what_they_lack() {
    let api = start().await;
    let client = api.client();
    let who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let said = client.post(who, &json!({})).await.ok();
    let info = json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]});
    assert_eq!(said["status"]["userInfo"], info);
    let access = "/apis/authorization.k8s.io/v1";
    let (pods, path) = (json!({"verb": "get", "resource": "pods"}), json!({"path": "/metrics"}));
    let both = json!({"resourceAttributes": pods, "nonResourceAttributes": path});
    let subject = format!("{access}/subjectaccessreviews");
    let own = format!("{access}/selfsubjectaccessreviews");
    let cases = [
        (REVIEWS, json!({}), "spec.token"),
        (&own, json!({}), "exactly one of"),
        (&own, both, "in combination"),
        (&subject, json!({"resourceAttributes": pods}), "spec.user"),
    ];
    for (path, spec, lacks) in cases {
        let answer = client.post(path, &json!({"spec": spec})).await;
        assert_eq!(answer.code, 422, "{path} {}", answer.text());
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(lacks), "{path} {message}");
    }
    for spec in [json!({"resourceAttributes": pods}), json!({"nonResourceAttributes": path})] {
        let said = client.post(&own, &json!({"spec": spec})).await.ok();
        assert_eq!(said["status"]["allowed"], true, "{said}");
    }
    let asked = json!({"spec": {"user": "al", "resourceAttributes": pods}});
    assert_eq!(client.post(&subject, &asked).await.ok()["status"]["allowed"], true);
}

#[tokio::test]
async fn a_request_for_a_certificate_says_who_made_it_and_is_approved_by_who_may_for_its_signer() {
    let api = start().await;
    let client = api.client();
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let rule = |resource: &str, verb: &str| json!({"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": [verb]});
    let mut rules = vec![
        rule("certificatesigningrequests", "create"),
        rule("certificatesigningrequests/approval", "update"),
    ];
    let role = json!({"metadata": {"name": "approver"}, "rules": rules});
    client.post(&format!("{RBAC}/clusterroles"), &role).await.ok();
    let binding = json!({"metadata": {"name": "approver"},
        "roleRef": {"kind": "ClusterRole", "name": "approver"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    client.post(&format!("{RBAC}/clusterrolebindings"), &binding).await.ok();

    let token = token(&client, json!({})).await;
    let request = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {"request": "LS0t", "usages": ["client auth"],
            "signerName": "example.com/one", "username": "mallory", "uid": "1",
            "groups": ["system:masters"], "extra": {"a": ["b"]}}})
    };
    let made = send(&api, "POST", requests, &token, Some(&request("own"))).await.ok();
    assert_eq!(made["spec"]["username"], "system:serviceaccount:default:robot");
    let account = client.get(&format!("{ACCOUNTS}/robot")).await.ok();
    assert_eq!(made["spec"]["uid"], account["metadata"]["uid"]);
    assert!(!made["spec"]["groups"].as_array().unwrap().contains(&json!("system:masters")));
    let admins = client.post(requests, &request("admins")).await.ok();
    assert_eq!(admins["spec"]["username"], "admin");
    assert_eq!(admins["spec"]["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!((&admins["spec"]["uid"], &admins["spec"]["extra"]), (&Value::Null, &Value::Null));
    let mut applied = request("applied");
    applied["apiVersion"] = json!("certificates.k8s.io/v1");
    applied["kind"] = json!("CertificateSigningRequest");
    let path = format!("{requests}/applied?fieldManager=me");
    let applied = client.send_json("PATCH", &path, "application/apply-patch+yaml", &applied).await;
    assert_eq!(applied.ok()["spec"]["username"], "admin");

    let approval = format!("{requests}/admins/approval");
    let mut decided = admins.clone();
    decided["status"]["conditions"] =
        json!([{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]);
    let refused = send(&api, "PUT", &approval, &token, Some(&decided)).await;
    assert_eq!(refused.code, 403, "{}", refused.text());
    assert!(refused.text().contains("signerName \\\"example.com/one\\\""), "{}", refused.text());
    for (name, code) in [("example.com/two", 403), ("example.org/*", 403), ("example.com/*", 200)] {
        let mut signers = rule("signers", "approve");
        signers["resourceNames"] = json!([name]);
        rules.truncate(2);
        rules.push(signers);
        let role = json!({"metadata": {"name": "approver"}, "rules": rules});
        let path = format!("{RBAC}/clusterroles/approver");
        client.send_json("PUT", &path, "application/json", &role).await.ok();
        let answer = send(&api, "PUT", &approval, &token, Some(&decided)).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.text());
    }
}
