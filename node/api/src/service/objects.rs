//! Requests for objects, also while the cluster has lost its quorum: reads are then answered from
//! the nearest replica and say so, writes are refused at once.

use skein_objects::{Reason, StatusError};

use super::{Service, within_deadline};
use crate::{
    call::Call,
    reply::{self, Reply},
    subresource::Subresource,
    verbs,
};

impl Service {
    /// Serves an object request within its bounds: streams hold their place as long as they last,
    /// everything else has a deadline.
    pub(super) async fn respond_about_objects(&self, call: Call) -> Result<Reply, StatusError> {
        let connects = call.target.subresource.is_some_and(Subresource::connects);
        if call.verb.reads() || connects { self.read(call).await } else { self.write(call).await }
    }

    async fn read(&self, mut call: Call) -> Result<Reply, StatusError> {
        let mut impairment = self.cluster.impairment();
        call.stale = impairment.is_some();
        let mut answer = self.attempt(&call).await;
        // A process may have been started: it is not started twice.
        let once = call.target.subresource.is_some_and(Subresource::connects);
        if impairment.is_none() && is_unavailable(&answer) && !once {
            // The quorum may have gone while the read waited for it.
            impairment = self.cluster.impairment();
            if impairment.is_some() {
                call.stale = true;
                answer = self.attempt(&call).await;
            }
        }
        match impairment {
            Some(impairment) => Ok(reply::warn_of_staleness(answer?, impairment.reads)),
            None => answer,
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Reply, StatusError> {
        if call.is_stream() {
            return within_deadline(verbs::stream(
                self,
                call,
                self.load.stream(call.record.clone())?,
            ))
            .await;
        }
        let _place = self.load.request(&call.identity.user).await?;
        within_deadline(verbs::read(self, call)).await
    }

    async fn write(&self, call: Call) -> Result<Reply, StatusError> {
        if let Some(impairment) = self.cluster.impairment() {
            return Err(StatusError::service_unavailable(impairment.writes));
        }
        let place = self.load.request(&call.identity.user).await?;
        let result = within_deadline(verbs::write(self, call)).await;
        drop(place);
        match self.cluster.impairment() {
            // It says that nothing was written; the node knows better why.
            Some(impairment) if is_unavailable(&result) => {
                Err(StatusError::service_unavailable(impairment.writes))
            }
            _ => result,
        }
    }
}

fn is_unavailable<T>(result: &Result<T, StatusError>) -> bool {
    result.as_ref().is_err_and(|error| error.reason == Reason::ServiceUnavailable)
}
