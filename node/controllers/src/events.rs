//! Lets events expire: they tell what happened lately, and the store is not a log.

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use skein_objects::{Reason, StatusError};
use skein_storage::{DeleteOptions, Preconditions};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Cluster,
    limits::{EVENT_SWEEP, EVENT_TTL, MAX_EVENTS},
    writes::concurrently,
};

/// Starts the sweeper for this term.
pub(crate) fn start(cluster: &Cluster) {
    cluster.tasks.spawn(run(cluster.clone(), cluster.cancel.clone()));
}

async fn run(cluster: Cluster, cancel: CancellationToken) {
    let mut sweeps = tokio::time::interval(EVENT_SWEEP);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = sweeps.tick() => {}
        }
        if let Some(Err(error)) = cancel.run_until_cancelled(sweep(&cluster)).await {
            tracing::warn!(%error, "expired events were not removed");
        }
    }
}

async fn sweep(cluster: &Cluster) -> Result<(), StatusError> {
    let client = cluster.storage.typed::<Event>();
    let events = client.list(None).await?;
    let removals = plan(&events, Timestamp::now()).into_iter().map(|event| {
        let client = client.clone();
        async move {
            let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
            let name = event.metadata.name.as_deref().unwrap_or_default();
            let uid = event.metadata.uid.clone();
            let options = DeleteOptions {
                preconditions: Preconditions { uid, ..Preconditions::default() },
                ..DeleteOptions::default()
            };
            client.delete(namespace, name, &options).await
        }
    });
    for removed in concurrently(removals).await {
        match removed {
            Err(error) if !matches!(error.reason, Reason::NotFound | Reason::Conflict) => {
                return Err(error);
            }
            // Somebody else removed it, or made another of its name.
            _ => {}
        }
    }
    Ok(())
}

/// The events that go: those nothing was added to for [`EVENT_TTL`], and beyond [`MAX_EVENTS`] the
/// oldest.
fn plan(events: &[Event], now: Timestamp) -> Vec<&Event> {
    let mut by_age: Vec<(Timestamp, &Event)> =
        events.iter().map(|event| (last_seen(event).unwrap_or(now), event)).collect();
    by_age.sort_by_key(|(seen, _)| *seen);
    let surplus = by_age.len().saturating_sub(MAX_EVENTS);
    let expired = |seen: Timestamp| now.duration_since(seen) >= EVENT_TTL;
    by_age
        .into_iter()
        .enumerate()
        .filter(|(index, (seen, _))| *index < surplus || expired(*seen))
        .map(|(_, (_, event))| event)
        .collect()
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    [
        time(&event.last_timestamp),
        event.event_time.as_ref().map(|time| time.0),
        time(&event.metadata.creation_timestamp),
    ]
    .into_iter()
    .flatten()
    .max()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn event(name: &str, minutes_ago: i64, now: Timestamp) -> Event {
        let seen = now - minutes_ago.minutes();
        Event {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            last_timestamp: Some(Time(seen)),
            ..Event::default()
        }
    }

    fn names(events: Vec<&Event>) -> Vec<String> {
        events.iter().filter_map(|event| event.metadata.name.clone()).collect()
    }

    #[test]
    fn an_event_goes_an_hour_after_it_was_last_seen() {
        let now = Timestamp::now();
        let mut repeated = event("repeated", 1, now);
        repeated.metadata.creation_timestamp = Some(Time(now - 300.minutes()));
        let events = [event("young", 59, now), event("old", 60, now), repeated];
        assert_eq!(names(plan(&events, now)), ["old"]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_go_first() {
        let now = Timestamp::now();
        let mut events: Vec<Event> =
            (0..MAX_EVENTS).map(|index| event(&index.to_string(), 1, now)).collect();
        events.push(event("oldest", 3, now));
        events.push(event("older", 2, now));
        assert_eq!(names(plan(&events, now)), ["oldest", "older"]);
    }
}
