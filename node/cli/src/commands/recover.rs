//! `skein recover` and `skein rejoin`: the way back when a majority of the voters is lost for good.

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Session, status};
use crate::connection::Connection;
use crate::limits::{ATTEMPT_TIMEOUT, POLL_INTERVAL, RESTART_TIMEOUT};
use crate::render::recovery::{Recovery, render};

const RECOVERY: &str = "/skein/v1/recovery";
const REJOIN: &str = "/skein/v1/rejoin";

/// Whether to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
For a cluster whose voters are lost for good, a majority of them: run it on any host that is left.
Every replica that can be reached is asked how far it is, and the cluster goes on from the freshest.
As long as the lost hosts can be brought back, bring them back instead: nothing is lost then.

Examples:
  skein recover                               shows what would be done, and asks
  skein recover --yes                         does it")]
pub(crate) struct RecoverArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Whether to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
For a host whose replica the cluster went on without: run it there, or name the host by --server.
The old files are kept beside the new ones. Containers run on.

Examples:
  skein rejoin
  skein rejoin --yes                          without asking")]
pub(crate) struct RejoinArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Recovers the cluster from its freshest replica.
pub(crate) async fn recover(session: &Session<'_>, args: &RecoverArgs) -> anyhow::Result<()> {
    let connection = session.connect().await?;
    let answer = connection.get(RECOVERY).await?;
    let recovery: Recovery = serde_json::from_value(answer)
        .context("the answer cannot be understood; is the node newer than this skein?")?;
    session.terminal.print(&render(&recovery, session.terminal.palette))?;
    let Some(plan) = &recovery.plan else {
        let why = recovery.refusal.unwrap_or_else(|| "no replica can be recovered".to_owned());
        bail!("nothing was changed: {why}");
    };
    let question = format!("Go on from {} without the others?", plan.lead);
    if !args.yes && !session.terminal.confirm(&question)? {
        bail!("nothing was changed");
    }
    let answer = connection.post(RECOVERY, &json!({"lead": plan.lead})).await?;
    disobedient(&answer).iter().for_each(|remark| session.terminal.note(remark));
    until(&connection, "the cluster has no quorum yet", |status| status["quorum"] == true).await?;
    session.terminal.print(&format!("the cluster goes on in epoch {}", plan.epoch))?;
    Ok(())
}

/// The replicas that did not take the order to start anew from the chosen one, and what to do.
fn disobedient(answer: &Value) -> Vec<String> {
    let orders = answer["orders"].as_array().into_iter().flatten();
    let failed =
        orders.filter_map(|order| Some((order["name"].as_str()?, order["error"].as_str()?)));
    let remark =
        |(name, error)| format!("{name} did not take the order ({error}): run skein rejoin there");
    failed.map(remark).collect()
}

/// Lets the node that is asked start anew in the cluster's present epoch.
pub(crate) async fn rejoin(session: &Session<'_>, args: &RejoinArgs) -> anyhow::Result<()> {
    let connection = session.connect_to_itself().await?;
    let question = format!(
        "Put the replica of {} aside and start anew from the cluster's?",
        connection.context
    );
    if !args.yes && !session.terminal.confirm(&question)? {
        bail!("nothing was changed");
    }
    connection.post(REJOIN, &Value::Null).await?;
    let joined = |status: &Value| status["quorum"] == true && status["outdated"].is_null();
    until(&connection, "the node is not back in the cluster yet", joined).await?;
    session.terminal.print(&format!("{} is back in the cluster", connection.context))?;
    Ok(())
}

/// Waits until the node, which starts anew meanwhile, shows a status that `holds`.
async fn until(
    connection: &Connection,
    missing: &str,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + RESTART_TIMEOUT;
    while Instant::now() < deadline {
        let asked = tokio::time::timeout(ATTEMPT_TIMEOUT, connection.get(status::PATH)).await;
        if let Ok(Ok(answer)) = asked
            && holds(&answer)
        {
            return Ok(());
        }
        sleep(POLL_INTERVAL).await;
    }
    bail!("{missing}, after {} s; see: skein status", RESTART_TIMEOUT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_did_not_take_the_order_are_named() {
        let answer = json!({"orders": [
            {"name": "h3", "error": null},
            {"name": "h4", "error": "the disk is full"},
        ]});
        let expected = "h4 did not take the order (the disk is full): run skein rejoin there";
        assert_eq!(disobedient(&answer), [expected]);
        assert!(disobedient(&Value::Null).is_empty());
    }
}
