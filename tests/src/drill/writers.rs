//! Clients that write without pause through whichever host answers, and note everything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::history::{During, History, Seen, Told, Write};
use crate::{
    Cluster,
    http::{Answer, Http, revision_of},
};

/// Clients at a time.
const WRITERS: usize = 6;
/// Counters they all raise.
const COUNTERS: usize = 3;
/// How long a try may take before the next host is asked.
const TRY_TIMEOUT: Duration = Duration::from_millis(800);
/// Between two operations of a client: the drill is about order, not about load.
const PAUSE: Duration = Duration::from_millis(8);
const CREATED: u16 = 201;
const CONFLICT: u16 = 409;

/// What the clients share.
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    /// Acknowledged writes so far.
    pub(super) acknowledged: AtomicUsize,
}

/// Makes the counters, through any host.
pub(super) async fn prepare(cluster: &Cluster, hosts: &[String], namespace: &str) -> Result<()> {
    let http = Http::new(cluster, &hosts[0], Duration::from_secs(10)).await?;
    for counter in 0..COUNTERS {
        let object = object(&counter_name(counter), "0", "", None);
        let made = http.post(&collection(namespace), &object).await?;
        ensure!(made.succeeded(), "the counters cannot be made: {}", made.body);
    }
    Ok(())
}

/// Runs the clients until they are told to stop.
pub(super) async fn run(
    cluster: Cluster,
    namespace: String,
    seed: u64,
    shared: Arc<Shared>,
) -> Result<History> {
    let hosts = cluster.hosts()?;
    let mut tasks = JoinSet::new();
    for number in 0..WRITERS {
        let mut https = Vec::new();
        for host in &hosts {
            https.push(Http::new(&cluster, host, TRY_TIMEOUT).await?);
        }
        let writer = Writer {
            number,
            host: number % hosts.len(),
            https,
            collection: collection(&namespace),
            random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            shared: Arc::clone(&shared),
            history: History::default(),
        };
        tasks.spawn(writer.run());
    }
    let mut history = History::default();
    while let Some(done) = tasks.join_next().await {
        history.extend(done?);
    }
    Ok(history)
}

