//! Talks to processes in this host's containers and to ports of its pods, for whoever asked the API
//! for it.
//!
//! What is said travels in frames: a byte that names the channel, as in Kubernetes' own protocol
//! (`v5.channel.k8s.io`), and the bytes. The last one that a host sends is a `Status` on the
//! channel of errors.

use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use skein_objects::{Reason, StatusError};
use skein_runtime::{
    ContainerState, ExecConfig, ExecOutput, ExecProcess, ExecSession, RuntimeError, TerminalSize,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::{
    host::Host,
    limits::{FRAME_BYTES, HEARTBEAT},
};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// The client has no more for the channel whose number follows.
const CLOSE: u8 = 255;

/// What to talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Uid of the pod.
    pub pod_uid: String,
    /// Name of the container.
    pub container: String,
    /// The process.
    pub process: ExecConfig,
}

/// A process that runs and waits for somebody to talk to.
pub struct Conversation {
    session: ExecSession,
    stdin: bool,
}

/// How frames are told apart on a stream of bytes.
fn frames() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES).new_codec()
}

/// Starts a process, or attaches to a container's own.
///
/// # Errors
/// 404 where the container does not run here, 400 where the command cannot be run.
pub(crate) async fn start(host: &Host, request: ExecRequest) -> Result<Conversation, StatusError> {
    let containers = host.runtime.list_containers(Some(&request.pod_uid)).await;
    let containers = containers.map_err(in_words)?;
    let running = containers.iter().filter(|one| {
        one.name == request.container && matches!(one.state, ContainerState::Running { .. })
    });
    let Some(container) = running.max_by_key(|one| one.attempt) else {
        let why = format!("container not found ({:?}): it is not running", request.container);
        return Err(StatusError::new(Reason::NotFound, why));
    };
    let session = host.runtime.exec(&container.id, &request.process).await.map_err(in_words)?;
    Ok(Conversation { session, stdin: request.process.stdin })
}

/// Connects to a port of a pod of this host.
///
/// # Errors
/// 404 where the pod does not run here, 503 where nothing takes the connection.
pub(crate) async fn connect(host: &Host, uid: &str, port: u16) -> Result<TcpStream, StatusError> {
    let sandboxes = host.runtime.list_sandboxes(Some(uid)).await.map_err(in_words)?;
    let mut running = sandboxes.into_iter().filter(|one| one.running);
    let Some(pid) = running.find_map(|one| one.pid) else {
        return Err(StatusError::new(Reason::NotFound, "the pod is not running on its host"));
    };
    let connected = host.network.connect(pid, port).await;
    connected.map_err(|error| StatusError::service_unavailable(error.to_string()))
}

fn in_words(error: RuntimeError) -> StatusError {
    match error {
        RuntimeError::Unreachable(_) | RuntimeError::Timeout(_) => {
            StatusError::service_unavailable(error.to_string())
        }
        RuntimeError::NotFound(_) => StatusError::new(Reason::NotFound, error.to_string()),
        RuntimeError::Rejected(_) => StatusError::bad_request(error.to_string()),
        _ => StatusError::internal(error),
    }
}

impl Conversation {
    /// Carries frames both ways until the process ends or the client hangs up.
    pub async fn carry(self, stream: impl AsyncRead + AsyncWrite) {
        let (mut to_client, mut from_client) = Framed::new(Box::pin(stream), frames()).split();
        let ExecSession { input, output, process } = self.session;
        let input = self.stdin.then_some(input);
        // Each goes on while the other waits: a process may read only after it has written.
        let talk = async {
            let end = match speak(output, &mut to_client).await {
                Said::All => process.exit_code().await,
                Said::Broken(error) => Err(error),
                Said::ToNobody => return,
            };
            let status = frame(ERROR, status_of(end).to_string().as_bytes());
            // A client that has gone does not miss it.
            let _gone = to_client.send(status).await;
            let _gone = to_client.close().await;
        };
        tokio::select! {
            () = talk => {}
            () = hear(&mut from_client, input, &*process) => {}
        }
    }
}

/// How the outputs of a process ended.
#[derive(Debug)]
enum Said {
    /// They are closed, and everything is sent.
    All,
    /// They cannot be read any more.
    Broken(RuntimeError),
    /// The client has gone.
    ToNobody,
}

/// Sends what a process writes until it has closed its outputs, or the client has gone. Of a silent
/// process it sends an empty frame from time to time, which shows on the way whether anybody is
/// still there.
async fn speak(
    mut output: impl Stream<Item = Result<ExecOutput, RuntimeError>> + Unpin,
    to_client: &mut (impl Sink<Bytes, Error = std::io::Error> + Unpin),
) -> Said {
    // Clients take the first frame, even an empty one, for the sign that the process runs.
    let mut next = Some(Ok(ExecOutput::Stdout(Bytes::new())));
    while let Some(part) = next {
        let frame = match part {
            Ok(ExecOutput::Stdout(bytes)) => frame(STDOUT, &bytes),
            Ok(ExecOutput::Stderr(bytes)) => frame(STDERR, &bytes),
            Err(error) => return Said::Broken(error),
        };
        if to_client.send(frame).await.is_err() {
            return Said::ToNobody;
        }
        next = match tokio::time::timeout(HEARTBEAT, output.next()).await {
            Ok(part) => part,
            Err(_) => Some(Ok(ExecOutput::Stdout(Bytes::new()))),
        };
    }
    Said::All
}

