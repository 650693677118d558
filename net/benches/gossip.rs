//! What membership costs and how fast it is, on a simulated network in virtual time. Prints
//! Markdown.
//!
//! ```text
//! cargo bench -p skein-net --bench gossip -- 1000      so many nodes
//! cargo bench -p skein-net --bench gossip -- 1000 verdicts   how soon their dead are known, alone
//! cargo bench -p skein-net --bench gossip -- day 24    five nodes, loss and stalls, so many hours
//! ```
//!
//! Bytes are those of messages before QUIC; processor time is that of membership and the simulated
//! network together, without QUIC and TLS.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng};
use skein_net::{
    Member, Membership, MembershipConfig, MemoryNetwork, NodeId, Protocol, Traffic, Transport,
};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Fastest and slowest message.
const DELAY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));
/// How often the simulated cluster is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long traffic and processor time are measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Most changes measured, begun a look apart.
const CHANGES: usize = 100;
/// Cuts and crashes measured, one after the other.
const TRIALS: usize = 3;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => runtime.block_on(scale(1000)),
        ["day"] => runtime.block_on(day(24)),
        ["day", hours] => runtime.block_on(day(hours.parse().context("hours")?)),
        [nodes] => runtime.block_on(scale(nodes.parse().context("number of nodes")?)),
        [nodes, "verdicts"] => {
            runtime.block_on(verdicts(nodes.parse().context("number of nodes")?))
        }
        _ => bail!("usage: gossip [NODES [verdicts] | day [HOURS]]"),
    }
}

struct Cluster {
    network: MemoryNetwork,
    nodes: Vec<Node>,
    tasks: TaskTracker,
}

struct Node {
    id: NodeId,
    membership: Membership,
    stop: CancellationToken,
}

impl Cluster {
    /// Starts nodes, spread over a second.
    async fn start(count: u64) -> Result<Self> {
        let network = MemoryNetwork::new(1);
        network.set_delay(DELAY.0, DELAY.1);
        let pause = Duration::from_secs(1) / u32::try_from(count)?;
        let mut cluster = Self { network, nodes: Vec::new(), tasks: TaskTracker::new() };
        // Random ids, as those of real nodes.
        let mut ids = StdRng::seed_from_u64(1);
        for _ in 0..count {
            cluster.add(NodeId(ids.random())).await?;
            sleep(pause).await;
        }
        Ok(cluster)
    }

    async fn add(&mut self, id: NodeId) -> Result<()> {
        let transport = self.network.transport(id);
        let seed = self.nodes.first().map_or(id, |node| node.id);
        let address = |id| self.network.address(id).context("a node without an address");
        let config = MembershipConfig {
            cluster_id: "bench".into(),
            name: id.to_string(),
            generation: 1_700_000_000_000,
            advertise: address(id)?,
            seeds: vec![address(seed)?],
            peer_store: None,
        };
        let stop = CancellationToken::new();
        let transport: Arc<dyn Transport> = transport;
        let membership = Membership::start(config, transport, &self.tasks, stop.clone()).await?;
        self.nodes.push(Node { id, membership, stop });
        Ok(())
    }

    /// How many nodes' view passes the test, not counting `except`.
    fn count(&self, except: &[NodeId], passes: impl Fn(&[Member]) -> bool) -> usize {
        let others = self.nodes.iter().filter(|node| !except.contains(&node.id));
        others.filter(|node| passes(&node.membership.members().borrow())).count()
    }

    /// How long it takes until the view of 99 % and of all but `except` passes the test.
    async fn until(
        &self,
        except: &[NodeId],
        passes: impl Fn(&[Member]) -> bool,
    ) -> Result<[Duration; 2]> {
        let start = Instant::now();
        let mut times = [Duration::ZERO; 2];
        let all = self.nodes.len() - except.len();
        for (time, wanted) in times.iter_mut().zip([(all * 99).div_ceil(100), all]) {
            while self.count(except, &passes) < wanted {
                if start.elapsed() > PATIENCE {
                    bail!("{} of {wanted} after {PATIENCE:?}", self.count(except, &passes));
                }
                sleep(LOOK).await;
            }
            *time = start.elapsed();
        }
        Ok(times)
    }

