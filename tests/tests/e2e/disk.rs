//! A voter whose disk is full.

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skein_tests::{Cluster, Http, wait_for};
use tokio::runtime::Runtime;

use crate::support::{NODE_DEADLINE, Namespace, node_ready, other_than};

const SETTLED_DEADLINE: Duration = Duration::from_secs(90);
/// What the small disk has beyond what is on it already.
const ROOM_BYTES: u64 = 96 << 20;
/// Bytes of one object: some hundreds of them are more than any reserve of preallocated files.
const OBJECT_BYTES: usize = 512 << 10;
/// How many are written at most.
const OBJECTS: usize = 400;

#[test]
fn a_leader_with_a_full_disk_steps_down_says_so_and_resumes_when_there_is_space() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-disk")?;
    let full = other_than(&cluster.hosts()?, &cluster.leader()?);
    let mut disk = SmallDisk::new(&cluster, &full)?;
    make_leader(&cluster, &full)?;

    disk.fill()?;
    let witness = other_than(&cluster.hosts()?, &full);
    let writer = Writer::new(&cluster, &witness, &ns.name)?;
    let written = writer.write_until(|| {
        let status: Value =
            serde_json::from_str(&cluster.skein_at(&full, &["status", "-o", "json"])?)?;
        Ok(!status["warnings"].as_array().is_none_or(Vec::is_empty))
    })?;
    let status = cluster.skein_at(&full, &["status"])?;
    ensure!(status.contains("disk") && status.contains(&full), "{status}");
    wait_for("another host to lead", NODE_DEADLINE, || {
        let leader = cluster.leader()?;
        ensure!(leader != full, "{full} leads without a disk");
        anyhow::Ok(())
    })?;
    writer.write_more(written)?;

    disk.make_space()?;
    cluster.wait_voters(3, SETTLED_DEADLINE)?;
    node_ready(&cluster, &full)?;
    wait_for("the warning to go", NODE_DEADLINE, || {
        let status = cluster.skein_at(&full, &["status"])?;
        ensure!(!status.contains("disk"), "{status}");
        anyhow::Ok(())
    })
}

/// Makes `host` lead: stops whoever leads, and whoever takes over instead, while there is nobody
/// else but `host` to hand over to.
fn make_leader(cluster: &Cluster, host: &str) -> Result<()> {
    wait_for(&format!("{host} to lead"), SETTLED_DEADLINE, || {
        let mut stopped = Vec::new();
        while stopped.len() < 2 {
            let leader = cluster.leader()?;
            if leader == host {
                break;
            }
            cluster.script(&["stop", &leader])?;
            stopped.push(leader);
        }
        for other in &stopped {
            cluster.script(&["start", other])?;
        }
        cluster.wait_voters(3, SETTLED_DEADLINE)?;
        let leader = cluster.leader()?;
        ensure!(leader == host, "{leader} leads");
        anyhow::Ok(())
    })
}

/// Large objects through one host.
struct Writer {
    runtime: Runtime,
    http: Http,
    collection: String,
}

impl Writer {
    fn new(cluster: &Cluster, host: &str, namespace: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = runtime.block_on(Http::new(cluster, host, NODE_DEADLINE))?;
        Ok(Self { runtime, http, collection: format!("/api/v1/namespaces/{namespace}/configmaps") })
    }

    fn write(&self, number: usize) -> Result<()> {
        let object = json!({
            "metadata": {"name": format!("large-{number}")},
            "data": {"payload": "x".repeat(OBJECT_BYTES)}
        });
        let begun = Instant::now();
        loop {
            let answer = self.runtime.block_on(self.http.post(&self.collection, &object));
            match answer {
                Ok(answer) if answer.succeeded() || answer.code == 409 => return Ok(()),
                // Between two leaders.
                other => ensure!(begun.elapsed() < NODE_DEADLINE, "object {number}: {other:?}"),
            }
        }
    }

    /// Writes until `enough` says so, and returns how many.
    fn write_until(&self, enough: impl Fn() -> Result<bool>) -> Result<usize> {
        for number in 0..OBJECTS {
            self.write(number)?;
            if enough()? {
                return Ok(number + 1);
            }
        }
        anyhow::bail!("the disk has room for {OBJECTS} objects of {OBJECT_BYTES} bytes")
    }

    /// The others take writes without the host that cannot.
    fn write_more(&self, from: usize) -> Result<()> {
        (from..from + 5).try_for_each(|number| self.write(number))
    }
}

/// The replica's files of one host, on a file system of their own that is hardly larger than they
/// are. When dropped they are where they were.
struct SmallDisk<'a> {
    cluster: &'a Cluster,
    host: String,
    files: PathBuf,
    aside: PathBuf,
}

impl<'a> SmallDisk<'a> {
    fn new(cluster: &'a Cluster, host: &str) -> Result<Self> {
        let data = cluster.path(host).join("data");
        let (files, aside) = (data.join("raft"), data.join("raft.aside"));
        cluster.script(&["stop", host])?;
        std::fs::rename(&files, &aside)?;
        std::fs::create_dir(&files)?;
        let disk = Self { cluster, host: host.to_owned(), files, aside };
        let bytes = used(&disk.aside)? + ROOM_BYTES;
        let size = format!("size={bytes}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&disk.files))?;
        run(Command::new("cp").arg("-a").arg(disk.aside.join(".")).arg(&disk.files))?;
        cluster.script(&["start", host])?;
        cluster.wait_voters(3, SETTLED_DEADLINE)?;
        Ok(disk)
    }

    fn ballast(&self) -> PathBuf {
        self.files.join("ballast")
    }

    /// Takes all the space that is left.
    fn fill(&mut self) -> Result<()> {
        let mut ballast = File::create(self.ballast())?;
        let page = [0_u8; 4_096];
        loop {
            match ballast.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn make_space(&mut self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }

    /// The files back where they were.
    fn restore(&self) -> Result<()> {
        self.cluster.script(&["stop", &self.host])?;
        let ballast = self.ballast();
        if ballast.exists() {
            std::fs::remove_file(&ballast)?;
        }
        std::fs::remove_dir_all(&self.aside)?;
        run(Command::new("cp").arg("-a").arg(&self.files).arg(&self.aside))?;
        run(Command::new("umount").arg(&self.files))?;
        std::fs::remove_dir(&self.files)?;
        std::fs::rename(&self.aside, &self.files)?;
        self.cluster.script(&["start", &self.host])?;
        self.cluster.wait_voters(3, SETTLED_DEADLINE)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!("the disk of {} was not restored: {error:#}", self.host);
        }
    }
}

/// Bytes of the files in a directory.
fn used(directory: &std::path::Path) -> Result<u64> {
    let text = run(Command::new("du").args(["-sb"]).arg(directory))?;
    let bytes = text.split_whitespace().next().context("du prints a number")?;
    Ok(bytes.parse()?)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
