//! The real `kubectl` against the API.

mod conversations;

use std::{
    path::Path,
    process::{Output, Stdio},
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::harness::{Api, DEADLINE};

/// A directory with a kubeconfig for the API and the `kubectl` found on the `PATH`.
struct Kubectl {
    directory: tempfile::TempDir,
    /// Variables beside the usual ones.
    environment: Vec<(&'static str, &'static str)>,
}

impl Kubectl {
    fn of(api: &Api) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ca = write("ca.pem", api.authority.certificate.pem());
        let certificate = write("user.pem", api.user.certificate.pem());
        let key = write("user.key", api.user.key.serialize_pem());
        let server = api.server.local_addr();
        write(
            "config",
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
                 clusters: [{{name: test, cluster: {{server: 'https://{server}', certificate-authority: {ca}}}}}]\n\
                 users: [{{name: test, user: {{client-certificate: {certificate}, client-key: {key}}}}}]\n\
                 contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
            ),
        );
        write("app.yaml", APP.to_owned());
        Self { directory, environment: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sets a variable for every command from now on.
    fn set(&mut self, name: &'static str, value: &'static str) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value));
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", self.path().join("config"))
            .env("HOME", self.path())
            .envs(self.environment.iter().copied())
            .current_dir(self.path())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &str) -> Output {
        let output = tokio::time::timeout(3 * DEADLINE, self.command(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("kubectl {arguments}: no end in time"));
        output.unwrap_or_else(|error| panic!("{NEEDED}: {error}"))
    }

    /// Starts a command that goes on, and the lines it prints.
    fn start(&self, arguments: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{NEEDED}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    /// What a command that must succeed prints.
    async fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments}: {out}{err}");
        assert!(
            !err.contains("Warning") && !err.contains("memcache"),
            "kubectl {arguments}: {err}"
        );
        out
    }
}

const NEEDED: &str = "this test needs kubectl on the PATH and could not run it";

const APP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: grey}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: 'hello:1', ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, labels: {app: alone}}
spec:
  containers:
  - {name: main, image: 'hello:1'}
";

