//! `skein scale`: sets a number of replicas.

use clap::Args;
use serde_json::json;

use super::Session;
use crate::discovery::Kinds;
use crate::request::MERGE_PATCH;
use crate::target;

/// What to scale, and to how many.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein scale deployment/web --replicas 12
  skein scale deployment web --replicas 0")]
pub(crate) struct ScaleArgs {
    /// KIND/NAME or KIND NAME
    #[arg(required = true, value_name = "WHAT")]
    what: Vec<String>,

    /// How many there are to be
    #[arg(long, value_name = "COUNT")]
    replicas: u32,
}

pub(crate) async fn run(session: &Session<'_>, args: &ScaleArgs) -> anyhow::Result<()> {
    let (kind, name) = target::parse_one(&args.what)?;
    let connection = session.connect().await?;
    let kinds = Kinds::discover(&connection).await?;
    let kind = kinds.find(&kind)?;
    let path = format!("{}/scale", kind.object_path(connection.namespace(), &name));
    connection.patch(&path, MERGE_PATCH, &json!({ "spec": { "replicas": args.replicas } })).await?;
    session.terminal.print(&format!("{}/{name} scaled to {}", kind.label(), args.replicas))?;
    Ok(())
}