/// Does what a client says until it hangs up.
async fn hear(
    from_client: &mut (impl Stream<Item = std::io::Result<BytesMut>> + Unpin),
    mut input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    process: &dyn ExecProcess,
) {
    while let Some(Ok(frame)) = from_client.next().await {
        match frame.split_first() {
            Some((&STDIN, bytes)) => {
                let Some(open) = &mut input else { continue };
                let written = async {
                    open.write_all(bytes).await?;
                    open.flush().await
                };
                // The process no longer reads.
                if written.await.is_err() {
                    input = None;
                }
            }
            Some((&CLOSE, [STDIN])) => {
                if let Some(mut open) = input.take()
                    && let Err(error) = open.shutdown().await
                {
                    tracing::debug!(%error, "the input of a process was closed already");
                }
            }
            Some((&RESIZE, bytes)) => {
                let Ok(size) = serde_json::from_slice::<Size>(bytes) else { continue };
                let size = TerminalSize { width: size.width, height: size.height };
                if let Err(error) = process.resize(size).await {
                    tracing::debug!(%error, "a terminal keeps its size");
                }
            }
            _ => {}
        }
    }
}

/// The size of a terminal as clients send it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

fn frame(channel: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + bytes.len());
    frame.put_u8(channel);
    frame.put_slice(bytes);
    frame.freeze()
}

/// How a process ended, as clients are told.
fn status_of(end: Result<Option<i64>, RuntimeError>) -> Value {
    match end {
        Ok(None | Some(0)) => json!({"metadata": {}, "status": "Success"}),
        Ok(Some(code)) => json!({
            "metadata": {},
            "status": "Failure",
            "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(error) => json!({
            "metadata": {},
            "status": "Failure",
            "reason": "InternalError",
            "message": error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::io::DuplexStream;

    use super::*;

    /// A terminal that remembers its sizes.
    #[derive(Default)]
    struct Terminal(Mutex<Vec<TerminalSize>>);

    #[async_trait]
    impl ExecProcess for Terminal {
        async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
            self.0.lock().unwrap().push(size);
            Ok(())
        }

        async fn exit_code(&self) -> Result<Option<i64>, RuntimeError> {
            Ok(None)
        }
    }

    fn client(stream: DuplexStream) -> Framed<DuplexStream, LengthDelimitedCodec> {
        Framed::new(stream, frames())
    }

    #[tokio::test]
    async fn a_client_hears_what_is_written_on_its_channel() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let output = futures::stream::iter([
            Ok(ExecOutput::Stdout(Bytes::from_static(b"out"))),
            Ok(ExecOutput::Stderr(Bytes::from_static(b"err"))),
        ]);
        assert!(matches!(speak(output, &mut client(near)).await, Said::All));
        let heard: Vec<_> = client(far).map(|frame| frame.unwrap()).collect().await;
        assert_eq!(heard, [&b"\x01"[..], b"\x01out", b"\x02err"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_gone_is_noticed_while_the_process_is_silent() {
        let (near, far) = tokio::io::duplex(1 << 16);
        drop(far);
        let silent = futures::stream::pending();
        assert!(matches!(speak(silent, &mut client(near)).await, Said::ToNobody));
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut far = client(far);
        let mut near = client(near);
        let speaks = speak(futures::stream::pending(), &mut near);
        let leaves = async {
            for _ in 0..3 {
                assert_eq!(far.next().await.unwrap().unwrap(), &b"\x01"[..]);
            }
            drop(far);
        };
        let (said, ()) = tokio::join!(speaks, leaves);
        assert!(matches!(said, Said::ToNobody));
    }

    #[tokio::test]
    async fn a_process_gets_its_input_until_it_is_closed_and_the_size_of_its_terminal() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (input, mut reads) = tokio::io::duplex(1 << 16);
        let mut says = client(near);
        let broken = [&b"\x04{}"[..], b"", b"\x07?", b"\x04{\"Width\":\"x\"}"];
        let said = [&b"\x00one "[..], b"\x04{\"Width\":80,\"Height\":24}", b"\x00two", b"\xff\x00"];
        for frame in broken.into_iter().chain(said).chain([&b"\x00late"[..]]) {
            says.send(Bytes::copy_from_slice(frame)).await.unwrap();
        }
        drop(says);
        let terminal = Terminal::default();
        hear(&mut client(far), Some(Box::pin(input)), &terminal).await;
        assert_eq!(*terminal.0.lock().unwrap(), [TerminalSize { width: 80, height: 24 }]);
        let mut read = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut reads, &mut read).await.unwrap();
        assert_eq!(read, "one two");
    }

    #[test]
    fn an_end_is_told_as_a_status() {
        assert_eq!(status_of(Ok(Some(0)))["status"], "Success");
        assert_eq!(status_of(Ok(None))["status"], "Success");
        let failed = status_of(Ok(Some(3)));
        assert_eq!(failed["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
        let broken = status_of(Err(RuntimeError::Failed("x".to_owned())));
        assert_eq!(broken["reason"], "InternalError");
    }
}
