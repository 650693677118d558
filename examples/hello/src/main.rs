//! A tiny HTTP server that tells which pod answers, and on which node.
//!
//! A container's first process gets no default action for SIGTERM, so the signal is waited for
//! explicitly: requests that have begun are answered, then the process ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

const PORT: u16 = 8080;
/// Enough for a demo: a request takes no time, and a slow client is cut off.
const WORKERS: usize = 8;
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REQUEST_BYTES: u64 = 8 << 10;

fn main() -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Before any thread is made, so that all inherit it and only the wait below sees a signal.
    signals.thread_block()?;

    let greeting = greeting()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
    say(&format!("listening on port {PORT}: {greeting}"))?;
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&listener, &stopping, &greeting));
        }
        let signal = signals.wait()?;
        stopping.store(true, Ordering::SeqCst);
        // Each worker waits for a connection: give it one, to look at the flag.
        for _ in 0..WORKERS {
            TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))?;
        }
        say(&format!("{signal}: ending"))
    })
}

/// What every request is answered with.
fn greeting() -> io::Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let variable = |name| std::env::var_os(name).and_then(|value| value.into_string().ok());
    let node = variable("NODE_NAME").map(|node| format!(" on {node}")).unwrap_or_default();
    let version =
        variable("HELLO_VERSION").map(|version| format!(", version {version}")).unwrap_or_default();
    let text = variable("HELLO_TEXT").unwrap_or_else(|| "hello".into());
    Ok(format!("{text} from {}{node}{version}", host.trim()))
}

fn work(listener: &TcpListener, stopping: &AtomicBool, greeting: &str) {
    for client in listener.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        // A client that goes away half-way is its own affair.
        if let Err(error) = client.and_then(|client| answer(client, greeting)) {
            say(&format!("a request failed: {error}")).ok();
        }
    }
}

fn answer(mut client: TcpStream, greeting: &str) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let head = read_head(&client)?;
    let (status, body) = match path(&head) {
        Some("/") => ("200 OK", format!("{greeting}\n")),
        Some("/healthz") => ("200 OK", "ok\n".to_owned()),
        Some(_) => ("404 Not Found", "not found\n".to_owned()),
        None => ("400 Bad Request", "only GET\n".to_owned()),
    };
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The request up to the empty line that ends its head.
fn read_head(client: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(client.take(MAX_REQUEST_BYTES));
    let mut head = String::new();
    loop {
        let start = head.len();
        // Nothing more, or nothing but the line's end.
        if reader.read_line(&mut head)? == 0 || head[start..].trim_end().is_empty() {
            return Ok(head);
        }
    }
}

/// The path of a GET request, without its query.
fn path(head: &str) -> Option<&str> {
    let target = head.strip_prefix("GET ")?.split_whitespace().next()?;
    target.split('?').next()
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn only_get_requests_have_a_path() {
        assert_eq!(path("GET /healthz?x=1 HTTP/1.1\r\n\r\n"), Some("/healthz"));
        assert_eq!(path("POST / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(path(""), None);
    }
}
