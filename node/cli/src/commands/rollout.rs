//! `skein rollout`: the versions of a Deployment and the way from one to the other.

mod progress;
mod revisions;

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::progress::{Progress, progress};
use self::revisions::Revision;
use super::{Session, get};
use crate::connection::Connection;
use crate::discovery::Kinds;
use crate::exit::UsageError;
use crate::limits::POLL_INTERVAL;
use crate::request::{JSON_PATCH, MERGE_PATCH, with_query};
use crate::target;

/// What to do with a rollout.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Wait until the newest version runs everywhere
    #[command(after_help = "Example:\n  skein rollout status deployment/web --timeout 120")]
    Status(StatusArgs),
    /// List the versions there have been
    #[command(after_help = "Example:\n  skein rollout history deployment/web")]
    History(WhatArgs),
    /// Go back to an earlier version
    #[command(after_help = "\
Examples:
  skein rollout undo deployment/web                    to the one before
  skein rollout undo deployment/web --to-revision 3")]
    Undo(UndoArgs),
    /// Replace every pod by a new one of the same version
    #[command(after_help = "Example:\n  skein rollout restart deployment/web")]
    Restart(WhatArgs),
}

/// Which Deployment.
#[derive(Debug, Args)]
pub(crate) struct WhatArgs {
    /// deployment/NAME
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,
}

/// Which Deployment, and for how long to wait.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    what: WhatArgs,

    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,

    /// Print how far it is and do not wait
    #[arg(long)]
    no_wait: bool,
}

/// Which Deployment, and back to what.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    what: WhatArgs,

    /// A revision of `skein rollout history` [default: the one before]
    #[arg(long, value_name = "REVISION")]
    to_revision: Option<u64>,
}

/// A Deployment on the cluster.
struct Rollout<'a> {
    connection: &'a Connection,
    kinds: Kinds,
    name: String,
    path: String,
}

pub(crate) async fn run(session: &Session<'_>, command: &RolloutCommand) -> anyhow::Result<()> {
    let what = match command {
        RolloutCommand::Status(args) => &args.what,
        RolloutCommand::Undo(args) => &args.what,
        RolloutCommand::History(what) | RolloutCommand::Restart(what) => what,
    };
    let (kind, name) = target::parse_one(&what.what)?;
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let kind = kinds.find(&kind)?;
    if kind.label() != "deployment.apps" {
        return Err(
            UsageError::new(format!("{} has no rollouts; a deployment has", kind.label())).into()
        );
    }
    let path = kind.object_path(connection.namespace(), &name);
    let rollout = Rollout { connection: &connection, name, path, kinds };
    match command {
        RolloutCommand::Status(args) => rollout.status(session, args).await,
        RolloutCommand::Undo(args) => rollout.undo(session, args.to_revision).await,
        RolloutCommand::History(_) => rollout.history(session).await,
        RolloutCommand::Restart(_) => rollout.restart(session).await,
    }
}

impl Rollout<'_> {
    async fn status(&self, session: &Session<'_>, args: &StatusArgs) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(args.timeout);
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        let mut said = String::new();
        loop {
            let (text, is_over) = match progress(&self.connection.get(&self.path).await?) {
                Progress::Complete(text) => (text, true),
                Progress::Waiting(text) => (text, args.no_wait),
                Progress::Failed(text) => bail!("deployment {:?}: {text}", self.name),
            };
            if text != said {
                session.terminal.print(&format!("deployment {:?}: {text}", self.name))?;
                said = text;
            }
            if is_over {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("deployment {:?} is not complete after {} s", self.name, args.timeout);
            }
            ticks.tick().await;
        }
    }

    async fn history(&self, session: &Session<'_>) -> anyhow::Result<()> {
        let revisions = self.revisions().await?;
        let text = revisions::render(&revisions, Timestamp::now(), session.terminal.palette);
        session.terminal.print(&text)?;
        Ok(())
    }

    async fn undo(&self, session: &Session<'_>, to: Option<u64>) -> anyhow::Result<()> {
        let revisions = self.revisions().await?;
        let target = revisions::target(&revisions, to)?;
        let change =
            json!([{ "op": "replace", "path": "/spec/template", "value": target.template() }]);
        self.connection.patch(&self.path, JSON_PATCH, &change).await?;
        session.terminal.print(&format!(
            "deployment.apps/{} goes back to revision {}; follow it with: skein rollout status deployment/{}",
            self.name, target.number, self.name
        ))?;
        Ok(())
    }

    async fn restart(&self, session: &Session<'_>) -> anyhow::Result<()> {
        let now = Timestamp::now().to_string();
        let annotations = json!({ "kubectl.kubernetes.io/restartedAt": now });
        let change =
            json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
        self.connection.patch(&self.path, MERGE_PATCH, &change).await?;
        session.terminal.print(&format!("deployment.apps/{} restarted", self.name))?;
        Ok(())
    }

    /// The replica sets of the Deployment, oldest revision first.
    async fn revisions(&self) -> anyhow::Result<Vec<Revision>> {
        let deployment = self.connection.get(&self.path).await?;
        let sets = self.kinds.find("replicasets.apps")?;
        let path = with_query(&sets.path(Some(self.connection.namespace())), []);
        let sets: Vec<Value> = get::list(self.connection, &path, sets).await?;
        Ok(revisions::of(&deployment, sets))
    }
}
