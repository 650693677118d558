//! One node without hosts or Docker around it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{sys::signal::Signal, unistd::Pid};
use skein_tests::wait_for;

const END_DEADLINE: Duration = Duration::from_secs(60);

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// What it holds now.
    pub(super) resident: u64,
    /// The most it has held.
    pub(super) peak: u64,
}

/// A node on the loopback, with pods that live in its memory only.
pub(super) struct Process {
    binary: PathBuf,
    directory: PathBuf,
    listen: String,
    api: String,
    child: Option<Child>,
}

impl Process {
    /// A node that keeps everything in `directory`; not started yet.
    pub(super) fn new(binary: PathBuf, directory: &Path) -> Result<Self> {
        let listen = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        Ok(Self { binary, directory: directory.to_owned(), listen, api, child: None })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it, and returns the moment just before.
    pub(super) fn start(&mut self) -> Result<Instant> {
        let log =
            File::options().create(true).append(true).open(self.directory.join("skein.log"))?;
        let begun = Instant::now();
        let child = Command::new(&self.binary)
            .args(["up", "--name", "h1", "--runtime", "simulated", "--listen", &self.listen])
            .args(["--advertise", &self.listen, "--api", &self.api, "--data-dir"])
            .arg(self.data())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be run", self.binary.display()))?;
        self.child = Some(child);
        Ok(begun)
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self) -> Result<()> {
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
    pub(super) fn memory(&mut self) -> Result<Memory> {
        let child = self.child.as_mut().context("the node was not started")?;
        ensure!(child.try_wait()?.is_none(), "the node ended; see its log");
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        Ok(Memory { resident: field(&status, "VmRSS:")?, peak: field(&status, "VmHWM:")? })
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
    Ok(kilobytes.with_context(|| format!("no {name} in the process status"))?.parse::<u64>()? << 10)
}
