//! What is done to hosts: signals to their nodes, their cables pulled.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;

use super::{Cluster, run};
use crate::wait_for;

/// The state of a host's network cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Pulled.
    Cut,
    /// Plugged in.
    Whole,
}

impl Cluster {
    /// The process id of the node of `host`.
    ///
    /// # Errors
    /// When it has never been started.
    pub fn pid(&self, host: &str) -> Result<i32> {
        let path = self.path(host).join("skein.pid");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        text.trim().parse().with_context(|| format!("{} holds {text:?}", path.display()))
    }

    /// Sends `signal` to the node of `host` and returns the moment just before.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, host: &str, signal: Signal) -> Result<Instant> {
        let pid = Pid::from_raw(self.pid(host)?);
        let moment = Instant::now();
        nix::sys::signal::kill(pid, signal).with_context(|| format!("{signal} to {host}"))?;
        Ok(moment)
    }

    /// Waits until the process of `host`'s node has ended.
    ///
    /// # Errors
    /// When it has not after `deadline`.
    pub fn wait_ended(&self, host: &str, deadline: Duration) -> Result<()> {
        let pid = self.pid(host)?;
        wait_for(&format!("the node of {host} to end"), deadline, || {
            // Empty once it has ended, also while nobody has asked how.
            match std::fs::read(format!("/proc/{pid}/cmdline")) {
                Ok(line) if !line.is_empty() => Err(format!("process {pid} runs")),
                _ => Ok(()),
            }
        })
    }

    /// Pulls the network cable of `host`, or plugs it in again, and returns the moment just
    /// before.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn set_link(&self, host: &str, state: Link) -> Result<Instant> {
        let state = match state {
            Link::Cut => "down",
            Link::Whole => "up",
        };
        let moment = Instant::now();
        // What `scripts/cluster cut` does, without the time a shell takes to start.
        run(Command::new("ip").args(["-n", "skein-switch", "link", "set", host, state]), None)?;
        Ok(moment)
    }

    /// Waits until `voters` voters are alive and every host serves what was written last.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn wait_voters(&self, voters: usize, deadline: Duration) -> Result<()> {
        wait_for(&format!("{voters} voters that are alive"), deadline, || {
            for host in self.hosts()? {
                // Answers when this host's own replica has caught up.
                self.kubectl(&host, &["get", "--raw", "/api/v1/namespaces/default"], None)?;
            }
            let status: Value = serde_json::from_str(&self.skein(&["status", "-o", "json"])?)?;
            let members = status["members"].as_array().cloned().unwrap_or_default();
            let votes = |member: &&Value| {
                member["alive"] == true
                    && matches!(member["role"].as_str(), Some("leader" | "voter"))
            };
            let alive = members.iter().filter(votes).count();
            ensure!(alive == voters && status["quorum"] == true, "{status}");
            anyhow::Ok(())
        })
    }
}