    async fn all_see_all(&self, count: usize) -> Result<Duration> {
        let complete = |members: &[Member]| {
            members.len() == count && members.iter().all(|member| member.alive)
        };
        Ok(self.until(&[], complete).await?[1])
    }

    /// What all nodes have sent on average.
    fn sent(&self, protocol: Protocol) -> Traffic {
        self.nodes.iter().map(|node| self.network.sent(node.id, protocol)).sum()
    }

    /// Ends every node.
    async fn stop(self) {
        self.nodes.iter().for_each(|node| node.stop.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn find(members: &[Member], id: NodeId) -> Option<&Member> {
    let at = members.binary_search_by_key(&id, |member| member.id).ok()?;
    members.get(at)
}

/// Processor time this thread has used; everything runs on it.
fn processor_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().context("schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

async fn scale(count: u64) -> Result<()> {
    let cluster = form(count).await?;
    cost(&cluster, count).await?;
    changes(&cluster, cluster.nodes.len()).await?;
    deaths(cluster).await
}

async fn verdicts(count: u64) -> Result<()> {
    deaths(form(count).await?).await
}

/// A cluster in which all know all.
async fn form(count: u64) -> Result<Cluster> {
    let cluster = Cluster::start(count).await?;
    let formed = cluster.all_see_all(cluster.nodes.len()).await?;
    println!("| {count} simulated nodes | |\n| --- | --- |");
    println!("| all know all, after the last has started | {formed:.1?} |");
    Ok(cluster)
}

/// How soon nodes that are cut off and processes that crash are known dead.
async fn deaths(cluster: Cluster) -> Result<()> {
    cut_off(&cluster, cluster.nodes.len()).await?;
    crash(&cluster, cluster.nodes.len()).await?;
    cluster.stop().await;
    Ok(())
}

async fn cost(cluster: &Cluster, count: u64) -> Result<()> {
    sleep(MEASURED).await;
    let protocols = [(Protocol::Gossip, "gossip"), (Protocol::Probe, "probes")];
    let before = protocols.map(|(protocol, _)| cluster.sent(protocol));
    let used = processor_time()?;
    sleep(MEASURED).await;
    let node_seconds = count * MEASURED.as_secs();
    for ((protocol, name), before) in protocols.into_iter().zip(before) {
        let sent = cluster.sent(protocol);
        let messages = (sent.messages - before.messages) as f64 / node_seconds as f64;
        let bytes = (sent.bytes - before.bytes) / node_seconds;
        println!("| {name} sent by a node | {bytes} B/s in {messages:.1} messages/s |");
    }
    let used = (processor_time()? - used).as_secs_f64() / node_seconds as f64;
    println!("| processor time of a node | {:.2} % of a core |", 100.0 * used);
    Ok(())
}

/// A change under way: whose, since when, and when 99 % and all others knew it.
struct Change {
    id: NodeId,
    begun: Instant,
    known: [Option<Duration>; 2],
}

/// Changes one node after the other, without waiting until a change is known.
async fn changes(cluster: &Cluster, total: usize) -> Result<()> {
    let count = CHANGES.min(total);
    let wanted = [(total * 99).div_ceil(100), total];
    let mut changes: Vec<Change> = Vec::new();
    let start = Instant::now();
    while changes.len() < count || changes.iter().any(|change| change.known[1].is_none()) {
        if start.elapsed() > PATIENCE {
            bail!("a change is not known after {PATIENCE:?}");
        }
        if changes.len() < count {
            let node = &cluster.nodes[changes.len() * total / count];
            node.membership.set("change", "made").await?;
            changes.push(Change { id: node.id, begun: Instant::now(), known: [None; 2] });
        }
        sleep(LOOK).await;
        for change in changes.iter_mut().filter(|change| change.known[1].is_none()) {
            let seen = |members: &[Member]| {
                find(members, change.id).is_some_and(|member| member.values.contains_key("change"))
            };
            let seen = cluster.count(&[], seen);
            for (known, wanted) in change.known.iter_mut().zip(wanted) {
                if seen >= wanted && known.is_none() {
                    *known = Some(change.begun.elapsed());
                }
            }
        }
    }
    let times: Vec<_> =
        changes.iter().map(|one| one.known.map(Option::unwrap_or_default)).collect();
    report("a change is known", &times);
    Ok(())
}

/// Cuts a node off at a time, and heals the network when all have noticed.
async fn cut_off(cluster: &Cluster, total: usize) -> Result<()> {
    let (mut deaths, mut returns) = (Vec::new(), Vec::new());
    for trial in 0..TRIALS {
        let id = cluster.nodes[1 + trial * (total - 1) / TRIALS].id;
        cluster.network.isolate(id);
        deaths.push(cluster.until(&[id], |members| is_alive(members, id) == Some(false)).await?);
        cluster.network.heal_all();
        returns.push(cluster.until(&[id], |members| is_alive(members, id) == Some(true)).await?);
        cluster.all_see_all(total).await?;
    }
    report("a node that is cut off is known dead", &deaths);
    report("it is known to be back", &returns);
    Ok(())
}

/// Kills a node at a time.
async fn crash(cluster: &Cluster, total: usize) -> Result<()> {
    let (mut deaths, mut gone) = (Vec::new(), Vec::new());
    for trial in 0..TRIALS {
        let id = cluster.nodes[1 + trial * (total - 1) / TRIALS].id;
        cluster.network.crash(id);
        gone.push(id);
        deaths.push(cluster.until(&gone, |members| is_alive(members, id) == Some(false)).await?);
    }
    report("a process that crashed is known dead", &deaths);
    Ok(())
}

fn is_alive(members: &[Member], id: NodeId) -> Option<bool> {
    find(members, id).map(|member| member.alive)
}

/// Prints median, 99th percentile and the longest of the times until 99 % and all know.
fn report(what: &str, times: &[[Duration; 2]]) {
    for (index, who) in ["99 %", "all"].into_iter().enumerate() {
        let mut sorted: Vec<Duration> = times.iter().map(|time| time[index]).collect();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        let (median, p99, longest, count) = (at(50), at(99), at(100), sorted.len());
        println!(
            "| {what} by {who}: median, p99, longest (n = {count}) | {median:.2?}, {p99:.2?}, \
             {longest:.2?} |"
        );
    }
}

/// Five nodes, a tenth of all messages lost, a stall of a second every five seconds or so.
async fn day(hours: u64) -> Result<()> {
    let cluster = Cluster::start(5).await?;
    cluster.all_see_all(5).await?;
    cluster.network.set_loss(0.1);
    let (mut rng, mut stalled, mut stalls) = (StdRng::seed_from_u64(1), 0, 0_u64);
    let mut views: Vec<_> = cluster.nodes.iter().map(|node| node.membership.members()).collect();
    let (mut deaths, start) = (0, Instant::now());
    while start.elapsed() < Duration::from_secs(hours * 3600) {
        let pause = Duration::from_millis(rng.random_range(500..10_000));
        let next = Instant::now() + pause;
        while Instant::now() < next {
            sleep(LOOK).await;
            for view in views.iter_mut().filter(|view| view.has_changed().unwrap_or(false)) {
                deaths += view.borrow_and_update().iter().filter(|member| !member.alive).count();
            }
        }
        // Never the same twice in a row: two stalls would be one of two seconds.
        stalled = (stalled + rng.random_range(1..5)) % 5;
        cluster.network.stall(cluster.nodes[stalled].id, Duration::from_secs(1));
        stalls += 1;
    }
    println!("| simulated | nodes | messages lost | stalls of 1 s | false deaths |");
    println!("| --- | --- | --- | --- | --- |\n| {hours} h | 5 | 10 % | {stalls} | {deaths} |");
    cluster.stop().await;
    Ok(())
}
