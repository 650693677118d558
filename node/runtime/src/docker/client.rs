//! The connection to the engine: made when first needed, made anew after it was lost, every call
//! with a deadline and its errors in our words.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::time::timeout;

use crate::{
    RuntimeError,
    limits::{CALL_DEADLINE, PULL_DEADLINE},
};

/// A connection to one engine, by the path of its socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
    docker: Mutex<Option<Docker>>,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, docker: Mutex::new(None) }
    }

    pub(super) fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// The engine, its API version agreed upon.
    pub(super) async fn docker(&self) -> Result<Docker, RuntimeError> {
        let known = self.docker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let socket = self.socket.to_str().ok_or_else(|| {
            RuntimeError::Unreachable(format!("{} is not UTF-8", self.socket.display()))
        })?;
        // bollard's own timeout only watches for response headers; ours are per call.
        let docker =
            Docker::connect_with_unix(socket, PULL_DEADLINE.as_secs(), API_DEFAULT_VERSION)
                .map_err(|error| self.classify(error))?;
        let docker = within(CALL_DEADLINE, docker.negotiate_version())
            .await?
            .map_err(|error| self.classify(error))?;
        *self.docker.lock().unwrap_or_else(PoisonError::into_inner) = Some(docker.clone());
        Ok(docker)
    }

    /// One call. A lost connection is forgotten, so that the next call looks for the engine anew.
    pub(super) async fn call<T, F>(
        &self,
        deadline: Duration,
        request: impl FnOnce(Docker) -> F,
    ) -> Result<T, RuntimeError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let docker = self.docker().await?;
        within(deadline, request(docker)).await?.map_err(|error| self.classify(error))
    }

    /// A call's error in our words.
    pub(super) fn classify(&self, error: Error) -> RuntimeError {
        let error = classify(error);
        if let RuntimeError::Unreachable(message) = error {
            *self.docker.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return RuntimeError::Unreachable(format!("{}: {message}", self.socket.display()));
        }
        error
    }
}

/// Gives a future its deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = T>,
) -> Result<T, RuntimeError> {
    timeout(deadline, future).await.map_err(|_elapsed| RuntimeError::Timeout(deadline))
}

fn classify(error: Error) -> RuntimeError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            classify_answer(status_code, message)
        }
        Error::SocketNotFoundError(_) => {
            RuntimeError::Unreachable("the socket does not exist".to_owned())
        }
        Error::HyperLegacyError { err } if err.is_connect() => {
            RuntimeError::Unreachable(root_cause(&err))
        }
        error @ (Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }) => RuntimeError::Unreachable(root_cause(&error)),
        Error::DockerStreamError { error } => RuntimeError::Failed(error),
        error => RuntimeError::Failed(error.to_string()),
    }
}

/// What the engine answered. A start refused for what the container is arrives as 400 or as 500,
/// by version and by cause; the runtime's words tell them apart.
fn classify_answer(status_code: u16, message: String) -> RuntimeError {
    const AUTHORS: [&str; 6] = [
        "OCI runtime create failed",
        "executable file not found",
        "exec format error",
        "no such file or directory",
        "permission denied",
        "invalid mount config",
    ];
    match status_code {
        404 => RuntimeError::NotFound(message),
        400 => RuntimeError::Rejected(message),
        500 if AUTHORS.iter().any(|words| message.contains(words)) => {
            RuntimeError::Rejected(message)
        }
        _ => RuntimeError::Failed(message),
    }
}

/// The innermost cause says what happened; the outer ones only that something did.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_the_error_the_agent_acts_on() {
        let kind =
            |status_code, message: &str| match classify_answer(status_code, message.to_owned()) {
                RuntimeError::NotFound(_) => "not found",
                RuntimeError::Rejected(_) => "rejected",
                _ => "failed",
            };
        for (status_code, message, expected) in [
            (404, "No such container: x", "not found"),
            (404, "No such image: x:latest", "not found"),
            (400, "OCI runtime create failed: exec: \"x\": executable file not found", "rejected"),
            (500, "OCI runtime create failed: exec format error", "rejected"),
            (500, "driver failed programming external connectivity", "failed"),
            (409, "cannot join network of a non running container", "failed"),
        ] {
            assert_eq!(kind(status_code, message), expected, "{status_code} {message}");
        }
    }

    #[tokio::test]
    async fn an_absent_socket_is_unreachable_and_named() {
        let client = Client::new("/nowhere/docker.sock".into());
        let error = client.docker().await.unwrap_err();
        assert!(matches!(error, RuntimeError::Unreachable(_)));
        assert!(error.to_string().contains("/nowhere/docker.sock"), "{error}");
    }
}
