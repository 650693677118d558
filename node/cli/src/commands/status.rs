//! `skein status`: members, voters and leader.

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;

use super::Session;
use crate::connection::Connection;
use crate::render::peers::Peers;
use crate::render::status::{ClusterStatus, render};
use crate::render::{self, Output};

/// Where the answering node describes the cluster.
pub(crate) const PATH: &str = "/skein/v1/status";

/// Where it gathers what every node believes of every other.
const PEERS: &str = "/skein/v1/peers";

/// How to print.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein status
  skein status -o json | jq -r .leader        the leader's name
  skein status --server h3                    as h3 sees it
  skein status --peers                        what every node believes of every other")]
pub(crate) struct StatusArgs {
    /// Print the whole answer as JSON or YAML, or the members' names
    #[arg(short, long, value_enum)]
    output: Option<Output>,

    /// What every node believes of every other, and since when
    #[arg(long)]
    peers: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &StatusArgs) -> anyhow::Result<()> {
    // How one node sees the cluster no other node can say.
    let connection = if session.names_server() {
        session.connect_to_itself().await?
    } else {
        session.connect().await?
    };
    if args.peers {
        return peers(session, args, &connection).await;
    }
    let answer = connection.get(PATH).await?;
    let text = match args.output {
        Some(Output::Json) => render::json(&answer),
        Some(Output::Yaml) => render::yaml(&answer),
        other => {
            let status: ClusterStatus = serde_json::from_value(answer)
                .context("the status cannot be understood; is the node newer than this skein?")?;
            match other {
                Some(Output::Name) => {
                    status.members.iter().map(|member| format!("{}\n", member.name)).collect()
                }
                _ => {
                    render(&status, &connection.context, Timestamp::now(), session.terminal.palette)
                }
            }
        }
    };
    session.terminal.print(&text)?;
    Ok(())
}

/// What every node believes of every other.
async fn peers(
    session: &Session<'_>,
    args: &StatusArgs,
    connection: &Connection,
) -> anyhow::Result<()> {
    let answer = connection.get(PEERS).await?;
    let text = match args.output {
        Some(Output::Json) => render::json(&answer),
        Some(Output::Yaml) => render::yaml(&answer),
        Some(Output::Name | Output::Wide) | None => {
            let peers: Peers = serde_json::from_value(answer)
                .context("the beliefs cannot be understood; is the node newer than this skein?")?;
            render::peers::render(&peers, Timestamp::now(), session.terminal.palette)
        }
    };
    session.terminal.print(&text)?;
    Ok(())
}
