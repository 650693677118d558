//! What a node needs for each object, and for each watch that waits.

use std::time::Duration;

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::{
    creates,
    process::Process,
    template::REALISTIC_BYTES,
    voters::{Voters, settle},
    watchers::{Seen, Watchers},
};

const NAMESPACE: &str = "bench-memory";
const WATCHES: usize = 5_000;
/// After the pods or the watches have come, before memory is read.
const SETTLING: Duration = Duration::from_secs(5);

pub(crate) fn measure(voters: &Voters, runtime: &Runtime, pods: usize) -> Result<()> {
    println!("## Memory\n\nResident memory of a node, more than before.\n");
    println!("| for each | n | leader | follower |\n| --- | --- | --- | --- |");
    let (leader, follower) = (voters.leader()?, voters.follower()?);
    let before = [resident(leader)?, resident(follower)?];
    runtime.block_on(creates::fill(voters, NAMESPACE, pods))?;
    settle(SETTLING);
    let filled = [resident(leader)?, resident(follower)?];
    let each = [0, 1].map(|node| kilobytes(before[node], filled[node], pods));
    println!("| pod of {REALISTIC_BYTES} B as sent | {pods} | {} | {} |", each[0], each[1]);

    let revision = runtime.block_on(creates::revision(voters))?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?watch=true&resourceVersion={revision}");
    let (seen, kubeconfig) = (Seen::new(0), voters.kubeconfig(follower)?);
    let mut watchers = runtime.block_on(Watchers::open(kubeconfig, &path, WATCHES, &seen))?;
    settle(SETTLING);
    watchers.check()?;
    let each = kilobytes(filled[1], resident(follower)?, WATCHES);
    println!("| idle watch, 100 on a connection | {WATCHES} | | {each} |");
    println!("\nGoal: at most 8 KB for an idle watch.\n");
    Ok(())
}

fn resident(node: &Process) -> Result<u64> {
    Ok(node.memory()?.resident)
}

fn kilobytes(before: u64, after: u64, count: usize) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a size for people")]
    let each = after.saturating_sub(before) as f64 / count as f64 / 1_000.0;
    format!("{each:.1} kB")
}
