//! How much is under way at once, and whose turn it is. While there are places, a request takes one
//! at once. When there are none it waits in its user's own queue, and a place that comes free goes
//! to the user who holds the fewest: one user with a thousand requests delays another by no more
//! than one of them.

mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skein_objects::StatusError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{LoadLimits, audit::Record, limits};
use turns::{Arrival, Turns};

/// The places of a node.
pub(crate) struct Load {
    limits: LoadLimits,
    turns: Arc<Mutex<Turns<oneshot::Sender<Place>>>>,
    streams: Arc<Semaphore>,
}

/// A place among the requests under way; dropping it makes room for the next.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Arc<Mutex<Turns<oneshot::Sender<Place>>>>,
    /// Whose it is, until it is passed on.
    user: Option<Arc<str>>,
}

impl Load {
    pub(crate) fn new(limits: LoadLimits) -> Self {
        let streams = Arc::new(Semaphore::new(limits.streams));
        let turns = Turns::new(limits.requests, limits.waiting);
        Self { limits, turns: Arc::new(Mutex::new(turns)), streams }
    }

    /// A place for a request of `user`, at once or after those before it.
    ///
    /// # Errors
    /// 429 where too many of the user's wait already, or it took too long.
    pub(crate) async fn request(&self, user: &str) -> Result<Place, StatusError> {
        let user: Arc<str> = user.into();
        let (sender, turn) = oneshot::channel();
        let arrival = lock(&self.turns).arrive(&user, sender);
        match arrival {
            Arrival::Served => Ok(Place { turns: Arc::clone(&self.turns), user: Some(user) }),
            Arrival::Refused => Err(overloaded()),
            Arrival::Waits => match tokio::time::timeout(limits::QUEUE_WAIT, turn).await {
                Ok(Ok(place)) => Ok(place),
                // The queue outlives whoever waits in it, so nobody hung up: it took too long.
                Ok(Err(_)) | Err(_) => Err(overloaded()),
            },
        }
    }

    /// A place for a stream.
    ///
    /// # Errors
    /// 429 where there is none.
    pub(crate) fn stream(&self, record: Option<Arc<Record>>) -> Result<StreamPlace, StatusError> {
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| overloaded())?;
        Ok(StreamPlace { _permit: permit, _record: record })
    }

    /// Requests under way, and requests that wait.
    pub(crate) fn requests(&self) -> (usize, usize) {
        let turns = lock(&self.turns);
        (turns.taken(), turns.waiting())
    }

    /// Streams under way.
    pub(crate) fn streams(&self) -> usize {
        self.limits.streams - self.streams.available_permits().min(self.limits.streams)
    }
}

/// The place of a stream, for as long as it lasts. With it ends what is noted of the request.
pub(crate) struct StreamPlace {
    _permit: OwnedSemaphorePermit,
    _record: Option<Arc<Record>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        while let Some(holder) = self.user.take() {
            let next = lock(&self.turns).leave(&holder);
            let Some((user, sender)) = next else { return };
            let place = Self { turns: Arc::clone(&self.turns), user: Some(user) };
            // What nobody waits for any more goes on from here: by a drop of its own, drops would
            // nest as deep as the queue is long.
            if let Err(mut unwanted) = sender.send(place) {
                self.user = unwanted.user.take();
            }
        }
    }
}

fn lock<T>(turns: &Mutex<T>) -> MutexGuard<'_, T> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

fn overloaded() -> StatusError {
    StatusError::too_many_requests(
        "the server has received too many requests and has asked us to try again later",
        limits::RETRY_AFTER_SECONDS,
    )
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn load(requests: usize, waiting: usize) -> Load {
        Load::new(LoadLimits { requests, waiting, streams: 1 })
    }

    #[tokio::test]
    async fn a_place_goes_to_the_next_who_still_waits() {
        let load = load(1, 2);
        let first = load.request("a").await.unwrap();
        let mut second = Box::pin(load.request("a"));
        let mut third = Box::pin(load.request("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(load.request("a").await.unwrap_err().code, 429);
        assert_eq!(load.requests(), (1, 2));
        drop(second);
        drop(first);
        let third = third.now_or_never().expect("it is its turn").unwrap();
        assert_eq!(load.requests(), (1, 0));
        drop(third);
        assert_eq!(load.requests(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_back() {
        let load = load(1, 1);
        let held = load.request("a").await.unwrap();
        let refused = load.request("b").await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_seconds), (429, Some(1)));
        drop(held);
        load.request("b").await.expect("nobody waits any more");
    }
}
