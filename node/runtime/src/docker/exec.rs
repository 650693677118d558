//! Processes in containers to talk to, through the engine.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
    models::ContainerInspectResponse,
    query_parameters::{AttachContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder},
};
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::io::AsyncWrite;
use tokio_util::io::ReaderStream;

use super::{
    DockerRuntime,
    client::{Client, within},
    terminal,
};
use crate::{
    ContainerId, ExecConfig, ExecOutput, ExecProcess, ExecSession, RuntimeError, TerminalSize,
    limits::{CALL_DEADLINE, END_LOOKS},
};

impl DockerRuntime {
    /// Runs a command in a container.
    pub(super) async fn run_inside(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError> {
        let options = CreateExecOptions {
            attach_stdin: Some(config.stdin),
            attach_stdout: Some(config.stdout),
            attach_stderr: Some(config.stderr),
            tty: Some(config.tty),
            cmd: Some(config.command.clone()),
            ..CreateExecOptions::default()
        };
        let made = self
            .client
            .call(CALL_DEADLINE, |docker| async move { docker.create_exec(&id.0, options).await })
            .await?;
        let process = Exec { client: Arc::clone(&self.client), id: made.id };
        if config.tty {
            let path = format!("/exec/{}/start", process.id);
            let body = "{\"Detach\":false,\"Tty\":true}".to_owned();
            return self.terminal(&path, body, Box::new(process)).await;
        }
        let start = StartExecOptions::default();
        let started = self
            .client
            .call(CALL_DEADLINE, |docker| {
                let id = process.id.clone();
                async move { docker.start_exec(&id, Some(start)).await }
            })
            .await?;
        match started {
            StartExecResults::Attached { output, input } => Ok(ExecSession {
                input,
                output: outputs(output, Arc::clone(&self.client)),
                process: Box::new(process),
            }),
            StartExecResults::Detached => {
                Err(RuntimeError::Failed("the engine did not attach to the process".to_owned()))
            }
        }
    }

    /// Attaches to the process of a container.
    pub(super) async fn attach(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError> {
        // What its container says, not whoever asks.
        let container = self.inspect_container(id).await?.config.unwrap_or_default();
        let process = Box::new(Main { client: Arc::clone(&self.client), id: id.clone() });
        let session = if container.tty == Some(true) {
            let (stdin, stdout) = (config.stdin, config.stdout);
            let path =
                format!("/containers/{}/attach?stream=1&stdin={stdin}&stdout={stdout}", id.0);
            self.terminal(&path, String::new(), process).await?
        } else {
            let options = AttachContainerOptionsBuilder::new()
                .stream(true)
                .stdin(config.stdin)
                .stdout(config.stdout)
                .stderr(config.stderr)
                .build();
            let attached = self
                .client
                .call(CALL_DEADLINE, |docker| async move {
                    docker.attach_container(&id.0, Some(options)).await
                })
                .await?;
            let input = match container.stdin_once {
                Some(true) => attached.input,
                _ => Box::pin(Endless(attached.input)),
            };
            let output = outputs(attached.output, Arc::clone(&self.client));
            ExecSession { input, output, process }
        };
        // The engine attaches to one that has ended as well, and waits until it is started again.
        let state = self.inspect_container(id).await?.state;
        if state.and_then(|state| state.running) != Some(true) {
            return Err(RuntimeError::NotFound("the container has ended".to_owned()));
        }
        Ok(session)
    }

    async fn inspect_container(
        &self,
        id: &ContainerId,
    ) -> Result<ContainerInspectResponse, RuntimeError> {
        let inspect = |docker: Docker| async move { docker.inspect_container(&id.0, None).await };
        self.client.call(CALL_DEADLINE, inspect).await
    }

    async fn terminal(
        &self,
        path: &str,
        body: String,
        process: Box<dyn ExecProcess>,
    ) -> Result<ExecSession, RuntimeError> {
        let hijack = terminal::hijack(self.client.socket(), path, body);
        let (output, input) = tokio::io::split(within(CALL_DEADLINE, hijack).await??);
        let output = ReaderStream::new(output).map(|bytes| {
            let broken = |error: std::io::Error| RuntimeError::Unreachable(error.to_string());
            bytes.map(ExecOutput::Stdout).map_err(broken)
        });
        let input = Box::pin(Endless(Box::pin(input)));
        Ok(ExecSession { input, output: output.boxed(), process })
    }
}

/// Input whose end the engine is not told: unless it passes the end on to the process, which it
/// does neither with a terminal nor to a container without `stdinOnce`, it takes the end of the
/// input for the end of the outputs as well, and what the process says from then on is lost.
struct Endless(Pin<Box<dyn AsyncWrite + Send>>);

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

fn outputs(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
    client: Arc<Client>,
) -> BoxStream<'static, Result<ExecOutput, RuntimeError>> {
    let read = output.map(move |part| match part {
        Ok(LogOutput::StdErr { message }) => Ok(ExecOutput::Stderr(message)),
        Ok(
            LogOutput::StdOut { message }
            | LogOutput::Console { message }
            | LogOutput::StdIn { message },
        ) => Ok(ExecOutput::Stdout(message)),
        Err(error) => Err(client.classify(error)),
    });
    read.boxed()
}

/// A command that runs in a container.
struct Exec {
    client: Arc<Client>,
    id: String,
}

#[async_trait]
impl ExecProcess for Exec {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        let options = ResizeExecOptions { width: size.width, height: size.height };
        self.client
            .call(
                CALL_DEADLINE,
                |docker| async move { docker.resize_exec(&self.id, options).await },
            )
            .await
    }

    async fn exit_code(&self) -> Result<Option<i64>, RuntimeError> {
        let (mut pause, longest) = END_LOOKS;
        loop {
            let seen = self
                .client
                .call(CALL_DEADLINE, |docker| async move { docker.inspect_exec(&self.id).await })
                .await?;
            if seen.running != Some(true) {
                return Ok(seen.exit_code);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// A container's own process.
struct Main {
    client: Arc<Client>,
    id: ContainerId,
}

#[async_trait]
impl ExecProcess for Main {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        let options = ResizeContainerTTYOptionsBuilder::new()
            .w(size.width.into())
            .h(size.height.into())
            .build();
        self.client
            .call(CALL_DEADLINE, |docker| async move {
                docker.resize_container_tty(&self.id.0, options).await
            })
            .await
    }

    async fn exit_code(&self) -> Result<Option<i64>, RuntimeError> {
        Ok(None)
    }
}
