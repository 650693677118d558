//! Several writes of one plan at a time.

use std::{future::Future, sync::Arc};

use futures::{StreamExt, stream};
use skein_consensus::{Consistency, ListOptions};
use skein_objects::{Kind, Propagation, Reason, StatusError};
use skein_storage::{DeleteOptions, Storage};

use crate::limits::CONCURRENT_WRITES;

/// Awaits all writes, a bounded number at a time; results come in the order of completion.
pub(crate) async fn concurrently<F: Future>(writes: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    // Collected before anything is awaited: the iterator's closures need not outlive this line.
    let writes: Vec<F> = writes.into_iter().collect();
    stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).collect().await
}

/// Deletes the objects of one kind, of a namespace or of all, that are not on their way out yet,
/// and counts those that will take a while.
pub(crate) async fn empty(
    storage: &Storage,
    kind: &Arc<Kind>,
    namespace: Option<&str>,
) -> Result<usize, StatusError> {
    let list = async || {
        storage.list(kind, namespace, ListOptions::default(), Consistency::Linearizable).await
    };
    let found = list().await?.records;
    if found.is_empty() {
        return Ok(0);
    }
    let options =
        &DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let deletions = found
        .iter()
        .map(|record| storage.delete(kind, &record.key.namespace, &record.key.name, options));
    for result in concurrently(deletions).await {
        match result {
            Err(error) if error.reason != Reason::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(list().await?.records.len())
}