async fn started() -> (Api, Kubectl) {
    let api = Api::with_namespace().await;
    let kubectl = Kubectl::of(&api);
    let applied = kubectl.ok("apply -f app.yaml").await;
    assert!(applied.contains("deployment.apps/web created"), "{applied}");
    (api, kubectl)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_and_changes() {
    let (_api, kubectl) = started().await;
    let again = kubectl.ok("apply -f app.yaml").await;
    assert!(again.contains("deployment.apps/web unchanged"), "{again}");
    assert!(again.contains("pod/alone unchanged"), "{again}");
    let manifest = APP.replace("hello:1", "hello:2");
    std::fs::write(kubectl.path().join("app.yaml"), manifest).unwrap();
    let changed = kubectl.ok("apply -f app.yaml").await;
    assert!(changed.contains("deployment.apps/web configured"), "{changed}");
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(kubectl.ok(&format!("get deployment web -o {image}")).await, "hello:2");

    kubectl.ok("scale deployment web --replicas=5").await;
    kubectl.ok("label deployment web tier=front").await;
    kubectl.ok("annotate deployment web note=x").await;
    kubectl.ok("set image deployment/web main=hello:3").await;
    kubectl.ok(r#"patch deployment web --type=json -p [{"op":"add","path":"/metadata/labels/a","value":"1"}]"#).await;
    kubectl.ok(r#"patch deployment web --type=merge -p {"metadata":{"labels":{"b":"2"}}}"#).await;
    kubectl.ok(r#"patch deployment web -p {"spec":{"template":{"spec":{"containers":[{"name":"main","imagePullPolicy":"Never"}]}}}}"#).await;
    let seen = kubectl
        .ok("get deployment web -o jsonpath={.spec.replicas},{.metadata.labels},{.spec.template.spec.containers[*].image}")
        .await;
    assert_eq!(seen, r#"5,{"a":"1","b":"2","tier":"front"},hello:3"#);
    kubectl.ok("delete deployment web --wait=true").await;
    kubectl.ok("delete -f app.yaml --ignore-not-found").await;
    let gone = kubectl.run("get configmap settings").await;
    assert!(String::from_utf8_lossy(&gone.stderr).contains("NotFound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_on_the_server() {
    let (_api, kubectl) = started().await;
    let manifest = APP.replace("hello:1", "hello:2").replace("{colour: grey}", "{shade: light}");
    std::fs::write(kubectl.path().join("app.yaml"), &manifest).unwrap();
    let changed = kubectl.ok("apply --server-side -f app.yaml").await;
    assert!(changed.contains("deployment.apps/web serverside-applied"), "{changed}");
    let data = kubectl.ok("get configmap settings -o jsonpath={.data}").await;
    assert_eq!(
        data, r#"{"shade":"light"}"#,
        "what it applied before without the server is its own"
    );
    kubectl.ok("scale deployment web --replicas=5").await;
    let refused = kubectl.run("apply --server-side -f app.yaml").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("conflict with \"kubectl\" with subresource \"scale\""), "{message}");
    assert!(message.contains(".spec.replicas"), "{message}");
    kubectl.ok("apply --server-side --force-conflicts -f app.yaml").await;
    assert_eq!(kubectl.ok("get deployment web -o jsonpath={.spec.replicas}").await, "2");
    let generation = "get deployment web -o jsonpath={.metadata.generation}";
    let before = kubectl.ok(generation).await;
    kubectl.ok("apply -f app.yaml").await;
    assert_eq!(kubectl.ok(generation).await, before, "without the server it finds its own");
    let managers = kubectl.ok("get deployment web --show-managed-fields -o yaml").await;
    assert!(managers.contains("f:replicas") && managers.contains("operation: Apply"), "{managers}");
}

/// These commands send protobuf.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_creates_without_a_manifest() {
    let (api, kubectl) = started().await;
    kubectl.ok("create namespace demo").await;
    kubectl.ok("create serviceaccount robot -n demo").await;
    kubectl.ok("create configmap flags -n demo --from-literal=mode=fast").await;
    kubectl.ok("create secret generic key -n demo --from-literal=password=hunter2").await;
    kubectl.ok("create deployment shop -n demo --image=hello:1 --replicas=3 --port=80").await;
    kubectl.ok("scale deployment shop -n demo --replicas=0").await;
    let seen = [
        ("configmap flags", "{.data.mode}", "fast"),
        ("secret key", "{.data.password}", "aHVudGVyMg=="),
        (
            "deployment shop",
            "{.spec.replicas},{.spec.template.spec.containers[0].ports[0].containerPort}",
            "0,80",
        ),
    ];
    for (object, path, expected) in seen {
        let found = kubectl.ok(&format!("get {object} -n demo -o jsonpath={path}")).await;
        assert_eq!(found, expected, "{object}");
    }

    // So a drain deletes instead of evicting, with its options as protobuf.
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h1"}});
    api.client().post("/api/v1/nodes", &node).await.ok();
    let binding = json!({"target": {"kind": "Node", "name": "h1"}});
    api.client().post("/api/v1/namespaces/default/pods/alone/binding", &binding).await.ok();
    kubectl.ok("cordon h1").await;
    let _draining = kubectl.start("drain h1 --force --disable-eviction --grace-period=5");
    kubectl.ok("wait --for=jsonpath={.metadata.deletionGracePeriodSeconds}=5 pod/alone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_drains_as_budgets_allow() {
    let (api, kubectl) = started().await;
    let client = api.client();
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h1"}});
    client.post("/api/v1/nodes", &node).await.ok();
    let alone = "/api/v1/namespaces/default/pods/alone";
    let binding = json!({"target": {"kind": "Node", "name": "h1"}});
    client.post(&format!("{alone}/binding"), &binding).await.ok();
    let mut pod = client.get(alone).await.ok();
    pod["status"]["phase"] = json!("Running");
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    client.put(&format!("{alone}/status"), &pod).await.ok();
    kubectl.ok("create poddisruptionbudget keep --selector=app=alone --min-available=1").await;
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/keep";
    let mut budget = client.get(path).await.ok();
    budget["status"] = json!({"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1,
        "expectedPods": 1, "observedGeneration": 1});
    client.put(&format!("{path}/status"), &budget).await.ok();
    let refused = kubectl.run("drain h1 --force --timeout=1s").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("would violate the pod's disruption budget"), "{message}");
    kubectl.ok("delete poddisruptionbudget keep").await;
    let (_draining, mut lines) = kubectl.start("drain h1 --force");
    line_with(&mut lines, "evicting pod default/alone").await;
    kubectl.ok("wait --for=jsonpath={.metadata.deletionTimestamp} pod/alone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_shows() {
    let (_api, kubectl) = started().await;
    let wide = kubectl.ok("get pods -o wide").await;
    assert!(wide.starts_with("NAME") && wide.contains("NOMINATED NODE"), "{wide}");
    assert!(wide.contains("alone") && wide.contains("Pending"), "{wide}");
    let deployments = kubectl.ok("get deploy,cm -A").await;
    assert!(deployments.contains("deployment.apps/web") && deployments.contains("0/2"));
    assert!(
        kubectl
            .ok("get pods -l app=alone --field-selector=status.phase=Pending -o name")
            .await
            .contains("pod/alone")
    );
    assert!(
        kubectl.ok("get pods --show-labels --sort-by=.metadata.name").await.contains("app=alone")
    );
    assert!(kubectl.ok("get deploy web -o yaml").await.contains("replicas: 2"));
    let described = kubectl.ok("describe pod alone").await;
    assert!(described.contains("Image:") && described.contains("hello:1"), "{described}");
    let described = kubectl.ok("describe deployment web").await;
    assert!(described.contains("2 desired"), "{described}");
    let explained = kubectl.ok("explain deployment.spec.replicas").await;
    assert!(explained.contains("FIELD: replicas <integer>"), "{explained}");
    let explained = kubectl.ok("explain pods.spec.containers").await;
    assert!(explained.contains("imagePullPolicy"), "{explained}");
    let explained = kubectl.ok("explain pod.spec --output=plaintext-openapiv2").await;
    assert!(explained.contains("nodeSelector\t<map[string]string>"), "{explained}");
    assert!(kubectl.ok("api-resources").await.contains("deployments"));
    assert!(kubectl.ok("api-versions").await.contains("apps/v1"));
    assert_eq!(kubectl.ok("auth can-i create pods").await, "yes\n");
    assert_eq!(kubectl.ok("auth can-i get /metrics").await, "yes\n");
    let may = kubectl.ok("auth can-i --list").await;
    assert!(may.contains("*.*"), "{may}");
    let whoami = kubectl.ok("auth whoami").await;
    assert!(whoami.contains("Username") && whoami.contains("system:authenticated"), "{whoami}");
    assert!(kubectl.ok("version").await.contains("Server Version: v1.36."));
    assert!(kubectl.ok("diff -f app.yaml").await.is_empty());
    let odd = APP.replace("\ndata:", "\ndatum:");
    std::fs::write(kubectl.path().join("odd.yaml"), odd).unwrap();
    let refused = kubectl.run("apply -f odd.yaml").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("unknown field \"datum\""), "{message}");
    let refused = kubectl.run("get pods --as somebody").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("impersonation is not supported"), "{message}");
    let unknown = "apiVersion: v1\nkind: Gadget\nmetadata: {name: x}\n";
    std::fs::write(kubectl.path().join("unknown.yaml"), unknown).unwrap();
    let refused = kubectl.run("apply -f unknown.yaml").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("no matches for kind \"Gadget\""), "{message}");
    assert!(!message.contains("openapi"), "{message}");
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, text: &str) {
    let wait = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(text) {
                return;
            }
        }
        panic!("the output ended without {text:?}");
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the line comes in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_follows_and_waits() {
    let (api, kubectl) = started().await;
    let (_watching, mut lines) = kubectl.start("get pods --watch -o wide");
    line_with(&mut lines, "alone").await;
    kubectl.ok("wait --for=jsonpath={.status.phase}=Pending pod/alone --timeout=10s").await;
    let binding = json!({"target": {"kind": "Node", "name": "h1"}});
    api.client().post("/api/v1/namespaces/default/pods/alone/binding", &binding).await.ok();
    line_with(&mut lines, "h1").await;
    assert_eq!(kubectl.ok("logs alone").await, "first\nsecond\n");
    kubectl.ok("delete pod alone --now --wait=false").await;
    line_with(&mut lines, "Terminating").await;
    // It warns that it does not wait, whoever the server is.
    let forced = kubectl.run("delete pod alone --force --grace-period=0").await;
    assert!(forced.status.success());
    let gone = kubectl.run("get pod alone").await;
    assert!(!gone.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_is_told_that_a_body_is_too_large() {
    let (_api, kubectl) = started().await;
    let large = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"},
        "data": {"key": "x".repeat(20_000_000)},
    });
    std::fs::write(kubectl.path().join("large.json"), large.to_string()).unwrap();
    let refused = kubectl.run("create --validate=false -f large.json").await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("Request entity too large"), "{message}");
}
