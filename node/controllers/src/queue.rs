//! A queue of keys to look at, each at most once and never by two workers at a time.
//!
//! A key that is added while it is worked on is worked on once more afterwards. A key that failed
//! comes back after a pause that doubles with each failure in a row. The queue holds no more than
//! the distinct keys there are.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{backoff, metrics::QueueMetrics};

/// The queue. Shared by reference.
pub(crate) struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    /// Since when each is worked on.
    active: HashMap<K, Instant>,
    again: HashSet<K>,
    due: HashMap<K, Instant>,
    failures: HashMap<K, u32>,
    metrics: QueueMetrics,
}

impl<K> Drop for State<K> {
    /// Nothing waits in a queue that is gone.
    fn drop(&mut self) {
        self.metrics.depth.dec_by(self.ready.len().try_into().unwrap_or(i64::MAX));
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue that is counted in `metrics`.
    pub(crate) fn new(metrics: QueueMetrics) -> Self {
        let state = State {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            active: HashMap::new(),
            again: HashSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            metrics,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Asks for a look at `key`.
    pub(crate) fn add(&self, key: K) {
        self.lock().add(key);
        self.changed.notify_one();
    }

    /// Asks for a look at `key` once `pause` has passed, or earlier if that was asked for before.
    pub(crate) fn add_after(&self, key: K, pause: Duration) {
        self.lock().add_at(key, Instant::now() + pause);
        self.changed.notify_one();
    }

    /// The next key; the caller must give it back with [`Queue::done`].
    pub(crate) async fn next(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let due = {
                let mut state = self.lock();
                state.ripen(Instant::now());
                if let Some(key) = state.take(Instant::now()) {
                    return key;
                }
                state.due.values().min().copied()
            };
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Ends the work on `key`; after a failure it comes back by itself.
    pub(crate) fn done(&self, key: &K, failed: bool) {
        let mut state = self.lock();
        state.end(key, Instant::now());
        let again = state.again.remove(key);
        if failed {
            let pause = state.fail(key);
            state.add_at(key.clone(), Instant::now() + pause);
        } else {
            state.failures.remove(key);
            if again {
                state.add(key.clone());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) {
        if self.active.contains_key(&key) {
            self.again.insert(key);
        } else if !self.is_failing(&key) && self.queued.insert(key.clone()) {
            self.due.remove(&key);
            self.ready.push_back(key);
            self.metrics.depth.inc();
            self.metrics.adds.inc();
        }
    }

    /// Whether the key waits for its pause to pass: news do not shorten it, or a failing key that
    /// changes often would never be slowed down.
    fn is_failing(&self, key: &K) -> bool {
        self.failures.contains_key(key) && self.due.contains_key(key)
    }

    fn add_at(&mut self, key: K, due: Instant) {
        if !self.queued.contains(&key) {
            let earliest = self.due.entry(key).or_insert(due);
            *earliest = due.min(*earliest);
        }
    }

    fn ripen(&mut self, now: Instant) {
        let ripe: BTreeMap<Instant, Vec<K>> = {
            let mut ripe: BTreeMap<Instant, Vec<K>> = BTreeMap::new();
            for (key, due) in self.due.iter().filter(|(_, due)| **due <= now) {
                ripe.entry(*due).or_default().push(key.clone());
            }
            ripe
        };
        for key in ripe.into_values().flatten() {
            self.due.remove(&key);
            self.add(key);
        }
    }

    fn take(&mut self, now: Instant) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.metrics.depth.dec();
        self.queued.remove(&key);
        self.active.insert(key.clone(), now);
        Some(key)
    }

    fn end(&mut self, key: &K, now: Instant) {
        if let Some(since) = self.active.remove(key) {
            self.metrics.work.observe(now.duration_since(since).as_secs_f64());
        }
    }

    fn fail(&mut self, key: &K) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = backoff::pause(*failures);
        *failures = failures.saturating_add(1);
        self.metrics.retries.inc();
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metrics, limits::BACKOFF};

    fn queue() -> Queue<&'static str> {
        Queue::new(Metrics::default().queue("test"))
    }

    async fn is_empty(queue: &Queue<&str>) -> bool {
        tokio::time::timeout(Duration::ZERO, queue.next()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_worked_on_once_however_often_it_is_added() {
        let queue = queue();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        assert!(is_empty(&queue).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_during_its_work_comes_back_after_it() {
        let queue = queue();
        queue.add("a");
        let key = queue.next().await;
        queue.add("a");
        assert!(is_empty(&queue).await);
        queue.done(&key, false);
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_key_waits_twice_as_long_each_time_whatever_happens_meanwhile() {
        let queue = queue();
        queue.add("a");
        let mut pauses = Vec::new();
        for _ in 0..4 {
            let before = Instant::now();
            let key = queue.next().await;
            pauses.push(before.elapsed());
            queue.done(&key, true);
            queue.add("a");
        }
        let first = BACKOFF.0;
        assert_eq!(pauses, [Duration::ZERO, first, first * 2, first * 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn success_forgets_earlier_failures() {
        let queue = queue();
        queue.add("a");
        for failed in [true, true, false, true] {
            let key = queue.next().await;
            queue.done(&key, failed);
            queue.add("a");
        }
        let before = Instant::now();
        queue.next().await;
        assert_eq!(before.elapsed(), BACKOFF.0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_counted_until_the_queue_is_gone() {
        let metrics = Metrics::default().queue("test");
        let queue = Queue::new(metrics.clone());
        queue.add("a");
        queue.add("b");
        queue.add("b");
        assert_eq!((metrics.depth.get(), metrics.adds.get()), (2, 2));
        let key = queue.next().await;
        queue.done(&key, true);
        assert_eq!((metrics.depth.get(), metrics.retries.get()), (1, 1));
        drop(queue);
        assert_eq!(metrics.depth.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_of_several_appointments_counts() {
        let queue = queue();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(3));
        queue.add_after("a", Duration::from_secs(6));
        let before = Instant::now();
        assert_eq!(queue.next().await, "a");
        assert_eq!(before.elapsed(), Duration::from_secs(3));
        assert!(is_empty(&queue).await);
    }
}
