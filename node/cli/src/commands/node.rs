//! `skein node`: the hosts of the cluster.

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::Session;
use crate::request::segment;

/// Where the nodes of the cluster are.
const PATH: &str = "/skein/v1/nodes";

/// What to do with hosts.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Take a host out of the cluster for good
    Remove(RemoveArgs),
}

/// Which host.
#[derive(Debug, Args)]
#[command(after_help = "\
The host loses its vote, its name and its Node object; other hosts take over its pods. If it is up
it ends its pods and its process by itself, and if it comes back it is turned away. To bring it
back, start it with an empty data directory and a token.

Run this on another host, or with --server.

Examples:
  skein node remove h3
  skein node remove h3 --yes                  without asking")]
pub(crate) struct RemoveArgs {
    /// Its name, as in `skein status`
    name: String,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(session: &Session<'_>, command: &NodeCommand) -> anyhow::Result<()> {
    let NodeCommand::Remove(args) = command;
    let connection = session.connect().await?;
    let question = format!("Remove {} from the cluster for good, with its pods?", args.name);
    if !args.yes && !session.terminal.confirm(&question)? {
        bail!("nothing was removed");
    }
    let path = format!("{PATH}/{}", segment(&args.name));
    let answer = match connection.send(Method::DELETE, &path, JSON, &Value::Null).await {
        Err(error) if error.is_not_found() => {
            return Err(anyhow!("there is no node {:?}; see: skein status", args.name));
        }
        answer => answer?,
    };
    session.terminal.print(&outcome(&args.name, &answer))?;
    Ok(())
}

const JSON: &str = "application/json";

fn outcome(name: &str, answer: &Value) -> String {
    let mut text = format!("node {name} removed");
    if answer["stillVotes"] == true {
        text.push_str("; the voters are still changing, see: skein status");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vote_that_is_not_gone_yet_is_mentioned() {
        assert_eq!(outcome("h3", &json!({"stillVotes": false})), "node h3 removed");
        assert!(outcome("h3", &json!({"stillVotes": true})).contains("still changing"));
    }
}
