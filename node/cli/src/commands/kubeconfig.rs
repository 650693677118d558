//! `skein kubeconfig`: a kubeconfig with a context per node.

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Session, status};
use crate::connection::Connection;
use crate::exit::UsageError;
use crate::kubeconfig::{ClientCertificate, NodeAddress, render, render_parts};
use crate::render::status::ClusterStatus;

/// Where a node issues a client certificate.
const ISSUE: &str = "/skein/v1/kubeconfig";
const SECONDS_PER_DAY: u32 = 86_400;

/// For whom, and with which node first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein kubeconfig > ~/.kube/config                      the credentials this command used itself
  skein kubeconfig --server h2                           with h2 as the current context
  skein kubeconfig --only h2                             with no other node in it
  skein kubeconfig --user ann --group dev --days 30      a new certificate for somebody else")]
pub(crate) struct KubeconfigArgs {
    /// Only this node, instead of all
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Issue a certificate for this user instead of repeating one's own
    #[arg(long)]
    user: Option<String>,

    /// Group of the new user; may be given several times
    #[arg(long = "group", requires = "user")]
    groups: Vec<String>,

    /// Days the new certificate is valid
    #[arg(long, requires = "user", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

#[derive(Deserialize)]
struct Issued {
    certificate: String,
    key: String,
    ca: String,
}

pub(crate) async fn run(session: &Session<'_>, args: &KubeconfigArgs) -> anyhow::Result<()> {
    let connection = session.connect().await?;
    let answer = connection.get(status::PATH).await?;
    let status: ClusterStatus =
        serde_json::from_value(answer).context("the status cannot be understood")?;
    let mut nodes = addresses(&status, &connection.context);
    if let Some(only) = &args.only {
        nodes.retain(|node| node.name == *only);
    }
    if nodes.is_empty() {
        bail!("no {} says where it serves the API", args.only.as_deref().unwrap_or("node"));
    }
    let text = match &args.user {
        Some(user) => issue(&connection, user, args, &nodes).await?,
        None => repeat(&connection, &nodes)?,
    };
    session.terminal.print(&text)?;
    Ok(())
}

/// The members by name, the asked one first: it is known to serve.
fn addresses(status: &ClusterStatus, first: &str) -> Vec<NodeAddress> {
    let mut nodes: Vec<NodeAddress> = status
        .members
        .iter()
        .filter_map(|member| {
            let address = member.api_address.as_ref().filter(|address| !address.is_empty())?;
            Some(NodeAddress { name: member.name.clone(), server: format!("https://{address}") })
        })
        .collect();
    nodes.sort_by(|a, b| (a.name != first, &a.name).cmp(&(b.name != first, &b.name)));
    nodes
}

async fn issue(
    connection: &Connection,
    user: &str,
    args: &KubeconfigArgs,
    nodes: &[NodeAddress],
) -> anyhow::Result<String> {
    let wish = json!({
        "user": user,
        "groups": args.groups,
        "lifetimeSeconds": args.days.saturating_mul(SECONDS_PER_DAY),
    });
    let issued: Issued = serde_json::from_value(connection.post(ISSUE, &wish).await?)
        .context("the issued certificate cannot be understood")?;
    let credentials =
        ClientCertificate { certificate_pem: issued.certificate, key_pem: issued.key };
    Ok(render(nodes, &issued.ca, user, &credentials))
}

/// The same user and authority as in the kubeconfig in use, for every node.
fn repeat(connection: &Connection, nodes: &[NodeAddress]) -> anyhow::Result<String> {
    let config = &connection.kubeconfig;
    let missing = || {
        UsageError::new(format!(
            "the context {:?} of the kubeconfig is incomplete",
            connection.context
        ))
    };
    let context = config
        .contexts
        .iter()
        .find(|named| named.name == connection.context)
        .and_then(|named| named.context.as_ref())
        .ok_or_else(missing)?;
    let cluster = config
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|named| named.cluster.as_ref())
        .ok_or_else(missing)?;
    let user = context.user.clone().unwrap_or_default();
    let credentials = config
        .auth_infos
        .iter()
        .find(|named| named.name == user)
        .and_then(|named| named.auth_info.as_ref())
        .ok_or_else(missing)?;
    let authority: Value = serde_json::to_value(cluster)?;
    Ok(render_parts(nodes, &authority, &user, &serde_json::to_value(credentials)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asked_node_is_first_and_the_silent_one_left_out() {
        let status: ClusterStatus = serde_json::from_value(json!({"members": [
            {"name": "h3", "apiAddress": "10.0.0.3:6443"},
            {"name": "h1", "apiAddress": "10.0.0.1:6443"},
            {"name": "h2", "apiAddress": "10.0.0.2:6443"},
            {"name": "h4"},
        ]}))
        .unwrap();
        let names: Vec<String> =
            addresses(&status, "h2").into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["h2", "h1", "h3"]);
    }
}
