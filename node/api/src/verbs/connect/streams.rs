//! The streams that a client opens for a conversation with a process.

use std::io;

use skein_spdy::{Connection, Stream};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{hosts::ExecRequest, limits};

/// Which streams a conversation has, and those that are there.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) error: Option<Stream>,
    pub(super) stdin: Option<Stream>,
    pub(super) stdout: Option<Stream>,
    pub(super) stderr: Option<Stream>,
    pub(super) resize: Option<Stream>,
}

impl Streams {
    /// The streams that a client opens for this process; `None` if it does not in time, or opens
    /// others.
    pub(super) async fn gather(connection: &mut Connection, request: &ExecRequest) -> Option<Self> {
        let mut streams = Self::default();
        let all = async {
            while !streams.are_all_of(request) {
                let stream = connection.accept().await?;
                let name = stream.headers().get("streamType").unwrap_or_default().to_owned();
                let place = match name.as_str() {
                    "error" => &mut streams.error,
                    "stdin" => &mut streams.stdin,
                    "stdout" => &mut streams.stdout,
                    "stderr" => &mut streams.stderr,
                    "resize" => &mut streams.resize,
                    _ => {
                        tracing::debug!(name, "a client opened a stream that is not known");
                        return None;
                    }
                };
                stream.reply().ok()?;
                *place = Some(stream);
            }
            Some(())
        };
        match tokio::time::timeout(limits::SPDY_STREAMS, all).await {
            Ok(gathered) => gathered.map(|()| streams),
            Err(_) => {
                tracing::debug!("a client did not open its streams in time");
                None
            }
        }
    }

    fn are_all_of(&self, request: &ExecRequest) -> bool {
        self.error.is_some()
            && self.stdin.is_some() >= request.stdin
            && self.stdout.is_some() >= request.stdout
            && self.stderr.is_some() >= request.stderr
            && self.resize.is_some() >= request.tty
    }
}

/// Says the last of a stream, if there is one, and that it is.
pub(super) async fn end(stream: Option<impl AsyncWrite + Unpin>, last: &[u8]) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    stream.write_all(last).await?;
    stream.shutdown().await
}
