//! Probe verdicts, and probes asked of a real socket.

use k8s_openapi::api::core::v1::{ExecAction, GRPCAction, HTTPGetAction, TCPSocketAction};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

fn http_probe(port: IntOrString) -> Probe {
    let http = HTTPGetAction { port, path: Some("/healthz".into()), ..Default::default() };
    Probe { http_get: Some(http), ..Default::default() }
}

fn spec(successes: u32, failures: u32) -> ProbeSpec {
    let probe = http_probe(IntOrString::Int(80));
    let spec = ProbeSpec::of(ProbeKind::Readiness, &probe, &[]);
    ProbeSpec { successes, failures, ..spec }
}

#[test]
fn verdict_changes_only_after_the_threshold_in_a_row() {
    let spec = spec(2, 3);
    let mut state = ProbeState::default();
    let answers = [
        (true, None),
        (true, Some(true)),
        (false, Some(true)),
        (false, Some(true)),
        (true, Some(true)),
        (false, Some(true)),
        (false, Some(true)),
        (false, Some(false)),
        (true, Some(false)),
        (true, Some(true)),
    ];
    for (index, (good, expected)) in answers.into_iter().enumerate() {
        state.record(&spec, good, Timestamp::UNIX_EPOCH);
        assert_eq!(state.verdict, expected, "answer {index}");
    }
}

#[test]
fn first_question_waits_for_the_initial_delay_then_the_period() {
    let spec = ProbeSpec { initial_delay: SignedDuration::from_secs(7), ..spec(1, 1) };
    let start = Timestamp::UNIX_EPOCH;
    let mut state = ProbeState::default();
    assert_eq!(state.due(&spec, start, start), start + SignedDuration::from_secs(7));
    let asked = start + SignedDuration::from_secs(8);
    state.record(&spec, true, asked);
    assert_eq!(state.due(&spec, start, asked), asked + SignedDuration::from_secs(10));
}

#[test]
fn named_port_is_looked_up() {
    let port = ContainerPort { name: Some("web".into()), container_port: 81, ..Default::default() };
    let probe = http_probe(IntOrString::String("web".into()));
    let spec = ProbeSpec::of(ProbeKind::Liveness, &probe, &[port]);
    assert!(matches!(spec.question, Question::Http { port: 81, .. }));
}

#[test]
fn probes_that_cannot_be_asked_say_why() {
    let https = HTTPGetAction { scheme: Some("HTTPS".into()), ..Default::default() };
    let cases = [
        (Probe { exec: Some(ExecAction::default()), ..Default::default() }, "exec probes"),
        (Probe { grpc: Some(GRPCAction::default()), ..Default::default() }, "gRPC probes"),
        (Probe { http_get: Some(https), ..Default::default() }, "HTTPS probes"),
        (http_probe(IntOrString::String("web".into())), "no port named \"web\""),
        (http_probe(IntOrString::Int(70_000)), "70000 is not a port"),
    ];
    for (probe, expected) in cases {
        let spec = ProbeSpec::of(ProbeKind::Readiness, &probe, &[]);
        assert!(spec.unsupported().is_some_and(|why| why.contains(expected)), "{spec:?}");
    }
    let asked = ProbeSpec::of(ProbeKind::Readiness, &http_probe(IntOrString::Int(80)), &[]);
    assert_eq!(asked.unsupported(), None);
}

#[test]
fn status_lines_from_200_to_399_are_good() {
    let cases = [
        ("HTTP/1.1 200 OK", true),
        ("HTTP/1.0 399 x", true),
        ("HTTP/1.1 404 Not Found", false),
        ("HTTP/1.1 500", false),
        ("SSH-2.0-x 200", false),
        ("", false),
    ];
    for (line, good) in cases {
        assert_eq!(request::judge(line).is_ok(), good, "{line}");
    }
}

#[tokio::test]
async fn http_probe_asks_the_path_and_reads_the_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let probe = http_probe(IntOrString::Int(i32::from(address.port())));
    let spec = ProbeSpec::of(ProbeKind::Readiness, &probe, &[]);
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut request = vec![0; 1024];
        let read = stream.read(&mut request).await.expect("read");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("write");
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let (answer, request) = tokio::join!(ask(&spec, address.ip()), serve);
    assert_eq!(answer, Ok(()));
    assert!(request.starts_with("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
}

#[tokio::test]
async fn tcp_probe_fails_where_nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let tcp = TCPSocketAction { port: IntOrString::Int(i32::from(address.port())), host: None };
    let probe = Probe { tcp_socket: Some(tcp), ..Default::default() };
    let spec = ProbeSpec::of(ProbeKind::Readiness, &probe, &[]);
    assert_eq!(ask(&spec, address.ip()).await, Ok(()));
    drop(listener);
    assert!(ask(&spec, address.ip()).await.is_err());
}
