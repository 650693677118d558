//! Packet filtering and translation for the pod network: rendered purely, applied in one batch.
//!
//! Masquerading lives in one nftables table of ours, replaced as a whole and never read back. That
//! is not enough where another program drops forwarded packets: an accepting verdict of one table
//! does not overrule the drop of another. Docker sets the policy of iptables' FORWARD chain to DROP
//! when it manages the firewall, and may do so at any later time, so wherever `iptables` exists the
//! cluster's range is accepted there, in front. With `bridge-nf-call-iptables` the same two rules
//! let pods on one bridge reach each other.

use std::{io, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{
    Ipv4Cidr,
    limits::{COMMAND_DEADLINE, COMMAND_OUTPUT_BYTES, IPTABLES_WAIT_SECONDS},
};

/// Why the firewall could not be set.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The program is not installed.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// The program could not be run.
    #[error("running {program}")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program did not end in time.
    #[error("{0} did not end within {COMMAND_DEADLINE:?}")]
    Timeout(&'static str),
    /// The program refused.
    #[error("{program} failed: {output}")]
    Refused {
        /// Which.
        program: &'static str,
        /// What it said.
        output: String,
    },
}

/// The table for the pods of one host. Declared before it is deleted, so that the batch also works
/// when there is none yet.
fn render(bridge: &str, cluster: Ipv4Cidr, range: Ipv4Cidr) -> String {
    format!(
        "table ip skein\n\
         delete table ip skein\n\
         table ip skein {{\n\
         \x20 chain postrouting {{\n\
         \x20   type nat hook postrouting priority srcnat; policy accept;\n\
         \x20   ip saddr {range} ip daddr != {cluster} oifname != \"{bridge}\" masquerade\n\
         \x20 }}\n\
         }}\n"
    )
}

/// The two iptables rules that let the cluster's traffic be forwarded, without their command.
fn forward_rules(cluster: Ipv4Cidr) -> [Vec<String>; 2] {
    ["--source", "--destination"].map(|side| {
        let rule = ["FORWARD", side, &cluster.to_string(), "--jump", "ACCEPT"];
        rule.map(str::to_owned).to_vec()
    })
}

/// Masquerades what leaves the cluster and lets what stays in it be forwarded.
pub(crate) async fn apply(
    bridge: &str,
    cluster: Ipv4Cidr,
    range: Ipv4Cidr,
) -> Result<(), FirewallError> {
    run("nft", &["-f".to_owned(), "-".to_owned()], &render(bridge, cluster, range)).await?;
    accept_forwarding(cluster).await
}

async fn accept_forwarding(cluster: Ipv4Cidr) -> Result<(), FirewallError> {
    for rule in forward_rules(cluster) {
        match run("iptables", &iptables("--check", &rule), "").await {
            Ok(()) => {}
            // Without iptables nobody has set a policy through it.
            Err(FirewallError::Missing(_)) => return Ok(()),
            Err(FirewallError::Refused { .. }) => {
                run("iptables", &iptables("--insert", &rule), "").await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn iptables(command: &str, rule: &[String]) -> Vec<String> {
    let lead = ["--wait", IPTABLES_WAIT_SECONDS, command].map(str::to_owned);
    lead.into_iter().chain(rule.iter().cloned()).collect()
}

async fn run(program: &'static str, args: &[String], input: &str) -> Result<(), FirewallError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FirewallError::Missing(program),
        _ => FirewallError::Run { program, source },
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let work = async {
        if let Some(mut stdin) = child.stdin.take()
            && !input.is_empty()
        {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let ended = timeout(COMMAND_DEADLINE, work).await;
    let output = ended.map_err(|_elapsed| FirewallError::Timeout(program))?.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = &output.stderr[..output.stderr.len().min(COMMAND_OUTPUT_BYTES)];
    let output = String::from_utf8_lossy(said).trim().to_owned();
    Err(FirewallError::Refused { program, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_cluster_is_masqueraded() {
        let rendered =
            render("skein0", "10.42.0.0/16".parse().unwrap(), "10.42.1.0/24".parse().unwrap());
        assert_eq!(
            rendered,
            "table ip skein\n\
             delete table ip skein\n\
             table ip skein {\n  \
               chain postrouting {\n    \
                 type nat hook postrouting priority srcnat; policy accept;\n    \
                 ip saddr 10.42.1.0/24 ip daddr != 10.42.0.0/16 oifname != \"skein0\" masquerade\n  \
               }\n\
             }\n"
        );
    }

    #[test]
    fn forwarding_is_accepted_from_and_to_the_cluster() {
        let rules = forward_rules("10.42.0.0/16".parse().unwrap());
        assert_eq!(rules[0].join(" "), "FORWARD --source 10.42.0.0/16 --jump ACCEPT");
        assert_eq!(
            iptables("--check", &rules[1]).join(" "),
            "--wait 10 --check FORWARD --destination 10.42.0.0/16 --jump ACCEPT"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = run("skein-no-such-program", &[], "").await.unwrap_err();
        assert_eq!(error.to_string(), "skein-no-such-program is not installed");
    }
}
