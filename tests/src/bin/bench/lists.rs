//! Lists of many pods, beside the same bytes over the loopback.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use skein_measure::Distribution;
use tokio::runtime::Runtime;

use crate::{creates, template::REALISTIC_BYTES, voters::Voters};

const NAMESPACE: &str = "bench-lists";
/// What one write of the baseline takes: a chunk of a list.
const CHUNK_BYTES: usize = 64 << 10;
/// At least so many lists of each kind, however short the time.
const LEAST: usize = 5;

pub(crate) fn measure(voters: &Voters, runtime: &Runtime, pods: usize, seconds: u64) -> Result<()> {
    runtime.block_on(creates::fill(voters, NAMESPACE, pods))?;
    println!(
        "## Lists\n\n{pods} pods of {REALISTIC_BYTES} B as sent, asked of a follower over TLS, \
         until the last byte is there.\n"
    );
    println!("| list | n | bytes | median | p99 | MB/s | node's processor time |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let node = voters.follower()?;
    let client = runtime.block_on(voters.clients(node, 1))?.pop().context("one client")?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let stale = format!("{path}?resourceVersion=0");
    let kinds = [("consistent", &path, false), ("any", &stale, false), ("any, gzip", &stale, true)];
    let mut plain = 0;
    for (name, path, gzip) in kinds {
        let (mut took, mut bytes) = (Vec::new(), 0);
        runtime.block_on(list(&client, path, gzip))?;
        let (begun, before) = (Instant::now(), node.processor_time()?);
        while took.len() < LEAST || begun.elapsed() < Duration::from_secs(seconds) {
            let begun = Instant::now();
            bytes = runtime.block_on(list(&client, path, gzip))?;
            took.push(begun.elapsed());
        }
        let used = node.processor_time()?.saturating_sub(before);
        let processor = used / u32::try_from(took.len())?;
        print_row(name, bytes, &Distribution::new(took)?, &format!("{processor:.1?}"));
        plain = plain.max(bytes);
    }
    let loopback = (0..LEAST).map(|_| loopback(plain)).collect::<Result<Vec<_>>>()?;
    print_row("as many bytes over TCP, without TLS", plain, &Distribution::new(loopback)?, "");
    println!("\nGoal: at most 50 ms. Kubernetes 1.36 on such a machine: 400–760 ms.\n");
    Ok(())
}

fn print_row(name: &str, bytes: usize, took: &Distribution, processor: &str) {
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = bytes as f64 / 1e6 / took.median().as_secs_f64();
    let (count, median, p99) = (took.count(), took.median(), took.percentile(99));
    println!("| {name} | {count} | {bytes} | {median:.1?} | {p99:.1?} | {rate:.0} | {processor} |");
}

/// Reads a list without looking at it; how many bytes it had on the wire.
async fn list(client: &Client, path: &str, gzip: bool) -> Result<usize> {
    let mut request = http::Request::get(path);
    if gzip {
        request = request.header(http::header::ACCEPT_ENCODING, "gzip");
    }
    let response = client.send(request.body(Body::empty())?).await?;
    ensure!(response.status().is_success(), "the list was answered with {}", response.status());
    let compressed = response.headers().contains_key(http::header::CONTENT_ENCODING);
    ensure!(compressed == gzip, "the list is compressed: {compressed}");
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, bytes::Bytes::len);
    }
    Ok(bytes)
}

/// How long so many bytes take from one thread to another over the loopback.
fn loopback(bytes: usize) -> Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            let chunk = vec![b'x'; CHUNK_BYTES];
            let mut left = bytes;
            while left > 0 {
                let next = left.min(CHUNK_BYTES);
                stream.write_all(&chunk[..next])?;
                left -= next;
            }
            Ok(())
        });
        let mut stream = TcpStream::connect(address)?;
        let begun = Instant::now();
        let mut buffer = vec![0; CHUNK_BYTES];
        while stream.read(&mut buffer)? > 0 {}
        let took = begun.elapsed();
        sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        Ok(took)
    })
}
