//! The bytes of a terminal, as they are.
//!
//! bollard takes what a terminal shows for the engine's frames where it begins like one, and waits
//! for as much as that says: a program could make it hold gigabytes. The engine adds nothing to a
//! terminal's bytes, so here nothing is read into them.

use std::{path::Path, pin::pin};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, client::conn::http1, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::RuntimeError;

/// Sends a request after which the connection is a process's own.
pub(super) async fn hijack(
    socket: &Path,
    path: &str,
    body: String,
) -> Result<TokioIo<Upgraded>, RuntimeError> {
    let unreachable =
        |error: std::io::Error| RuntimeError::Unreachable(format!("{}: {error}", socket.display()));
    let failed = |error: hyper::Error| RuntimeError::Failed(error.to_string());
    let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut connection = pin!(connection.with_upgrades());
    let request = Request::post(path)
        .header(header::HOST, "docker")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "tcp")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| RuntimeError::Failed(error.to_string()))?;
    let mut response = pin!(sender.send_request(request));
    // The connection ends when it is the process's, perhaps before the response is looked at.
    let (response, ended) = tokio::select! {
        biased;
        answered = &mut response => (answered, false),
        ended = &mut connection => {
            ended.map_err(failed)?;
            (response.await, true)
        }
    };
    let response = response.map_err(failed)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        return Err(RuntimeError::Failed(format!("the engine answered {status} to {path}")));
    }
    let upgrade = hyper::upgrade::on(response);
    let upgraded = if ended {
        upgrade.await
    } else {
        let (ended, upgraded) = tokio::join!(connection, upgrade);
        ended.map_err(failed)?;
        upgraded
    };
    upgraded.map(TokioIo::new).map_err(failed)
}
