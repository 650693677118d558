//! `skein describe`: everything about objects, with their events.

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::{Session, get};
use crate::connection::Connection;
use crate::discovery::{ApiKind, Kinds};
use crate::render::describe::{Described, render};
use crate::request::with_query;
use crate::target;

/// What to describe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein describe pod web-1
  skein describe deployment/web node/h1
  skein describe nodes                     all of them")]
pub(crate) struct DescribeArgs {
    /// KIND, KIND NAME… or KIND/NAME…
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
}

pub(crate) async fn run(session: &Session<'_>, args: &DescribeArgs) -> anyhow::Result<()> {
    let targets = target::parse(&args.what)?;
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let mut texts = Vec::new();
    for target in &targets {
        let kind = kinds.find(&target.kind)?;
        let objects = if target.names.is_empty() {
            get::list(&connection, &kind.path(Some(connection.namespace())), kind).await?
        } else {
            let mut objects = Vec::new();
            for name in &target.names {
                objects
                    .push(connection.get(&kind.object_path(connection.namespace(), name)).await?);
            }
            objects
        };
        for object in objects {
            let described = Described {
                pods: pods_on(&connection, &kinds, kind, &object).await?,
                events: events_of(&connection, &kinds, &object).await?,
                object,
            };
            texts.push(render(&described, Timestamp::now(), session.terminal.palette));
        }
    }
    if texts.is_empty() {
        session
            .terminal
            .note(&format!("No resources found in namespace {}.", connection.namespace()));
    }
    session.terminal.print(&texts.join("\n"))?;
    Ok(())
}

async fn events_of(
    connection: &Connection,
    kinds: &Kinds,
    object: &Value,
) -> anyhow::Result<Vec<Value>> {
    let Some(uid) = object.pointer("/metadata/uid").and_then(Value::as_str) else {
        return Ok(Vec::new());
    };
    let events = kinds.find("events")?;
    let selector = format!("involvedObject.uid={uid}");
    let path = with_query(&events.path(None), [("fieldSelector", selector.as_str())]);
    get::list(connection, &path, events).await
}

/// The pods of a node; of anything else nothing.
async fn pods_on(
    connection: &Connection,
    kinds: &Kinds,
    kind: &ApiKind,
    object: &Value,
) -> anyhow::Result<Vec<Value>> {
    let Some(name) =
        object.pointer("/metadata/name").and_then(Value::as_str).filter(|_| kind.label() == "node")
    else {
        return Ok(Vec::new());
    };
    let pods = kinds.find("pods")?;
    let selector = format!("spec.nodeName={name}");
    get::list(
        connection,
        &with_query(&pods.path(None), [("fieldSelector", selector.as_str())]),
        pods,
    )
    .await
}