/// Every object of the drill, as `host` has it.
pub(super) async fn find(cluster: &Cluster, host: &str, namespace: &str) -> Result<Vec<Seen>> {
    let http = Http::new(cluster, host, Duration::from_secs(30)).await?;
    let listed = http.get(&collection(namespace)).await?;
    ensure!(listed.succeeded() && !listed.stale(), "{host} answers {}", listed.body);
    let items = listed.body["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().filter_map(seen_in).collect())
}

struct Writer {
    number: usize,
    /// The host that is asked now.
    host: usize,
    https: Vec<Http>,
    collection: String,
    random: StdRng,
    shared: Arc<Shared>,
    history: History,
}

impl Writer {
    async fn run(mut self) -> History {
        let mut count = 0;
        while !self.stopped() {
            let by = format!("w{}-{count}", self.number);
            if self.random.random_bool(0.5) {
                self.create(by).await;
            } else {
                self.raise(by).await;
            }
            count += 1;
            tokio::time::sleep(PAUSE).await;
        }
        self.history
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn http(&self) -> &Http {
        &self.https[self.host]
    }

    fn ask_another(&mut self) {
        self.host = (self.host + 1) % self.https.len();
    }

    /// Makes an object, trying until the answer settles it.
    async fn create(&mut self, by: String) {
        let content = self.random.random::<u64>().to_string();
        let object = object(&by, &content, &by, None);
        let begun = Instant::now();
        let (mut told, mut unsettled) = (Told::Nothing, false);
        while !self.stopped() {
            let answer = self.http().post(&self.collection, &object).await;
            told = judge_create(&answer, unsettled);
            if told != Told::Nothing {
                break;
            }
            // A host that takes no writes says so, and is not asked twice in a row.
            unsettled |= may_have_applied(&answer);
            self.ask_another();
            tokio::time::sleep(PAUSE).await;
        }
        let during = During { begun, ended: Instant::now() };
        self.count(told);
        self.history.creates.push(Write { name: by.clone(), content, by, during, told });
    }

    /// Reads a counter and raises it on the condition that nobody else does; tried once.
    async fn raise(&mut self, by: String) {
        let name = counter_name(self.random.random_range(0..COUNTERS));
        let path = format!("{}/{name}", self.collection);
        let begun = Instant::now();
        let Ok(answer) = self.http().get(&path).await else { return self.ask_another() };
        let Some(seen) = seen_in(&answer.body).filter(|_| answer.succeeded()) else {
            return self.ask_another();
        };
        if !answer.stale() {
            self.history.reads.push((seen.clone(), During { begun, ended: Instant::now() }));
        }
        let content = (seen.content.parse::<u64>().unwrap_or_default() + 1).to_string();
        let begun = Instant::now();
        let raised = object(&name, &content, &by, Some(seen.revision));
        let answer = self.http().put(&path, &raised).await;
        let during = During { begun, ended: Instant::now() };
        let told = judge_raise(&answer);
        if told == Told::Nothing {
            self.ask_another();
        }
        self.count(told);
        self.history.raises.push(Write { name, content, by, during, told });
    }

    fn count(&self, told: Told) {
        if let Told::Done(_) = told {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the answer to a create says; `unsettled` tells that an earlier try may have done it.
fn judge_create(answer: &Result<Answer>, unsettled: bool) -> Told {
    match answer {
        Ok(answer) if answer.code == CREATED => Told::Done(answer.revision()),
        // Only this client uses the name, so it was an earlier try.
        Ok(answer) if answer.code == CONFLICT && unsettled => Told::Done(None),
        Ok(answer) if answer.code == CONFLICT => Told::Refused,
        Ok(_) | Err(_) => Told::Nothing,
    }
}

fn judge_raise(answer: &Result<Answer>) -> Told {
    match answer {
        Ok(answer) if answer.succeeded() => Told::Done(answer.revision()),
        Ok(answer) if answer.code == CONFLICT => Told::Refused,
        Ok(_) | Err(_) => Told::Nothing,
    }
}

/// Whether a try that was not acknowledged may have been carried out all the same: any but one
/// that was answered as overloaded.
fn may_have_applied(answer: &Result<Answer>) -> bool {
    !matches!(answer, Ok(answer) if answer.code == 429)
}

fn collection(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

fn counter_name(counter: usize) -> String {
    format!("counter-{counter}")
}

fn object(name: &str, content: &str, by: &str, revision: Option<u64>) -> Value {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"content": content, "by": by}
    });
    if let Some(revision) = revision {
        object["metadata"]["resourceVersion"] = revision.to_string().into();
    }
    object
}

/// An object of the drill; others of the namespace have no such content.
fn seen_in(object: &Value) -> Option<Seen> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Seen {
        name: text(&object["metadata"]["name"])?,
        content: text(&object["data"]["content"])?,
        by: text(&object["data"]["by"])?,
        revision: revision_of(object)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> Result<Answer> {
        let body = object("x", "1", "w", Some(7));
        Ok(Answer { code, warning: String::new(), body })
    }

    #[test]
    fn an_answer_settles_a_write_or_leaves_it_open() {
        let failed = || Err(anyhow::anyhow!("no answer in time"));
        let done = Told::Done(Some(7));
        // answer, unsettled before, a create, a raise
        let cases = [
            (answer(201), false, done, done),
            (answer(201), true, done, done),
            (answer(409), false, Told::Refused, Told::Refused),
            (answer(409), true, Told::Done(None), Told::Refused),
            (answer(503), false, Told::Nothing, Told::Nothing),
            (answer(504), true, Told::Nothing, Told::Nothing),
            (failed(), true, Told::Nothing, Told::Nothing),
        ];
        for (answer, unsettled, create, raise) in cases {
            assert_eq!(judge_create(&answer, unsettled), create, "{answer:?}");
            assert_eq!(judge_raise(&answer), raise, "{answer:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_seen() {
        let expected = Seen { name: "x".into(), content: "1".into(), by: "w".into(), revision: 7 };
        assert_eq!(seen_in(&object("x", "1", "w", Some(7))), Some(expected));
        assert_eq!(seen_in(&json!({"metadata": {"name": "kube-root-ca.crt"}})), None);
    }
}
