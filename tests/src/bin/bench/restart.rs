//! How long a node with a large state takes from `kill -9` to its first answers, and in how much
//! memory.

mod fill;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::{Client, config::Kubeconfig};
use skein_measure::Distribution;
use skein_tests::{binary, client};
use tokio::time::{interval, timeout};

use crate::{
    process::{Memory, Process},
    template::Template,
    trials::Trials,
};

const NAMESPACE: &str = "default";
const DEADLINE: Duration = Duration::from_secs(180);
/// Between two tries, which is how exact the result is.
const TRY_INTERVAL: Duration = Duration::from_millis(5);
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the node is left alone after its first answers before its memory is read: its
/// informers have read everything by then.
const SETTLING: Duration = Duration::from_secs(10);

/// What one restart took.
#[derive(Debug)]
struct Outcome {
    read: Duration,
    written: Duration,
    memory: Memory,
}

pub(crate) fn measure(pods: usize, trials: Trials) -> Result<()> {
    let binary = binary()?;
    let parent = binary.parent().context("a binary lies in a directory")?;
    let directory = tempfile::Builder::new().prefix("bench-restart-").tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut process = Process::new(binary, directory.path(), "h1")?;
    // The node founds its cluster and makes the first pod: the pattern of all others.
    process.start()?;
    let first = Template::new(NAMESPACE).pod(0);
    runtime.block_on(create(&process, &format!("/api/v1/namespaces/{NAMESPACE}/pods"), first))?;
    process.stop()?;
    let filled = runtime.block_on(fill::fill(&process.data(), NAMESPACE, pods))?;

    let (outcomes, ended) = trials.run("restart", |trial| {
        let outcome = runtime.block_on(restart(&mut process, &filled.last, trial));
        process.kill()?;
        outcome
    })?;
    print(&outcomes, pods, filled.bytes)?;
    ended
}

fn print(outcomes: &[Outcome], pods: usize, bytes: usize) -> Result<()> {
    println!("## Restart\n\nOne node, {pods} pods of {bytes} B as stored, `kill -9`, start.\n");
    println!("{}", Distribution::head("start of the process → first"));
    let of =
        |part: fn(&Outcome) -> Duration| Distribution::new(outcomes.iter().map(part).collect());
    println!("{}", of(|one| one.read)?.row("consistent read"));
    println!("{}", of(|one| one.written)?.row("acknowledged write"));
    let most = |part: fn(&Memory) -> u64| {
        outcomes.iter().map(|one| part(&one.memory)).max().unwrap_or_default() >> 20
    };
    println!(
        "\nResident memory {} s later: {} MB; at most until then: {} MB. Goal: at most 400 MB.\n",
        SETTLING.as_secs(),
        most(|memory| memory.resident),
        most(|memory| memory.peak),
    );
    Ok(())
}

/// Starts the node and asks it until it answers.
async fn restart(process: &mut Process, last: &str, trial: usize) -> Result<Outcome> {
    let begun = process.start()?;
    let client = client_of(process).await?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{last}");
    answered(&client, begun, || Ok(http::Request::get(&path).body(Vec::new())?)).await?;
    let read = begun.elapsed();
    let mut tries = 0;
    answered(&client, begun, || {
        tries += 1;
        let name = format!("restart-{trial}-{tries}");
        let body = serde_json::json!({"metadata": {"name": name}}).to_string();
        post(&format!("/api/v1/namespaces/{NAMESPACE}/configmaps"), body)
    })
    .await?;
    let written = begun.elapsed();
    tokio::time::sleep(SETTLING).await;
    let memory = process.memory()?;
    Ok(Outcome { read, written, memory })
}

/// Makes one object, trying until the node is there.
async fn create(process: &Process, path: &str, body: String) -> Result<()> {
    let client = client_of(process).await?;
    answered(&client, Instant::now(), || post(path, body.clone())).await
}

fn post(path: &str, body: String) -> Result<http::Request<Vec<u8>>> {
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
    Ok(request.body(body.into_bytes())?)
}

/// Sends requests until one is answered with success.
async fn answered(
    client: &Client,
    begun: Instant,
    mut request: impl FnMut() -> Result<http::Request<Vec<u8>>>,
) -> Result<()> {
    let mut tries = interval(TRY_INTERVAL);
    loop {
        tries.tick().await;
        let seen = match timeout(TRY_TIMEOUT, client.request_text(request()?)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {TRY_TIMEOUT:?}"),
        };
        if begun.elapsed() > DEADLINE {
            bail!("the node did not answer within {DEADLINE:?}; seen last: {seen}");
        }
    }
}

/// A client of the node, as soon as it has written down who may ask it.
async fn client_of(process: &Process) -> Result<Client> {
    let path = process.data().join("admin.kubeconfig");
    let mut tries = interval(TRY_INTERVAL);
    let begun = Instant::now();
    loop {
        tries.tick().await;
        match Kubeconfig::read_from(&path) {
            Ok(kubeconfig) => return client(kubeconfig, TRY_TIMEOUT).await,
            Err(error) if begun.elapsed() > DEADLINE => return Err(error.into()),
            Err(_) => {}
        }
    }
}
