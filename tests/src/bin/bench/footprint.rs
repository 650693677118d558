//! What an idle node takes: resident memory and the size of the binary.

use std::fs;

use anyhow::{Context, Result};
use skein_tests::Cluster;

pub(crate) fn measure(cluster: &Cluster) -> Result<()> {
    println!("## Footprint\n\n| node | resident memory |\n| --- | --- |");
    for host in cluster.hosts()? {
        let pid = fs::read_to_string(cluster.path(&host).join("skein.pid"))
            .with_context(|| format!("{host} has no pid file"))?;
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()))?;
        let resident_kb: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .context("a process has VmRSS")?
            .parse()?;
        println!("| {host} | {:.1} MB |", resident_kb / 1024.0);
    }
    let binary = skein_tests::binary()?;
    let bytes = fs::metadata(&binary)?.len();
    #[allow(clippy::cast_precision_loss, reason = "a size for people")]
    let megabytes = bytes as f64 / f64::from(1 << 20);
    println!("\nBinary: {megabytes:.1} MB. Goal: at most 50 MB of memory.\n");
    Ok(())
}
