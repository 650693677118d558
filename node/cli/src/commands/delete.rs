//! `skein delete`: objects by name, by label or by manifest.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Session, get};
use crate::connection::Connection;
use crate::discovery::Kinds;
use crate::exit::UsageError;
use crate::limits::POLL_INTERVAL;
use crate::manifest;
use crate::request::with_query;
use crate::target;

/// What to delete, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein delete pod web-1
  skein delete deployment/web --no-wait
  skein delete -f app.yaml
  skein delete pods -l app=web --grace-period 0")]
pub(crate) struct DeleteArgs {
    /// KIND NAME…, KIND/NAME…, or KIND with --selector or --all
    #[arg(value_name = "WHAT", required_unless_present = "files")]
    what: Vec<String>,

    /// The objects of these files, directories or `-`
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "what")]
    files: Vec<PathBuf>,

    /// Also directories inside directories
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,

    /// Every object of the kind with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,

    /// Every object of the kind in the namespace
    #[arg(long)]
    all: bool,

    /// Seconds a pod has to end [default: its own]
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,

    /// Do not wait until the objects are gone
    #[arg(long)]
    no_wait: bool,

    /// Wait at most this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,

    /// An object that is not there is as good as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

/// An object to delete.
struct Victim {
    label: String,
    name: String,
    path: String,
}

/// An object whose deletion has begun; its uid tells it from a later one of the same name.
struct Dying {
    victim: Victim,
    uid: Value,
}

pub(crate) async fn run(session: &Session<'_>, args: &DeleteArgs) -> anyhow::Result<()> {
    let manifests = if args.files.is_empty() {
        Vec::new()
    } else {
        manifest::read(&args.files, args.recursive)?
    };
    let targets = if args.files.is_empty() { target::parse(&args.what)? } else { Vec::new() };
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let mut victims = Vec::new();
    for manifest in &manifests {
        let kind = kinds.of(&manifest.api_version, &manifest.kind)?;
        let namespace = manifest.namespace.as_deref().unwrap_or(connection.namespace());
        let path = kind.object_path(namespace, &manifest.name);
        victims.push(Victim { label: kind.label(), name: manifest.name.clone(), path });
    }
    // What was made last goes first: a namespace at the top of a file outlives what is in it.
    victims.reverse();
    for target in &targets {
        let kind = kinds.find(&target.kind)?;
        let names = if target.names.is_empty() {
            select(&connection, kind, args).await?
        } else {
            target.names.clone()
        };
        victims.extend(names.into_iter().map(|name| Victim {
            label: kind.label(),
            path: kind.object_path(connection.namespace(), &name),
            name,
        }));
    }
    let (mut dying, mut failures) = (Vec::new(), 0);
    for victim in victims {
        match begin(session, &connection, args, victim).await {
            Ok(begun) => dying.extend(begun),
            Err(error) => {
                failures += 1;
                session.terminal.error(&error);
            }
        }
    }
    if !args.no_wait {
        wait(&connection, dying, Duration::from_secs(args.timeout)).await?;
    }
    if failures > 0 {
        bail!("{failures} objects were not deleted");
    }
    Ok(())
}

async fn select(
    connection: &Connection,
    kind: &crate::discovery::ApiKind,
    args: &DeleteArgs,
) -> anyhow::Result<Vec<String>> {
    if args.selector.is_none() && !args.all {
        return Err(UsageError::new("name the objects, or give --selector or --all").into());
    }
    let selector = args.selector.as_deref().map(|selector| ("labelSelector", selector));
    let path = with_query(&kind.path(Some(connection.namespace())), selector);
    let items = get::list(connection, &path, kind).await?;
    Ok(items
        .iter()
        .filter_map(|item| item.pointer("/metadata/name")?.as_str().map(str::to_owned))
        .collect())
}

async fn begin(
    session: &Session<'_>,
    connection: &Connection,
    args: &DeleteArgs,
    victim: Victim,
) -> anyhow::Result<Option<Dying>> {
    let mut options =
        json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background" });
    if let Some(seconds) = args.grace_period {
        options["gracePeriodSeconds"] = json!(seconds);
    }
    match connection.send(Method::DELETE, &victim.path, "application/json", &options).await {
        Ok(answer) => {
            session.terminal.print(&format!("{} \"{}\" deleted", victim.label, victim.name))?;
            let uid = answer.pointer("/metadata/uid").or_else(|| answer.pointer("/details/uid"));
            let uid = uid.cloned().unwrap_or_default();
            Ok(Some(Dying { victim, uid }))
        }
        Err(error) if error.is_not_found() && args.ignore_not_found => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Looks until every object is gone, or another has taken its name.
async fn wait(
    connection: &Connection,
    mut dying: Vec<Dying>,
    timeout: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    loop {
        let mut left = Vec::new();
        for one in dying {
            match connection.get(&one.victim.path).await {
                Ok(object)
                    if object.pointer("/metadata/uid") == Some(&one.uid) || one.uid.is_null() =>
                {
                    left.push(one)
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let names: Vec<String> = left
                .iter()
                .map(|one| format!("{}/{}", one.victim.label, one.victim.name))
                .collect();
            bail!(
                "still there after {} s: {}; see what they wait for with: skein describe",
                timeout.as_secs(),
                names.join(", ")
            );
        }
        dying = left;
        ticks.tick().await;
    }
}
