//! Programs written for Kubernetes, as they are: the Python client, kube-rs, an operator.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client,
    api::{
        AttachParams, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent,
        WatchParams,
    },
    config::Kubeconfig,
};
use serde_json::json;
use skein_tests::{Cluster, binary, client, wait_for};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Namespace, POD_DEADLINE};

/// How long anything but pods may take.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn the_python_client_does_what_it_does_elsewhere() -> Result<()> {
    let cluster = Cluster::attach()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/run");
    let mut command = Command::new(script);
    let said = command.env("KUBECONFIG", cluster.kubeconfig("h3")).output();
    let said = said.context("run tests/python/run")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
    Ok(())
}

/// An operator that works until it is dropped.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("the operator was not ended: {error}");
        }
    }
}

fn operator(cluster: &Cluster, what: &str) -> Result<Command> {
    let program: PathBuf = binary()?.with_file_name("operator");
    ensure!(program.is_file(), "no {}: cargo build --package operator", program.display());
    let mut command = Command::new(program);
    command.arg(what).env("KUBECONFIG", cluster.kubeconfig("h1")).stderr(Stdio::null());
    Ok(command)
}

#[test]
fn an_operator_written_with_kube_rs_keeps_its_websites() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-operator")?;
    let n = ns.name.as_str();
    ensure!(operator(&cluster, "install")?.status()?.success(), "the definition is accepted");
    let _working = Operator(operator(&cluster, "run")?.spawn()?);
    let website = json!({"apiVersion": "examples.skein.dev/v1", "kind": "Website",
        "metadata": {"name": "site", "namespace": n},
        "spec": {"text": "first", "replicas": 2, "image": "busybox:local"}});
    cluster.apply("h2", &website.to_string())?;
    let field = |path: &str| {
        let output = format!("jsonpath={{{path}}}");
        cluster.kubectl("h2", &["-n", n, "get", "website", "site", "-o", &output], None)
    };
    let becomes = |path: &str, wanted: &str| {
        wait_for(&format!("{path} to be {wanted}"), POD_DEADLINE, || match field(path)? {
            seen if seen == wanted => Ok(()),
            seen => bail!("{seen:?}"),
        })
    };
    becomes(".status.ready", "2")?;
    cluster.kubectl("h3", &["-n", n, "scale", "website", "site", "--replicas=3"], None)?;
    becomes(".status.ready", "3")?;
    cluster.kubectl("h3", &["-n", n, "delete", "website", "site", "--timeout=60s"], None)?;
    wait_for("its Deployment to go", DEADLINE, || {
        match cluster.kubectl("h1", &["-n", n, "get", "deployments", "-o", "name"], None)? {
            left if left.is_empty() => Ok(()),
            left => bail!("{left}"),
        }
    })?;
    let definition = "websites.examples.skein.dev";
    cluster.kubectl("h1", &["delete", "customresourcedefinition", definition], None)?;
    Ok(())
}

#[test]
fn kube_rs_does_what_it_does_elsewhere() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-kube-rs")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("h3"))?;
    let client = runtime.block_on(client(kubeconfig, DEADLINE))?;
    runtime.block_on(objects(client.clone(), &ns.name)).context("objects")?;
    let pods: Api<Pod> = Api::namespaced(client, &ns.name);
    runtime.block_on(create(&pods))?;
    cluster.wait_ready("h1", &ns.name, "app=talk", 1, POD_DEADLINE)?;
    let talk = async { tokio::time::timeout(DEADLINE, conversations(&pods)).await };
    runtime.block_on(talk).context("the conversations end in time")?.context("conversations")
}

/// Applies, watches, patches and pages.
async fn objects(client: Client, namespace: &str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let since = maps.list(&ListParams::default()).await?.metadata.resource_version;
    let watch = maps.watch(&WatchParams::default(), &since.context("a version")?).await?;
    let map = |name: &str, value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"a": value}})
    };
    let by = PatchParams::apply("first");
    maps.patch("one", &by, &Patch::Apply(map("one", "1"))).await?;
    let other = PatchParams::apply("second");
    let conflict = maps.patch("one", &other, &Patch::Apply(map("one", "2"))).await;
    ensure!(
        matches!(conflict, Err(kube::Error::Api(ref status)) if status.code == 409),
        "{conflict:?}"
    );
    maps.patch("one", &other.force(), &Patch::Apply(map("one", "2"))).await?;
    let merge = Patch::Merge(json!({"data": {"b": "3"}}));
    let merged = maps.patch("one", &PatchParams::default(), &merge).await?;
    ensure!(merged.data.is_some_and(|data| data.len() == 2), "the patch adds");
    maps.delete("one", &DeleteParams::default()).await?;
    let events = watch.try_filter_map(async |event| {
        Ok(match event {
            WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("one") => Some('+'),
            WatchEvent::Modified(_) => Some('~'),
            WatchEvent::Deleted(_) => Some('-'),
            _ => None,
        })
    });
    let seen: String = tokio::time::timeout(DEADLINE, events.take(4).try_collect()).await??;
    ensure!(seen == "+~~-", "{seen}");
    for number in 0..5 {
        let name = format!("page-{number}");
        maps.patch(&name, &by, &Patch::Apply(map(&name, ""))).await?;
    }
    let (mut names, mut page) = (Vec::new(), ListParams::default().limit(2));
    loop {
        let list = maps.list(&page).await?;
        names.extend(list.items.into_iter().filter_map(|map| map.metadata.name));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    ensure!(names == ["page-0", "page-1", "page-2", "page-3", "page-4"], "{names:?}");
    Ok(())
}

/// Makes a pod that serves a page.
async fn create(pods: &Api<Pod>) -> Result<()> {
    let script = "mkdir /www; echo served > /www/index.html; httpd -p 8080 -h /www; sleep 86400";
    let pod = json!({"metadata": {"name": "talk", "labels": {"app": "talk"}}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [{"name": "main",
            "image": "busybox:local", "command": ["sh", "-c", script]}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    Ok(())
}

/// Talks to a process and to a port of a pod.
async fn conversations(pods: &Api<Pod>) -> Result<()> {
    let stdin = AttachParams::default().stdin(true).stderr(false);
    let mut process =
        pods.exec("talk", ["sh", "-c", "read word; echo heard $word"], &stdin).await?;
    let mut input = process.stdin().context("an input")?;
    let mut output = process.stdout().context("an output")?;
    let status = process.take_status().context("a status")?;
    input.write_all(b"hello\n").await?;
    let mut heard = String::new();
    output.read_to_string(&mut heard).await?;
    ensure!(heard == "heard hello\n", "{heard:?}");
    let ended = status.await.and_then(|status| status.status);
    ensure!(ended.as_deref() == Some("Success"), "{ended:?}");

    let mut ports = pods.portforward("talk", &[8080]).await?;
    let mut stream = ports.take_stream(8080).context("a stream")?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.ends_with("served\n"), "{answer:?}");
    Ok(())
}
