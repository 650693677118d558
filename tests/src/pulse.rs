//! Writers that never pause for long, so that a moment without writes can be measured to a few
//! milliseconds.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::PostParams, config::Kubeconfig};
use tokio::task::JoinSet;

use crate::{Cluster, client, wait_for};

/// Writers, each with a connection of its own and one write under way.
const WRITERS: usize = 8;
/// Between a writer's acknowledged write and its next: together they write every other
/// millisecond and leave the machine to what is measured.
const PAUSE: Duration = Duration::from_millis(10);
/// Between a write that failed and the next try.
const RETRY_PAUSE: Duration = Duration::from_millis(3);
/// How long one try may take. Shorter, and a try that is about to succeed is given up; longer,
/// and one that was lost on the way delays the next.
const TRY_TIMEOUT: Duration = Duration::from_millis(250);

/// One acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When it was sent.
    pub sent: Instant,
    /// When the answer was there.
    pub at: Instant,
}

/// Eight writers through one host.
#[derive(Debug)]
pub struct Pulse {
    stop: Arc<AtomicBool>,
    writes: Writes,
    thread: JoinHandle<Result<()>>,
}

type Writes = Arc<Mutex<Vec<Acknowledged>>>;

impl Pulse {
    /// Starts writing objects into `namespace` through `host`; their names begin with `prefix`.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub fn start(cluster: &Cluster, namespace: &str, host: &str, prefix: &str) -> Result<Self> {
        let kubeconfig =
            Kubeconfig::read_from(cluster.kubeconfig(host)).context(host.to_owned())?;
        let (stop, writes) = (Arc::new(AtomicBool::new(false)), Writes::default());
        let work = write_all(
            kubeconfig,
            namespace.to_owned(),
            prefix.to_owned(),
            Arc::clone(&stop),
            Arc::clone(&writes),
        );
        let thread = std::thread::Builder::new().name("pulse".into()).spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
        })?;
        Ok(Self { stop, writes, thread })
    }

    /// What has been acknowledged so far, in the order of the answers.
    pub fn writes(&self) -> Vec<Acknowledged> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the answer that came first among the writes sent after `moment`.
    ///
    /// # Errors
    /// When none comes before `deadline`.
    pub fn first_after(&self, moment: Instant, deadline: Duration) -> Result<Instant> {
        wait_for("an acknowledged write", deadline, || {
            let writes = self.writes();
            let later = writes.iter().filter(|write| write.sent >= moment);
            later.map(|write| write.at).min().context("none")
        })
    }

    /// Waits until `count` further writes have been acknowledged.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn goes_on(&self, count: usize, deadline: Duration) -> Result<()> {
        let goal = self.writes().len() + count;
        wait_for("writes to go on", deadline, || {
            let written = self.writes().len();
            ensure!(written >= goal, "{written} of {goal}");
            anyhow::Ok(())
        })
    }

    /// Ends the writers.
    ///
    /// # Errors
    /// When they could not even start.
    pub fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("a writer panicked"))?
    }
}

/// The longest time without an answer around the time between two moments: it begins with the
/// last answer before `from`, if there is one, and ends with `until`.
pub fn longest_gap(writes: &[Acknowledged], from: Instant, until: Instant) -> Duration {
    let answers = || writes.iter().map(|write| write.at);
    let before = answers().filter(|at| *at <= from).max().unwrap_or(from);
    let mut moments: Vec<Instant> = answers().filter(|at| *at > from && *at < until).collect();
    moments.extend([before, until]);
    moments.sort_unstable();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

async fn write_all(
    kubeconfig: Kubeconfig,
    namespace: String,
    prefix: String,
    stop: Arc<AtomicBool>,
    writes: Writes,
) -> Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = client(kubeconfig.clone(), TRY_TIMEOUT).await?;
        let writer = Writer {
            api: Api::namespaced(client, &namespace),
            prefix: format!("{prefix}-{writer}"),
            stop: Arc::clone(&stop),
            writes: Arc::clone(&writes),
        };
        writers.spawn(writer.run());
    }
    writers.join_all().await;
    Ok(())
}

struct Writer {
    api: Api<ConfigMap>,
    prefix: String,
    stop: Arc<AtomicBool>,
    writes: Writes,
}

impl Writer {
    /// A failed try is not made again: the next write has another name, so that an answer always
    /// means that this very request was carried out.
    async fn run(self) {
        let mut number = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let object = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(format!("{}-{number}", self.prefix)),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            };
            number += 1;
            let sent = Instant::now();
            let params = PostParams::default();
            let created = tokio::time::timeout(TRY_TIMEOUT, self.api.create(&params, &object));
            let pause = match created.await {
                Ok(Ok(_)) => {
                    let write = Acknowledged { sent, at: Instant::now() };
                    self.writes.lock().unwrap_or_else(PoisonError::into_inner).push(write);
                    PAUSE
                }
                Ok(Err(error)) => {
                    tracing::debug!("a write failed: {error:#}");
                    RETRY_PAUSE
                }
                Err(_) => RETRY_PAUSE,
            };
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lies_between_answers_or_reaches_to_the_end() {
        let start = Instant::now();
        let ms = |ms: u64| start + Duration::from_millis(ms);
        let gap = |answers: &[u64], from: u64, until: u64| {
            let writes: Vec<Acknowledged> =
                answers.iter().map(|at| Acknowledged { sent: start, at: ms(*at) }).collect();
            longest_gap(&writes, ms(from), ms(until)).as_millis()
        };
        // answers, from, until, longest gap
        let cases: [(&[u64], u64, u64, u128); 6] = [
            (&[10, 20, 70, 80], 15, 85, 50),
            (&[10, 20, 70, 80], 75, 85, 10),
            (&[10, 20], 15, 100, 80),
            (&[80, 10, 70, 20], 15, 85, 50),
            (&[50], 10, 60, 40),
            (&[], 10, 60, 50),
        ];
        for (answers, from, until, expected) in cases {
            assert_eq!(gap(answers, from, until), expected, "{answers:?} {from}..{until}");
        }
    }
}
