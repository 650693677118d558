//! A container's log through the engine.

use std::future::ready;

use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures::stream::StreamExt;
use jiff::Timestamp;

use super::{DockerRuntime, client::Client};
use crate::{ContainerId, LogOptions, LogStream, RuntimeError, limits::CALL_DEADLINE};

impl DockerRuntime {
    pub(super) async fn read_logs(
        &self,
        id: &ContainerId,
        options: LogOptions,
    ) -> Result<LogStream, RuntimeError> {
        // The stream itself says that the container is missing only when it is first read.
        self.client
            .call(
                CALL_DEADLINE,
                |docker| async move { docker.inspect_container(&id.0, None).await },
            )
            .await?;
        let docker = self.client.docker().await?;
        let LogOptions { follow, tail, since, timestamps } = options;
        // The engine's `since` is in whole seconds; the rest is sifted by the times of the lines.
        let second = since.map_or(0, |since| i32::try_from(since.as_second()).unwrap_or(i32::MAX));
        let query = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(follow)
            .tail(&tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()))
            .since(second)
            .timestamps(timestamps || since.is_some())
            .build();
        let client: std::sync::Arc<Client> = std::sync::Arc::clone(&self.client);
        let lines = docker.logs(&id.0, Some(query)).map(move |part| {
            part.map(bollard::container::LogOutput::into_bytes)
                .map_err(|error| client.classify(error))
        });
        let sifted = lines.filter_map(move |part| {
            ready(match (part, since) {
                (Ok(line), Some(since)) => sift(&line, since, timestamps).map(Ok),
                (part, _) => Some(part),
            })
        });
        Ok(sifted.boxed())
    }
}

/// A line that begins with its time: `None` if it is too old, else with or without that time.
fn sift(line: &Bytes, since: Timestamp, timestamps: bool) -> Option<Bytes> {
    let Some(blank) = line.iter().position(|&byte| byte == b' ') else {
        return Some(line.clone());
    };
    let time = std::str::from_utf8(&line[..blank]).ok().and_then(|text| text.parse().ok());
    match time {
        Some(time) if since > time => None,
        Some(_) if !timestamps => Some(line.slice(blank + 1..)),
        _ => Some(line.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_are_left_out_and_times_taken_off() {
        let line = Bytes::from_static(b"2026-01-01T00:00:05.5Z hello\n");
        let since = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(sift(&line, since("2026-01-01T00:00:05.6Z"), true), None);
        let kept = sift(&line, since("2026-01-01T00:00:05.5Z"), true);
        assert_eq!(kept.as_deref(), Some(&line[..]));
        let bare = sift(&line, since("2026-01-01T00:00:05Z"), false);
        assert_eq!(bare.as_deref(), Some(&b"hello\n"[..]));
    }
}
