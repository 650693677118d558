//! Three nodes that all vote, on the loopback and the disk of this machine, without Docker: what
//! the API does is the same as on hosts of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use kube::{Client, config::Kubeconfig};
use serde_json::Value;
use skein_tests::{binary, client, wait_for};
use tempfile::TempDir;

use crate::process::Process;

const DEADLINE: Duration = Duration::from_secs(60);
/// All connections are made at once, on a machine that also runs the nodes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After the last of them votes, what they do at their start is over by then.
const SETTLING: Duration = Duration::from_secs(3);

/// The running nodes; they end with this.
pub(crate) struct Voters {
    nodes: Vec<Process>,
    binary: PathBuf,
    directory: TempDir,
}

impl Voters {
    /// Starts them beside the binary, so that the disk is that of the checkout.
    pub(crate) fn start() -> Result<Self> {
        let binary = binary()?;
        let parent = binary.parent().context("a binary lies in a directory")?;
        let directory = tempfile::Builder::new().prefix("bench-voters-").tempdir_in(parent)?;
        let mut voters = Self { nodes: Vec::new(), binary, directory };
        voters.add(None)?;
        let token =
            wait_for("a join token", DEADLINE, || voters.skein(&["token", "create", "-q"]))?;
        for _ in 0..2 {
            voters.add(Some(token.trim()))?;
        }
        wait_for("three voters", DEADLINE, || {
            let status = voters.status()?;
            let members = status["members"].as_array().context("a status has members")?;
            let of = |role| members.iter().filter(|member| member["role"] == role).count();
            ensure!((of("leader"), of("voter")) == (1, 2), "{status}");
            anyhow::Ok(())
        })?;
        settle(SETTLING);
        Ok(voters)
    }

    fn add(&mut self, token: Option<&str>) -> Result<()> {
        let name = format!("h{}", self.nodes.len() + 1);
        let directory = self.directory.path().join(&name);
        std::fs::create_dir(&directory)?;
        let mut node = Process::new(self.binary.clone(), &directory, &name)?;
        if let Some(token) = token {
            node = node.joining(self.founder()?, token);
        }
        node.start()?;
        self.nodes.push(node);
        Ok(())
    }

    fn founder(&self) -> Result<&Process> {
        self.nodes.first().context("there is a founder")
    }

    /// The disk they write to.
    pub(crate) fn disk(&self) -> &Path {
        self.directory.path()
    }

    /// The one that leads.
    pub(crate) fn leader(&self) -> Result<&Process> {
        let status = self.status()?;
        let leader = status["leader"].as_str().context("nobody leads")?;
        self.nodes.iter().find(|node| node.name() == leader).context("it is one of them")
    }

    /// One that does not lead: the longer way of everything.
    pub(crate) fn follower(&self) -> Result<&Process> {
        let leader = self.leader()?.name().to_owned();
        self.nodes.iter().find(|node| node.name() != leader).context("there are three")
    }

    /// The one that leads, [`Voters::follower`], and the other follower.
    pub(crate) fn roles(&self) -> Result<[&Process; 3]> {
        let leader = self.leader()?;
        let mut followers = self.nodes.iter().filter(|node| node.name() != leader.name());
        let mut next = || followers.next().context("there are three");
        Ok([leader, next()?, next()?])
    }

    /// The administrator's way to `node`.
    pub(crate) fn kubeconfig(&self, node: &Process) -> Result<Kubeconfig> {
        node.kubeconfig(self.founder()?)
    }

    /// So many clients of `node`, each with a connection of its own.
    pub(crate) async fn clients(&self, node: &Process, count: usize) -> Result<Vec<Client>> {
        let kubeconfig = self.kubeconfig(node)?;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(client(kubeconfig.clone(), CONNECT_TIMEOUT).await?);
        }
        Ok(clients)
    }

    fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.skein(&["status", "-o", "json"])?)?)
    }

    fn skein(&self, args: &[&str]) -> Result<String> {
        let kubeconfig = self.founder()?.data().join("admin.kubeconfig");
        let mut command = Command::new(&self.binary);
        let output = command.arg("--kubeconfig").arg(kubeconfig).args(args).output()?;
        if !output.status.success() {
            bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Leaves the nodes alone for a while: what they do then can only be waited for.
#[allow(clippy::disallowed_methods, reason = "the time is part of what is measured")]
pub(crate) fn settle(duration: Duration) {
    std::thread::sleep(duration);
}
