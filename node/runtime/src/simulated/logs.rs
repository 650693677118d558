//! Reading a simulated container's log, following it in time.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::watch;

use super::{
    Shared,
    world::{LogLine, World},
};
use crate::{ContainerId, LogOptions, LogStream, RuntimeError};

struct Reader {
    shared: Arc<Shared>,
    id: ContainerId,
    options: LogOptions,
    /// Lines already looked at.
    position: usize,
    changes: watch::Receiver<u64>,
}

pub(super) fn stream(
    shared: Arc<Shared>,
    id: ContainerId,
    options: LogOptions,
) -> Result<LogStream, RuntimeError> {
    let printed = shared.state().world.log(&id, shared.now())?.lines.len();
    let tail = options.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
    let changes = shared.changes.subscribe();
    let reader = Reader { shared, id, options, position: printed.saturating_sub(tail), changes };
    Ok(stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok(bytes), reader))
    })
    .boxed())
}

impl Reader {
    /// The next bytes; `None` at the end of the log or when the container is gone.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changes.borrow_and_update();
            let now = self.shared.now();
            let (text, view) = {
                let state = self.shared.state();
                let view = state.world.log(&self.id, now).ok()?;
                let fresh = view.lines.get(self.position..).unwrap_or_default();
                (render(fresh, &self.options, &state.world), view)
            };
            self.position = self.position.max(view.lines.len());
            if !text.is_empty() {
                return Some(Bytes::from(text));
            }
            if view.complete || !self.options.follow {
                return None;
            }
            self.shared.wait(view.next, &mut self.changes).await;
        }
    }
}

fn render(lines: &[LogLine], options: &LogOptions, world: &World) -> String {
    let since = options.since.map_or(std::time::Duration::ZERO, |since| world.since_epoch(since));
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.at >= since) {
        if options.timestamps {
            text.push_str(&world.wall(line.at).to_string());
            text.push(' ');
        }
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}
