//! `skein image load`: an image archive to every node, without a registry.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use http::{Request, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use serde::Deserialize;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::Session;
use crate::connection::Connection;
use crate::exit::UsageError;
use crate::limits::UPLOAD_CHUNK_BYTES;
use crate::render::columns::{Cell, layout};
use crate::terminal::{Palette, Tone};

/// Where a node takes an archive for all.
const PATH: &str = "/skein/v1/images";

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Load an image archive (as `docker save` writes it) on every node
    Load(LoadArgs),
}

/// Which archive.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  skein image load web.tar
  docker save web:2 | skein image load -")]
pub(crate) struct LoadArgs {
    /// The archive, or `-` for standard input
    file: PathBuf,
}

/// What became of the archive on one node.
#[derive(Debug, Deserialize)]
struct Load {
    node: String,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    error: Option<String>,
}

pub(crate) async fn run(session: &Session<'_>, command: &ImageCommand) -> anyhow::Result<()> {
    let ImageCommand::Load(args) = command;
    let path = if args.file == Path::new("-") { Path::new("/dev/stdin") } else { &args.file };
    let archive = File::open(path)
        .await
        .map_err(|error| UsageError::new(format!("cannot read {}: {error}", path.display())))?;
    let connection = session.connect().await?;
    let loads = upload(&connection, archive).await?;
    session.terminal.print(&render(&loads, session.terminal.palette))?;
    let failed = loads.iter().filter(|load| load.error.is_some()).count();
    if failed > 0 {
        bail!("{failed} of {} nodes did not load the archive", loads.len());
    }
    Ok(())
}

/// Streams the archive; the API client itself only sends bodies it holds in memory.
async fn upload(connection: &Connection, archive: File) -> anyhow::Result<Vec<Load>> {
    let config = connection.config();
    let client = HttpClient::builder(TokioExecutor::new())
        .build(config.rustls_https_connector().context("cannot set up the connection")?);
    let chunks = ReaderStream::with_capacity(archive, UPLOAD_CHUNK_BYTES);
    let body = StreamBody::new(chunks.map_ok(Frame::<Bytes>::data));
    let base = config.cluster_url.to_string();
    let request = Request::post(format!("{}{PATH}", base.trim_end_matches('/')))
        .header(header::CONTENT_TYPE, "application/x-tar")
        .body(BodyExt::boxed(body))?;
    let lost = || format!("the upload to {} failed", connection.context);
    let response = client.request(request).await.with_context(lost)?;
    let status = response.status();
    let answer = response.into_body().collect().await.with_context(lost)?.to_bytes();
    if !status.is_success() {
        let parsed: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let message = parsed["message"]
            .as_str()
            .map_or_else(|| String::from_utf8_lossy(&answer).into_owned(), str::to_owned);
        bail!("the cluster refuses the archive ({status}): {message}");
    }
    serde_json::from_slice(&answer).context("the answer cannot be understood")
}

fn render(loads: &[Load], palette: Palette) -> String {
    let rows: Vec<Vec<Cell>> = loads
        .iter()
        .map(|load| match &load.error {
            None => vec![
                Cell::plain(&load.node),
                Cell::new("loaded", Tone::Good),
                Cell::plain(load.images.join(", ")),
            ],
            Some(error) => {
                vec![Cell::plain(&load.node), Cell::new("failed", Tone::Bad), Cell::plain(error)]
            }
        })
        .collect();
    layout(&["NODE", "RESULT", "IMAGES"], &rows, palette)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_line_per_node() {
        let loads = [
            Load { node: "h1".into(), images: vec!["hello:1".into()], error: None },
            Load {
                node: "h2".into(),
                images: vec![],
                error: Some("docker does not answer".into()),
            },
        ];
        insta::assert_snapshot!(render(&loads, Palette::PLAIN));
    }
}
