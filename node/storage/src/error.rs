//! What errors of the store mean to users of objects.

use skein_consensus::StoreError;
use skein_objects::StatusError;

/// Seconds after which a client should try again while no leader is known: elections take about
/// one.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The answer to a read the store could not serve.
pub fn read_error(error: StoreError) -> StatusError {
    match error {
        StoreError::Compacted { requested, oldest } => {
            StatusError::expired(format!("too old resource version: {requested} ({oldest})"))
        }
        StoreError::WatchLagged => StatusError::expired("the watch fell behind: list again"),
        StoreError::Unavailable(_)
        | StoreError::Overloaded
        | StoreError::NoQuorum { .. }
        | StoreError::Outdated { .. } => unavailable(&error),
        StoreError::PreconditionFailed { .. } | StoreError::Invalid(_) | StoreError::Storage(_) => {
            StatusError::internal(error.to_string())
        }
    }
}

/// The answer to a write the store did not confirm. A failed precondition is the business of the
/// operation that set it and means a defect here.
pub fn write_error(error: StoreError) -> StatusError {
    match error {
        // No Retry-After: clients would repeat a write that may have been applied.
        StoreError::Unavailable(why) => StatusError::timeout(format!(
            "the write was not confirmed and may or may not have been applied: {why}"
        )),
        StoreError::Overloaded => {
            StatusError::too_many_requests(error.to_string(), RETRY_AFTER_SECONDS)
        }
        StoreError::NoQuorum { .. } | StoreError::Outdated { .. } => unavailable(&error),
        StoreError::Invalid(why) => StatusError::bad_request(why),
        StoreError::PreconditionFailed { .. }
        | StoreError::Compacted { .. }
        | StoreError::WatchLagged
        | StoreError::Storage(_) => StatusError::internal(error.to_string()),
    }
}

fn unavailable(error: &StoreError) -> StatusError {
    StatusError::service_unavailable(error.to_string()).retry_after(RETRY_AFTER_SECONDS)
}
