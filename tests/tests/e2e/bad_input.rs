//! What a user sees who asks for something wrong.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use skein_tests::{Cluster, wait_for};

use crate::support::{Namespace, POD_DEADLINE};

/// Runs kubectl, which must refuse, and returns what it said.
fn refused(cluster: &Cluster, args: &[&str], stdin: Option<&str>) -> Result<String> {
    match cluster.kubectl("h2", args, stdin) {
        Ok(output) => anyhow::bail!("kubectl {args:?} was not refused: {output}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[test]
fn wrong_manifests_are_refused_with_what_is_wrong_and_where() -> Result<()> {
    let cluster = Cluster::attach()?;
    let cases = [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}",
            "spec.containers",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {contaners: []}", "contaners"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER}", "metadata.name"),
        ("apiVersion: v1\nkind: Gadget\nmetadata: {name: x}", "Gadget"),
        ("kind: [", "yaml"),
    ];
    for (manifest, expected) in cases {
        let said = refused(&cluster, &["apply", "-f", "-"], Some(manifest))?;
        ensure!(said.to_lowercase().contains(&expected.to_lowercase()), "{manifest}: {said}");
    }
    Ok(())
}

#[test]
fn a_body_of_twenty_megabytes_is_refused_and_the_server_goes_on() -> Result<()> {
    let cluster = Cluster::attach()?;
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"big"}},"data":{{"x":"{}"}}}}"#,
        "x".repeat(20 << 20)
    );
    let path = "/api/v1/namespaces/default/configmaps";
    let said = refused(&cluster, &["create", "--raw", path, "-f", "-"], Some(&body))?;
    ensure!(said.contains("too large") || said.contains("limit"), "{said}");
    cluster.kubectl("h2", &["get", "nodes"], None)?;
    Ok(())
}

#[test]
fn an_image_that_does_not_exist_is_told_on_the_pod() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-no-image")?;
    let manifest = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: none, namespace: {}}}, spec: {{containers: \
         [{{name: none, image: 'localhost:1/none:1'}}]}}}}",
        ns.name
    );
    cluster.apply("h1", &manifest)?;
    wait_for("the pod to tell", POD_DEADLINE, || {
        let pods = cluster.kubectl("h3", &["-n", &ns.name, "get", "pods"], None)?;
        ensure!(pods.contains("ErrImagePull") || pods.contains("ImagePullBackOff"), "{pods}");
        anyhow::Ok(())
    })?;
    let events = cluster.kubectl("h3", &["-n", &ns.name, "describe", "pod", "none"], None)?;
    ensure!(events.contains("localhost:1/none:1") && events.contains("Failed"), "{events}");
    Ok(())
}

#[test]
fn a_pod_that_fits_nowhere_says_why() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-no-room")?;
    let manifest = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: huge, namespace: {}}}, spec: {{containers: \
         [{{name: huge, image: 'busybox:local', resources: {{requests: {{cpu: 1000}}}}}}]}}}}",
        ns.name
    );
    cluster.apply("h1", &manifest)?;
    wait_for("the pod to tell", POD_DEADLINE, || {
        let pod = cluster.kubectl("h2", &["-n", &ns.name, "describe", "pod", "huge"], None)?;
        let told = pod.contains("0/3 nodes are available") && pod.contains("Insufficient cpu");
        ensure!(told, "{pod}");
        anyhow::Ok(())
    })
}

#[test]
fn a_host_with_a_wrong_token_is_told_so() -> Result<()> {
    let cluster = Cluster::attach()?;
    let token = cluster.skein(&["token", "create", "--quiet"])?;
    let token = token.trim();
    let id = token.split('.').nth(1).context("a token has an id")?;
    let listed = cluster.skein(&["token", "list"])?;
    ensure!(listed.contains(id), "{listed}");
    cluster.skein(&["token", "revoke", id])?;
    let dead_seed = ["10.77.0.1:7699", token];
    let revoked = ["10.77.0.1:7600", token];
    let garbled = ["10.77.0.1:7600", "skein1.not-a-token"];
    for ([seed, token], expected) in
        [(revoked, "revoked"), (dead_seed, "10.77.0.1:7699"), (garbled, "token")]
    {
        let said = refused_to_join("stranger", seed, token)?;
        ensure!(said.contains(expected), "{seed}: {said}");
        ensure!(!said.contains(token), "a token is a secret: {said}");
    }
    Ok(())
}

#[test]
fn a_host_that_wants_the_name_of_a_living_one_is_told_to_choose_another() -> Result<()> {
    let cluster = Cluster::attach()?;
    let token = cluster.skein(&["token", "create", "--quiet"])?;
    let said = refused_to_join("h2", "10.77.0.1:7600", token.trim())?;
    ensure!(said.contains("h2") && said.contains("--name"), "{said}");
    Ok(())
}

/// Starts a node that must not come up, and returns what it said.
fn refused_to_join(name: &str, seed: &str, token: &str) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let output = Command::new("timeout")
        .arg("60")
        .arg(skein_tests::binary()?)
        .args(["up", "--name", name, "--runtime", "simulated"])
        .args(["--listen", "10.77.0.254:7600", "--advertise", "10.77.0.254"])
        .args(["--api", "127.0.0.1:0", "--seed", seed, "--token", token, "--data-dir"])
        .arg(directory.path())
        .output()?;
    ensure!(output.status.code().is_some_and(|code| code == 1 || code == 2), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}
