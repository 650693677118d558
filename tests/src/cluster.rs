//! The local cluster of `scripts/cluster`, seen from the outside.

mod faults;

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

pub use self::faults::Link;
use crate::wait_for;

/// What a test wants to know of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node it is bound to, empty before.
    pub node: String,
    /// Its address, empty before it has one.
    pub ip: String,
    /// Whether its `Ready` condition is true.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Image of its first container.
    pub image: String,
    /// Container ids by container name, without the runtime's prefix.
    pub containers: BTreeMap<String, String>,
    /// Restarts over all containers.
    pub restarts: u64,
}

impl Pod {
    fn parse(pod: &Value) -> Self {
        let text = |pointer: &str| {
            pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let list = |pointer: &str| {
            pod.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let statuses = list("/status/containerStatuses");
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            node: text("/spec/nodeName"),
            ip: text("/status/podIP"),
            ready: list("/status/conditions")
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True"),
            terminating: pod.pointer("/metadata/deletionTimestamp").is_some(),
            image: text("/spec/containers/0/image"),
            containers: statuses
                .iter()
                .filter_map(|status| {
                    let id = status["containerID"].as_str()?;
                    let id = id.rsplit_once("://").map_or(id, |(_, id)| id);
                    Some((status["name"].as_str()?.to_owned(), id.to_owned()))
                })
                .collect(),
            restarts: statuses.iter().filter_map(|status| status["restartCount"].as_u64()).sum(),
        }
    }
}

/// A handle on the cluster in `.cluster/` of this checkout.
#[derive(Clone, Debug)]
pub struct Cluster {
    root: PathBuf,
}

impl Cluster {
    /// Attaches to the running cluster.
    ///
    /// # Errors
    /// When there is none; the message says how to start it.
    pub fn attach() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the tests crate lies in the workspace")?
            .to_owned();
        ensure!(
            root.join(".cluster/kubeconfig").is_file(),
            "no local cluster: run `scripts/cluster up` first, or `scripts/test`, which does"
        );
        Ok(Self { root })
    }

    /// The directory of everything of one host, or of the cluster where `host` is empty.
    pub fn path(&self, host: &str) -> PathBuf {
        self.root.join(".cluster").join(host)
    }

    /// The kubeconfig whose server is `host`, or the one of all hosts where it is empty.
    pub fn kubeconfig(&self, host: &str) -> PathBuf {
        let name = if host.is_empty() { "kubeconfig".into() } else { format!("{host}.kubeconfig") };
        self.root.join(".cluster").join(name)
    }

    /// Runs `scripts/cluster ARGS` and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub fn script(&self, args: &[&str]) -> Result<String> {
        run(Command::new(self.root.join("scripts/cluster")).args(args), None)
    }

    /// Runs `kubectl ARGS` against `host`, giving it `stdin`.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub fn kubectl(&self, host: &str, args: &[&str], stdin: Option<&str>) -> Result<String> {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig(host));
        run(command.args(args), stdin)
    }

    /// Runs `kubectl ARGS -o json` against `host`.
    ///
    /// # Errors
    /// When it fails or does not print JSON.
    pub fn kubectl_json(&self, host: &str, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.kubectl(host, &args, None)?).context("kubectl printed no JSON")
    }

    /// Runs `skein ARGS` as its administrator, against whichever host answers.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub fn skein(&self, args: &[&str]) -> Result<String> {
        self.skein_at("", args)
    }

    /// Runs `skein ARGS` as its administrator, against `host`.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub fn skein_at(&self, host: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(binary()?);
        command.arg("--kubeconfig").arg(self.kubeconfig(host));
        run(command.args(args), None)
    }

    /// Runs `docker ARGS` against the engine of `host`.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub fn docker(&self, host: &str, args: &[&str]) -> Result<String> {
        let socket = format!("unix://{}", self.path(host).join("docker.sock").display());
        run(Command::new("docker").args(["-H", &socket]).args(args), None)
    }

    /// The name of the host that leads.
    ///
    /// # Errors
    /// When nobody leads or nobody answers within ten seconds.
    pub fn leader(&self) -> Result<String> {
        wait_for("a leader", Duration::from_secs(10), || {
            let status: Value = serde_json::from_str(&self.skein(&["status", "-o", "json"])?)?;
            match status["leader"].as_str() {
                Some(leader) if !leader.is_empty() => Ok(leader.to_owned()),
                _ => bail!("status {status}"),
            }
        })
    }

    /// The names of the hosts, in order.
    ///
    /// # Errors
    /// When the cluster's directory cannot be read.
    pub fn hosts(&self) -> Result<Vec<String>> {
        let mut hosts: Vec<String> = std::fs::read_dir(self.path(""))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                name.strip_prefix('h').is_some_and(|number| number.parse::<u32>().is_ok())
            })
            .collect();
        hosts.sort();
        Ok(hosts)
    }

    /// The pods `selector` names in `namespace`, asked of `host`.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn pods(&self, host: &str, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
        let list = self.kubectl_json(host, &["-n", namespace, "get", "pods", "-l", selector])?;
        let items = list["items"].as_array().context("a list has items")?;
        Ok(items.iter().map(Pod::parse).collect())
    }

    /// Waits until exactly `count` pods of `selector` are ready and none besides is left.
    ///
    /// # Errors
    /// When the deadline passes; the message holds the pods seen last.
    pub fn wait_ready(
        &self,
        host: &str,
        namespace: &str,
        selector: &str,
        count: usize,
        deadline: Duration,
    ) -> Result<Vec<Pod>> {
        wait_for(&format!("{count} ready pods of {selector}"), deadline, || {
            let pods = self.pods(host, namespace, selector)?;
            let ready = pods.iter().all(|pod| pod.ready && !pod.terminating);
            ensure!(ready && pods.len() == count, "{pods:#?}");
            anyhow::Ok(pods)
        })
    }

    /// Applies a manifest through `host`.
    ///
    /// # Errors
    /// When kubectl refuses it.
    pub fn apply(&self, host: &str, manifest: &str) -> Result<String> {
        // Without the line kubectl takes a flow mapping for JSON.
        self.kubectl(host, &["apply", "-f", "-"], Some(&format!("---\n{manifest}")))
    }
}

/// The `skein` binary that is tested: the one asked for, else the newest kind there is.
///
/// # Errors
/// When none has been built.
pub fn binary() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
    let built = ["release", "debug"].map(|profile| target.join(profile).join("skein"));
    let chosen = std::env::var_os("SKEIN_BIN").map(PathBuf::from);
    chosen
        .into_iter()
        .chain(built)
        .find(|path| path.is_file())
        .context("no skein binary: build it or set SKEIN_BIN")
}

/// Runs a command to its end and returns its standard output.
fn run(command: &mut Command, stdin: Option<&str>) -> Result<String> {
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?} did not start"))?;
    let input = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A program that ends before it has read everything says why by its exit code.
        scope.spawn(|| input.zip(stdin).map(|(mut input, text)| input.write_all(text.as_bytes())));
        child.wait_with_output()
    })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}
