//! What a replica serves reads and watches from.
//!
//! The one writer publishes a new view and the changes that led to it; any number of readers take
//! the view as it is, or with the last changes undone, and any number of watchers follow the
//! history at their own pace. Nobody
//! waits for a watcher: one that falls behind the history is dropped and must list again.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    Event, EventBatch, KeyRange, ListOptions, Listing, Revision, StoreError, WatchStream,
    history::{History, TooOld},
    limits,
    view::View,
};

/// The current view, its history, and who waits for the next. Shared by reference.
#[derive(Debug)]
pub struct Published {
    view: RwLock<View>,
    revision: watch::Sender<Revision>,
    /// Counts how often the watchers were sent away.
    released: watch::Sender<u64>,
    channels: RwLock<Channels>,
}

#[derive(Debug)]
struct Channels {
    by_resource: HashMap<Arc<str>, Arc<Channel>>,
    /// Histories of resources without changes so far are complete from here on.
    since: Revision,
    closed: bool,
}

/// The history of one resource and the news of its last change.
#[derive(Debug)]
struct Channel {
    history: RwLock<History>,
    news: watch::Sender<News>,
}

/// What a sleeping watcher is woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Changed(Revision),
    Closed,
}

impl Published {
    /// Serves `view`; changes before it are not known.
    pub fn new(view: View) -> Self {
        let since = view.revision();
        Self {
            view: RwLock::new(view),
            revision: watch::Sender::new(since),
            released: watch::Sender::new(0),
            channels: RwLock::new(Channels { by_resource: HashMap::new(), since, closed: false }),
        }
    }

    /// The current view.
    pub fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves `view`, which `events` led to, from now on.
    pub fn publish(&self, view: View, events: Vec<Event>) {
        let revision = view.revision();
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        let mut touched: Vec<(Arc<Channel>, Revision)> = Vec::new();
        for event in events {
            let (resource, at) = (event.key().resource.clone(), event.revision());
            let channel = self.channel(&resource);
            channel.history.write().unwrap_or_else(PoisonError::into_inner).push(event);
            match touched.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &channel)) {
                Some((_, last)) => *last = at,
                None => touched.push((channel, at)),
            }
        }
        self.revision.send_replace(revision);
        for (channel, last) in touched {
            channel.news.send_replace(News::Changed(last));
        }
    }

    /// Serves `view`, reached by an unknown way: every watcher before it has to list again.
    pub fn replace(&self, view: View) {
        let revision = view.revision();
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        {
            let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
            channels.since = revision;
            for channel in channels.by_resource.values() {
                *channel.history.write().unwrap_or_else(PoisonError::into_inner) =
                    History::starting_at(revision);
                channel.news.send_replace(News::Changed(revision));
            }
        }
        self.revision.send_replace(revision);
    }

    /// Ends every watch, now and later: the replica is going away.
    pub fn close(&self) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.closed = true;
        for channel in channels.by_resource.values() {
            channel.news.send_replace(News::Closed);
        }
    }

    /// Ends every watch there is, so that its owner may find a better replica; it may come back.
    pub fn release(&self) {
        self.released.send_modify(|count| *count += 1);
    }

    /// The current view once it holds `revision`, waiting for it until `deadline`.
    pub async fn view_at_least(
        &self,
        revision: Revision,
        deadline: Instant,
    ) -> Result<View, StoreError> {
        let mut reached = self.revision.subscribe();
        match timeout_at(deadline, reached.wait_for(|now| *now >= revision)).await {
            Ok(Ok(_)) => Ok(self.view()),
            Ok(Err(_)) | Err(_) => Err(behind(*self.revision.borrow(), revision)),
        }
    }

    /// A part of `range` as `view`, one of those published here, has it, or as it was at the
    /// earlier revision that `options` ask for.
    pub async fn list(
        &self,
        view: &View,
        range: &KeyRange,
        options: &ListOptions,
    ) -> Result<Listing, StoreError> {
        let now = view.revision();
        let Some(at) = options.at.filter(|at| *at != now) else {
            return Ok(view.list(range, options));
        };
        if at > now {
            return Err(behind(now, at));
        }
        // A view is served a moment before the changes that led to it are in the histories.
        let mut told = self.revision.subscribe();
        if told.wait_for(|told| *told >= now).await.is_err() {
            return Err(StoreError::Unavailable("the replica has stopped".to_owned()));
        }
        let undone = {
            let channel = self.channel(&range.resource);
            let history = channel.history.read().unwrap_or_else(PoisonError::into_inner);
            history.undo(range, options.after.as_ref(), at, now)
        };
        let undone = undone.map_err(|TooOld(oldest)| compacted(at, oldest))?;
        Ok(view.list_over(range, options, &undone))
    }

    /// Follows `range` from after `from`.
    pub fn watch(
        self: &Arc<Self>,
        range: &KeyRange,
        from: Revision,
    ) -> Result<WatchStream, StoreError> {
        let channel = self.channel(&range.resource);
        let oldest = channel.history.read().unwrap_or_else(PoisonError::into_inner).oldest();
        if from < oldest {
            return Err(compacted(from, oldest));
        }
        let watcher = Watcher {
            news: channel.news.subscribe(),
            released: self.released.subscribe(),
            channel,
            range: range.clone(),
            position: from,
            told: false,
            ended: false,
            published: Arc::clone(self),
        };
        Ok(Box::pin(futures::stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next().await?;
            watcher.ended = item.is_err();
            Some((item, watcher))
        })))
    }

    fn channel(&self, resource: &Arc<str>) -> Arc<Channel> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.by_resource.get(resource) {
            return Arc::clone(channel);
        }
        drop(channels);
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let (since, closed) = (channels.since, channels.closed);
        let news = if closed { News::Closed } else { News::Changed(since) };
        let fresh = || {
            let history = RwLock::new(History::starting_at(since));
            Arc::new(Channel { history, news: watch::Sender::new(news) })
        };
        Arc::clone(channels.by_resource.entry(Arc::clone(resource)).or_insert_with(fresh))
    }
}

