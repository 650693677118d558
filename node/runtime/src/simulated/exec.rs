//! Processes in simulated containers: a command does what [`Program`] reads from it, input goes
//! nowhere, and whoever attaches sees the log from then on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::{Shared, logs, program::Program};
use crate::{
    ContainerConfig, ContainerId, ExecConfig, ExecOutput, ExecProcess, ExecSession, LogOptions,
    RuntimeError, TerminalSize,
};

pub(super) fn run(
    shared: Arc<Shared>,
    id: ContainerId,
    config: &ExecConfig,
) -> Result<ExecSession, RuntimeError> {
    if shared.state().world.log(&id, shared.now())?.complete {
        return Err(RuntimeError::Rejected(format!("container {} is not running", id.0)));
    }
    if config.command.is_empty() {
        let options = LogOptions { follow: true, tail: Some(0), ..LogOptions::default() };
        let lines = logs::stream(shared, id, options)?;
        let output = lines.map(|line| line.map(ExecOutput::Stdout)).boxed();
        return Ok(ExecSession {
            input: Box::pin(tokio::io::sink()),
            output,
            process: Box::new(Process { end: None }),
        });
    }
    let program =
        Program::of(&ContainerConfig { command: config.command.clone(), ..Default::default() });
    let began = Instant::now();
    let missing = program.missing.map(|program| format!("exec: {program:?}: not found"));
    let end = match &missing {
        Some(_) => Some((began, 127)),
        None => program.ends.map(|(after, code)| (began + after, i64::from(code))),
    };
    let lines = program.lines.into_iter().map(move |(after, line)| (began + after, line));
    let lines =
        stream::iter(lines.chain(missing.map(|line| (began, line)))).then(async |(at, line)| {
            sleep_until(at).await;
            Ok(ExecOutput::Stdout(Bytes::from(line + "\n")))
        });
    let rest = stream::once(async move {
        match end {
            Some((at, _)) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    });
    let output = lines.boxed().chain(rest.filter_map(|()| std::future::ready(None))).boxed();
    Ok(ExecSession {
        input: Box::pin(tokio::io::sink()),
        output,
        process: Box::new(Process { end: end.map(|(_, code)| code) }),
    })
}

struct Process {
    end: Option<i64>,
}

#[async_trait]
impl ExecProcess for Process {
    async fn resize(&self, _size: TerminalSize) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn exit_code(&self) -> Result<Option<i64>, RuntimeError> {
        Ok(self.end)
    }
}
