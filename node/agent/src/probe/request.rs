//! Asks a probe's question from the host.

use std::net::IpAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{ProbeSpec, Question};
use crate::limits;

/// Asks, and tells why the answer is bad.
pub(crate) async fn ask(spec: &ProbeSpec, pod_ip: IpAddr) -> Result<(), String> {
    let answer = timeout(spec.timeout, put(&spec.question, pod_ip)).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", spec.timeout)))
}

async fn put(question: &Question, pod_ip: IpAddr) -> Result<(), String> {
    match question {
        Question::Tcp { host, port } => connect(host.as_deref(), pod_ip, *port).await.map(drop),
        Question::Http { host, port, path, headers } => {
            let mut stream = connect(host.as_deref(), pod_ip, *port).await?;
            let authority = host.clone().unwrap_or_else(|| pod_ip.to_string());
            let request = http_request(&authority, *port, path, headers);
            stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
            judge(&status_line(&mut stream).await?)
        }
        Question::Unsupported(why) => Err(why.clone()),
    }
}

async fn connect(host: Option<&str>, pod_ip: IpAddr, port: u16) -> Result<TcpStream, String> {
    let result = match host {
        Some(host) => TcpStream::connect((host, port)).await,
        None => TcpStream::connect((pod_ip, port)).await,
    };
    result.map_err(|error| format!("connect to port {port}: {error}"))
}

fn http_request(host: &str, port: u16, path: &str, headers: &[(String, String)]) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut request = format!("GET {slash}{path} HTTP/1.1\r\n");
    let named = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    if !named("host") {
        request.push_str(&format!("Host: {host}:{port}\r\n"));
    }
    if !named("user-agent") {
        request.push_str("User-Agent: kube-probe/1.36\r\n");
    }
    if !named("accept") {
        request.push_str("Accept: */*\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    request
}

async fn status_line(stream: &mut TcpStream) -> Result<String, String> {
    let mut answer = Vec::with_capacity(limits::PROBE_ANSWER_BYTES);
    while !answer.contains(&b'\n') && answer.len() < limits::PROBE_ANSWER_BYTES {
        let read = stream.read_buf(&mut answer).await.map_err(|error| error.to_string())?;
        if read == 0 {
            break;
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

/// Whether an HTTP status line is a good answer.
pub(super) fn judge(line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let version = words.next().unwrap_or_default();
    let code = words.next().and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200..=399) if version.starts_with("HTTP/") => Ok(()),
        Some(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
        None => Err(format!("malformed HTTP response {line:?}")),
    }
}
