//! One node without hosts or Docker around it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use kube::config::Kubeconfig;
use nix::{sys::signal::Signal, unistd::Pid};
use skein_tests::wait_for;

const END_DEADLINE: Duration = Duration::from_secs(60);
/// How many parts of a second `/proc` counts processor time in, on every Linux that runs Skein.
const TICKS_PER_SECOND: u64 = 100;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What it holds now.
    pub(crate) resident: u64,
    /// The most it has held.
    pub(crate) peak: u64,
}

/// A node on the loopback, with pods that live in its memory only.
pub(crate) struct Process {
    name: String,
    binary: PathBuf,
    directory: PathBuf,
    listen: String,
    api: String,
    /// What lets it into a cluster, as options of `skein up`.
    joins: Vec<String>,
    child: Option<Child>,
}

impl Process {
    /// A node that keeps everything in `directory` and founds its cluster; not started yet.
    pub(crate) fn new(binary: PathBuf, directory: &Path, name: &str) -> Result<Self> {
        let listen = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        let (name, directory) = (name.to_owned(), directory.to_owned());
        Ok(Self { name, binary, directory, listen, api, joins: Vec::new(), child: None })
    }

    /// The same node, but it joins the cluster of `seed`.
    pub(crate) fn joining(mut self, seed: &Self, token: &str) -> Self {
        let options = ["--seed", &seed.listen, "--token", token];
        self.joins = options.map(str::to_owned).to_vec();
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The API of this node, for the administrator that `founder` wrote down.
    pub(crate) fn kubeconfig(&self, founder: &Self) -> Result<Kubeconfig> {
        let mut kubeconfig = Kubeconfig::read_from(founder.data().join("admin.kubeconfig"))?;
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(format!("https://{}", self.api));
        }
        Ok(kubeconfig)
    }

    /// Starts it, and returns the moment just before.
    pub(crate) fn start(&mut self) -> Result<Instant> {
        let log =
            File::options().create(true).append(true).open(self.directory.join("skein.log"))?;
        let begun = Instant::now();
        let child = Command::new(&self.binary)
            .args(["up", "--name", &self.name, "--runtime", "simulated", "--listen", &self.listen])
            .args(["--advertise", &self.listen, "--api", &self.api, "--data-dir"])
            .arg(self.data())
            .args(&self.joins)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be run", self.binary.display()))?;
        self.child = Some(child);
        Ok(begun)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL)
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        nix::sys::signal::kill(pid_of(&child)?, signal)?;
        wait_for("the node to end", END_DEADLINE, || match child.try_wait() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// What it holds of the machine's memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        Ok(Memory { resident: field(&status, "VmRSS:")?, peak: field(&status, "VmHWM:")? })
    }

    /// The processor time it has used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name of the program, which may hold anything, ends with the last parenthesis.
        let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut next = || times.next().context("a process has times")?.context("a number");
        let ticks = next()? + next()?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let child = self.child.as_ref().context("the node was not started")?;
        fs::read_to_string(format!("/proc/{}/{file}", child.id())).context("see the node's log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself, which is as good.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn pid_of(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id())?))
}

/// One line of `/proc/PID/status`, which tells kilobytes.
fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kilobytes
        .with_context(|| format!("no {name} in the process status: the node ended; see its log"))?
        .parse::<u64>()?
        << 10)
}
