//! Hosts and pods as network namespaces of sleeping processes; they go with their processes.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use tokio::runtime::{Builder, Runtime};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const CLUSTER: &str = "10.42.0.0/16";

/// A process in a network namespace of its own.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare is missing: apt-get install util-linux");
        let namespace = Self(child);
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_link(namespace.path()).unwrap() == own {
            assert!(Instant::now() < deadline, "no new namespace: these tests need root");
            thread::yield_now();
        }
        namespace
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    /// Runs on a thread inside.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).unwrap();
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside.join().unwrap()
        })
    }

    fn command(&self, line: &str) {
        let status = self.run(|| Command::new("sh").args(["-c", line]).status().unwrap());
        assert!(status.success(), "{line}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A host: its namespace and the network kept by a process in it.
struct Host {
    namespace: Namespace,
    runtime: Runtime,
    network: HostNetwork,
    range: Ipv4Cidr,
}

impl Host {
    fn new(number: u8) -> Self {
        let namespace = Namespace::new();
        namespace.command("ip link set lo up");
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let network = open(&namespace, &runtime);
        let range = format!("10.42.{number}.0/24").parse().unwrap();
        Self { namespace, runtime, network, range }
    }

    /// Runs something on the host's network, in the host's namespace.
    fn run<'a, T: Send, F: Future<Output = T>>(
        &'a self,
        work: impl FnOnce(&'a HostNetwork) -> F + Send,
    ) -> T {
        self.namespace.run(|| self.runtime.block_on(work(&self.network)))
    }

    fn pod(&self, uid: &str) -> Pod {
        let namespace = Namespace::new();
        let pid = namespace.pid();
        let address = self.run(|network| network.attach(uid, pid)).unwrap();
        Pod { namespace, address }
    }
}

fn open(namespace: &Namespace, runtime: &Runtime) -> HostNetwork {
    let config = NetworkConfig {
        bridge: "skein0".to_owned(),
        cluster_cidr: CLUSTER.parse().unwrap(),
        mtu: 1450,
    };
    namespace.run(|| runtime.block_on(async { HostNetwork::open(config) })).unwrap()
}

struct Pod {
    namespace: Namespace,
    address: Ipv4Addr,
}

/// Whom a server in `server` at `address` sees when `client` calls it.
fn seen_by(server: &Namespace, address: Ipv4Addr, client: &Namespace) -> std::io::Result<IpAddr> {
    let listener = server.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let port = listener.local_addr()?.port();
    let target = SocketAddr::from((address, port));
    let mut stream = client.run(|| TcpStream::connect_timeout(&target, Duration::from_secs(5)))?;
    let (mut accepted, peer) = listener.accept()?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    accepted.read_exact(&mut answer)?;
    assert_eq!(&answer, b"ping");
    Ok(peer.ip())
}

/// Joins two namespaces by a cable with these addresses, in a /24.
fn cable(name: &str, ends: [(&Namespace, &str); 2]) {
    let [(near, near_address), (far, far_address)] = ends;
    near.command(&format!("ip link add {name} type veth peer name {name} netns {}", far.pid()));
    for (end, address) in [(near, near_address), (far, far_address)] {
        end.command(&format!("ip addr add {address}/24 dev {name} && ip link set {name} up"));
    }
}

#[test]
fn every_pod_reaches_every_pod_untranslated_and_the_outside_behind_its_host() {
    let (a, b, outside) = (Host::new(1), Host::new(2), Namespace::new());
    cable("wire", [(&a.namespace, "172.31.0.1"), (&b.namespace, "172.31.0.2")]);
    cable("uplink", [(&a.namespace, "172.31.9.1"), (&outside, "172.31.9.2")]);
    // What Docker does when it manages the firewall.
    for host in [&a, &b] {
        host.namespace.command("iptables --policy FORWARD DROP");
        host.run(|network| network.set_range(host.range)).unwrap();
    }
    let via = |host: &Host, last| vec![(host.range, Ipv4Addr::new(172, 31, 0, last))];
    let (to_a, to_b) = (via(&a, 1), via(&b, 2));
    a.run(|network| network.set_routes(&to_b)).unwrap();
    b.run(|network| network.set_routes(&to_a)).unwrap();

    let (a1, a2, b1) = (a.pod("a1"), a.pod("a2"), b.pod("b1"));
    for (from, to) in [(&a1, &a2), (&a1, &b1), (&b1, &a2)] {
        let seen = seen_by(&to.namespace, to.address, &from.namespace).unwrap();
        assert_eq!(seen, IpAddr::V4(from.address));
    }
    seen_by(&b1.namespace, b1.address, &a.namespace).expect("a host reaches another host's pod");
    seen_by(&a1.namespace, a1.address, &a1.namespace).expect("a pod reaches itself");
    let out = seen_by(&outside, Ipv4Addr::new(172, 31, 9, 2), &a1.namespace).unwrap();
    assert_eq!(out, IpAddr::V4(Ipv4Addr::new(172, 31, 9, 1)));
}

#[test]
fn everything_can_be_called_again_and_survives_this_process() {
    let mut host = Host::new(1);
    let range = host.range;
    for _ in 0..2 {
        host.run(|network| network.set_range(range)).unwrap();
    }
    let (one, two) = (host.pod("one"), host.pod("two"));
    let again = host.run(|network| network.attach("one", one.namespace.pid())).unwrap();
    assert_eq!(again, one.address);
    seen_by(&one.namespace, one.address, &two.namespace).unwrap();

    host.network = open(&host.namespace, &host.runtime);
    host.run(|network| network.set_range(range)).unwrap();
    let lone = Namespace::new();
    for (uid, pid, told, has) in [
        ("one", one.namespace.pid(), None, Some(one.address)),
        // What its device has counts, not what somebody was told before.
        ("two", two.namespace.pid(), Some(one.address), Some(two.address)),
        ("never-joined", lone.pid(), None, None),
    ] {
        let adopted = host.run(|network| network.adopt(uid, pid, told));
        assert_eq!(adopted.unwrap(), has, "{uid}");
    }
    let three = host.pod("three");
    for pod in [&one, &two] {
        assert_ne!(three.address, pod.address);
        seen_by(&pod.namespace, pod.address, &three.namespace).unwrap();
    }

    let other = "10.42.7.0/24".parse().unwrap();
    let refused = host.run(|network| network.set_range(other));
    assert!(matches!(refused, Err(NetworkError::RangeInUse { .. })), "{refused:?}");
}

#[test]
fn a_pod_that_is_attached_again_keeps_its_address_unless_another_has_it() {
    let mut host = Host::new(1);
    host.run(|network| network.set_range(host.range)).unwrap();
    let (first, second) = (host.pod("first"), host.pod("second"));
    host.network = open(&host.namespace, &host.runtime);
    host.run(|network| network.set_range(host.range)).unwrap();
    let kept = host.run(|network| network.attach("second", second.namespace.pid())).unwrap();
    assert_eq!(kept, second.address);
    let newcomer = host.pod("newcomer");
    let moved = host.run(|network| network.attach("first", first.namespace.pid())).unwrap();
    assert!(![kept, newcomer.address].contains(&moved), "{moved} is given twice");
    seen_by(&first.namespace, moved, &newcomer.namespace).unwrap();
}

#[test]
fn a_replaced_sandbox_takes_over_the_pods_address() {
    let host = Host::new(1);
    host.run(|network| network.set_range(host.range)).unwrap();
    let neighbour = host.pod("neighbour");
    let first = host.pod("pod");
    // The old sandbox still holds its namespace while the new one is joined.
    let second = host.pod("pod");
    assert_eq!(first.address, second.address);
    seen_by(&second.namespace, second.address, &neighbour.namespace).unwrap();
}

#[test]
fn detaching_frees_the_pod_also_when_its_namespace_is_gone() {
    let host = Host::new(1);
    host.run(|network| network.set_range(host.range)).unwrap();
    let (kept, gone) = (host.pod("kept"), host.pod("gone"));
    drop(gone);
    for uid in ["kept", "gone", "gone", "never-there"] {
        host.run(|network| network.detach(uid)).unwrap();
    }
    let left = kept.namespace.run(|| Command::new("ip").args(["link", "show", "eth0"]).output());
    assert!(!left.unwrap().status.success(), "the device went with the attachment");
}

#[test]
fn routes_are_replaced_as_a_whole_and_strange_ones_left_alone() {
    let (host, peer) = (Host::new(1), Namespace::new());
    cable("wire", [(&host.namespace, "172.31.0.1"), (&peer, "172.31.0.2")]);
    host.namespace.command("ip route add 10.99.0.0/24 via 172.31.0.2");
    let to = |third: u8, last: u8| {
        (format!("10.42.{third}.0/24").parse().unwrap(), Ipv4Addr::new(172, 31, 0, last))
    };
    let routes = || {
        let listed = host.namespace.run(|| Command::new("ip").arg("route").output()).unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let mut lines: Vec<String> = listed
            .lines()
            .filter(|line| line.contains(" via "))
            .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        lines
    };
    host.run(async |network| network.set_routes(&[to(2, 2), to(3, 3)]).await).unwrap();
    let strange = "10.99.0.0/24 via 172.31.0.2";
    assert_eq!(routes(), ["10.42.2.0/24 via 172.31.0.2", "10.42.3.0/24 via 172.31.0.3", strange]);
    host.run(async |network| network.set_routes(&[to(3, 4)]).await).unwrap();
    assert_eq!(routes(), ["10.42.3.0/24 via 172.31.0.4", strange]);
    let far = ("10.42.5.0/24".parse().unwrap(), Ipv4Addr::new(192, 0, 2, 1));
    let error = host.run(async |network| network.set_routes(&[far, to(6, 6)]).await).unwrap_err();
    assert!(error.to_string().contains("10.42.5.0/24 through 192.0.2.1"), "{error}");
    assert_eq!(routes(), ["10.42.6.0/24 via 172.31.0.6", strange]);
}

#[test]
fn the_hosts_own_namespace_is_never_touched() {
    let host = Host::new(1);
    let unready = host.run(|network| network.attach("early", 1));
    assert!(matches!(unready, Err(NetworkError::NoRange)), "{unready:?}");
    host.run(|network| network.set_range(host.range)).unwrap();
    let own = host.namespace.pid();
    let refused = host.run(|network| network.attach("pod", own));
    assert!(matches!(refused, Err(NetworkError::HostNamespace(_))), "{refused:?}");
    let absent = host.run(|network| network.attach("pod", u32::MAX));
    assert!(matches!(absent, Err(NetworkError::Io { .. })), "{absent:?}");
}

#[test]
fn a_port_of_a_pods_loopback_is_reached_from_outside() {
    let host = Host::new(1);
    host.run(|network| network.set_range(host.range)).unwrap();
    let pod = host.pod("one");
    let listener = pod.namespace.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let (pid, port) = (pod.namespace.pid(), listener.local_addr().unwrap().port());
    let stream = host.run(|network| network.connect(pid, port)).unwrap();
    let (mut accepted, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    accepted.write_all(b"ping").unwrap();
    host.runtime.block_on(stream.readable()).unwrap();
    let mut heard = [0; 4];
    assert_eq!(stream.try_read(&mut heard).unwrap(), 4);
    drop(listener);
    let refused = host.run(|network| network.connect(pid, port)).unwrap_err();
    let NetworkError::Io { source, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_port_of_a_pod_in_the_hosts_namespace_is_reached_there() {
    let host = Host::new(1);
    let own = host.namespace.run(|| TcpListener::bind((Ipv6Addr::LOCALHOST, 0))).unwrap();
    let port = own.local_addr().unwrap().port();
    let pid = host.namespace.pid();
    host.run(|network| network.connect(pid, port)).unwrap();
}
