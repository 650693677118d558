//! An engine of the test's own: data, socket and process live and die with the test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tempfile::TempDir;

use super::DockerRuntime;
use crate::{
    ContainerRuntime,
    archive::{Image, ImageFile, pack},
    contract::{Subject, eventually},
};

/// The image the tests run, made from the host's busybox.
pub(crate) const SHELL_IMAGE: &str = "skein-test/shell:1";

/// A Docker engine without any network of its own.
pub(crate) struct TestEngine {
    dir: TempDir,
    process: Child,
}

impl TestEngine {
    /// Starts an engine and waits until it answers.
    pub(crate) async fn start() -> Self {
        for tool in ["dockerd", "containerd", "runc", "busybox"] {
            let found = Command::new("which").arg(tool).stdout(Stdio::null()).status().unwrap();
            assert!(found.success(), "{tool} is missing: apt-get install docker.io busybox-static");
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        assert_eq!(id.stdout, b"0\n", "the Docker tests need root");
        mount_cgroups();
        let dir = TempDir::with_prefix("skein-docker-").unwrap();
        let process = spawn(dir.path());
        let engine = Self { dir, process };
        engine.answers().await;
        engine
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    pub(crate) fn runtime(&self) -> DockerRuntime {
        DockerRuntime::connect(self.socket())
    }

    /// The engine with the shell image loaded.
    pub(crate) async fn subject(&self) -> Subject {
        let runtime = self.runtime();
        let archive = stream::once(std::future::ready(Ok(shell_archive()))).boxed();
        let loaded = runtime.load_image(archive).await.unwrap();
        assert_eq!(loaded, [SHELL_IMAGE]);
        Subject { runtime: Arc::new(runtime), image: SHELL_IMAGE.to_owned() }
    }

    /// Ends the engine and with it its containers; the data stay.
    pub(crate) fn stop(&mut self) {
        // SIGTERM: a killed engine leaves a containerd behind that keeps its successor from starting.
        let asked = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.process.wait().unwrap();
    }

    /// Starts the engine again on the same data.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.dir.path());
        self.answers().await;
    }

    async fn answers(&self) {
        let runtime = self.runtime();
        eventually("the engine answers", async || runtime.version().await.ok()).await;
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        // SIGTERM lets the engine end its containers and its containerd.
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(Command::new("kill").arg(self.process.id().to_string()).status());
            drop(self.process.wait());
        }
        // Mounts of containers that were still there would keep the directory.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let inside = |target: &&str| Path::new(target).starts_with(self.dir.path());
        for target in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(inside) {
            drop(Command::new("umount").args(["-l", target]).status());
        }
    }
}

fn spawn(dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("docker.log")).unwrap();
    let at = |name: &str| dir.join(name).into_os_string();
    Command::new("dockerd")
        .args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"])
        .arg("--data-root")
        .arg(at("data"))
        .arg("--exec-root")
        .arg(at("exec"))
        .arg("--pidfile")
        .arg(at("docker.pid"))
        .arg("--host")
        .arg(format!("unix://{}", dir.join("docker.sock").display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Mounts the version 1 hierarchies where nobody has mounted any, as `cgroupfs-mount` does.
fn mount_cgroups() {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
        || Path::new("/sys/fs/cgroup/memory").exists()
    {
        return;
    }
    let script = "mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup && \
        for c in $(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups); do \
        mkdir -p /sys/fs/cgroup/$c && mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c; done";
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success(), "no cgroups");
}

/// An archive with `sh` and `sleep`: busybox, and the libraries of one that is not static.
fn shell_archive() -> Bytes {
    let which = Command::new("which").arg("busybox").output().unwrap();
    let path = String::from_utf8(which.stdout).unwrap();
    let busybox = std::fs::read(path.trim()).unwrap();
    let linked = Command::new("ldd").arg(path.trim()).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let libraries: Vec<(&str, Vec<u8>)> = linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(|library| (library.trim_start_matches('/'), std::fs::read(library).unwrap()))
        .collect();
    let programs = ["bin/sh", "bin/sleep", "bin/ip", "bin/cat", "bin/hostname"];
    let files: Vec<ImageFile<'_>> = programs
        .iter()
        .map(|program| (*program, &busybox))
        .chain(libraries.iter().map(|(path, content)| (*path, content)))
        .map(|(path, content)| ImageFile { path, mode: 0o755, content })
        .collect();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let image = Image { tag: SHELL_IMAGE, architecture, entrypoint: &["/bin/sh"], files: &files };
    Bytes::from(pack(&image).unwrap())
}

/// A registry of the test's own, plain HTTP on a free port of the loopback address.
pub(crate) struct TestRegistry {
    _dir: TempDir,
    process: Child,
    pub(crate) address: String,
}

impl TestRegistry {
    pub(crate) async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = TempDir::with_prefix("skein-registry-").unwrap();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {free}\n",
            dir.path().display()
        );
        let path = dir.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is missing: apt-get install docker-registry");
        let registry = Self { _dir: dir, process, address: free.to_string() };
        eventually("the registry answers", async || {
            tokio::net::TcpStream::connect(free).await.ok()
        })
        .await;
        registry
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