fn behind(now: Revision, wanted: Revision) -> StoreError {
    StoreError::Unavailable(format!("the replica is at revision {now}, before {wanted}"))
}

fn compacted(requested: Revision, oldest: Revision) -> StoreError {
    StoreError::Compacted { requested, oldest }
}

/// One reader of a history, at its own position.
struct Watcher {
    published: Arc<Published>,
    channel: Arc<Channel>,
    news: watch::Receiver<News>,
    released: watch::Receiver<u64>,
    range: KeyRange,
    position: Revision,
    told: bool,
    ended: bool,
}

impl Watcher {
    /// The next batch, waiting for one; `None` after an error.
    async fn next(&mut self) -> Option<Result<EventBatch, StoreError>> {
        if self.ended {
            return None;
        }
        let mut progress = Instant::now();
        if self.told || *self.published.revision.borrow() <= self.position {
            progress += limits::WATCH_PROGRESS;
        }
        self.told = true;
        loop {
            if *self.news.borrow_and_update() == News::Closed {
                return Some(Err(StoreError::Unavailable("the replica has stopped".to_owned())));
            }
            let batch = match self.take() {
                Ok(batch) => batch,
                Err(TooOld(_)) => return Some(Err(StoreError::WatchLagged)),
            };
            // Progress is told where there is none, too: it shows that the watch is alive.
            if !batch.events.is_empty() || Instant::now() >= progress {
                self.position = batch.revision;
                return Some(Ok(batch));
            }
            tokio::select! {
                biased;
                _ = self.released.changed() => {
                    let reason = "the replica does not hear from the cluster".to_owned();
                    return Some(Err(StoreError::Unavailable(reason)));
                }
                // News or the time for progress: either way there is something to tell.
                _ = timeout_at(progress, self.news.changed()) => {}
            }
        }
    }

    fn take(&self) -> Result<EventBatch, TooOld> {
        // Read before the history: every change up to it has been pushed by then.
        let revision = *self.published.revision.borrow();
        let history = self.channel.history.read().unwrap_or_else(PoisonError::into_inner);
        history.after(&self.range, self.position, revision)
    }
}
