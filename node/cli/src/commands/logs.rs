//! `skein logs`: what a pod's containers print.

use clap::Args;
use futures::AsyncReadExt;
use serde_json::Value;

use super::{Session, get};
use crate::connection::Connection;
use crate::discovery::Kinds;
use crate::exit::UsageError;
use crate::limits::LOG_CHUNK_BYTES;
use crate::request::{segment, with_query};
use crate::target;

/// Whose output, and how much of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein logs web-1                   all there is
  skein logs -f deployment/web       follow one pod of a Deployment
  skein logs web-1 -c sidecar --tail 20 --timestamps
  skein logs web-1 --previous        of the container before the last restart")]
pub(crate) struct LogsArgs {
    /// A pod's name, or KIND/NAME of what owns pods
    #[arg(value_name = "POD")]
    pod: String,

    /// Which container, if the pod has several
    #[arg(short, long)]
    container: Option<String>,

    /// Go on as more is printed
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,

    /// Only what was printed in the last seconds
    #[arg(long, value_name = "SECONDS")]
    since: Option<u32>,

    /// Put the time before each line
    #[arg(long)]
    timestamps: bool,

    /// Of the container before the last restart
    #[arg(short, long)]
    previous: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &LogsArgs) -> anyhow::Result<()> {
    let connection = session.connect().await?;
    let pod =
        if args.pod.contains('/') { pick(&connection, &args.pod).await? } else { args.pod.clone() };
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/log",
        segment(connection.namespace()),
        segment(&pod)
    );
    let query = query(args);
    let pairs = query.iter().map(|(name, value)| (*name, value.as_str()));
    let stream = connection.stream(&with_query(&path, pairs), "*/*").await?;
    let mut stream = std::pin::pin!(stream);
    let mut chunk = vec![0; LOG_CHUNK_BYTES];
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            count => session.terminal.write(&chunk[..count])?,
        }
    }
}

fn query(args: &LogsArgs) -> Vec<(&'static str, String)> {
    let flag = |name, is_set: bool| is_set.then(|| (name, "true".to_owned()));
    [
        args.container.clone().map(|container| ("container", container)),
        flag("follow", args.follow),
        args.tail.map(|lines| ("tailLines", lines.to_string())),
        args.since.map(|seconds| ("sinceSeconds", seconds.to_string())),
        flag("timestamps", args.timestamps),
        flag("previous", args.previous),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A pod of what is named, a running one if there is any.
async fn pick(connection: &Connection, word: &str) -> anyhow::Result<String> {
    let (kind, name) = target::parse_one(&[word.to_owned()])?;
    let kinds = Kinds::discover(connection).await?;
    let kind = kinds.find(&kind)?;
    if kind.label() == "pod" {
        return Ok(name);
    }
    let owner = connection.get(&kind.object_path(connection.namespace(), &name)).await?;
    let selector = selector(&owner)
        .ok_or_else(|| UsageError::new(format!("{word} selects no pods; name a pod")))?;
    let pods = kinds.find("pods")?;
    let path = with_query(
        &pods.path(Some(connection.namespace())),
        [("labelSelector", selector.as_str())],
    );
    let mut found = get::list(connection, &path, pods).await?;
    found
        .sort_by_key(|pod| pod.pointer("/status/phase").and_then(Value::as_str) != Some("Running"));
    let name = found.first().and_then(|pod| pod.pointer("/metadata/name")).and_then(Value::as_str);
    Ok(name.ok_or_else(|| anyhow::anyhow!("{word} has no pod yet"))?.to_owned())
}

/// The label selector of an object that owns pods, as a query.
fn selector(owner: &Value) -> Option<String> {
    let labels =
        owner.pointer("/spec/selector/matchLabels").or_else(|| owner.pointer("/spec/selector"))?;
    let pairs: Vec<String> = labels
        .as_object()?
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_becomes_a_query() {
        let owner = json!({"spec": {"selector": {"matchLabels": {"app": "web", "tier": "front"}}}});
        assert_eq!(selector(&owner).as_deref(), Some("app=web,tier=front"));
        assert_eq!(selector(&json!({"spec": {}})), None);
    }

    #[test]
    fn only_what_was_asked_is_in_the_query() {
        let args = LogsArgs {
            pod: "web".into(),
            container: Some("c".into()),
            follow: true,
            tail: Some(5),
            since: None,
            timestamps: false,
            previous: false,
        };
        let expected = [
            ("container", "c".to_owned()),
            ("follow", "true".to_owned()),
            ("tailLines", "5".to_owned()),
        ];
        assert_eq!(query(&args), expected);
    }
}
