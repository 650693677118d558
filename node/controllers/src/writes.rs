//! Several writes of one plan at a time.

use std::future::Future;

use futures::{StreamExt, stream};

use crate::limits::CONCURRENT_WRITES;

/// Awaits all writes, a bounded number at a time; results come in the order of completion.
pub(crate) async fn concurrently<F: Future>(writes: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    // Collected before anything is awaited: the iterator's closures need not outlive this line.
    let writes: Vec<F> = writes.into_iter().collect();
    stream::iter(writes).buffer_unordered(CONCURRENT_WRITES).collect().await
}
