//! What can become of a request, and the paths requests go to.

use std::time::Duration;

use kube::core::Status;

/// Media type of an RFC 7386 merge patch.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// Media type of an RFC 6902 patch.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// Why a request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The API answered with a `Status` that says no.
    #[error("{}", refusal(.0))]
    Refused(Box<Status>),
    /// The node was lost before its answer was complete.
    #[error(
        "lost {node}: {reason}; a change may or may not have been made: look before repeating it"
    )]
    Lost {
        /// The node that was asked.
        node: String,
        /// What happened.
        reason: String,
    },
    /// The request could not even be made.
    #[error("not a valid request: {0}")]
    Build(#[from] http::Error),
    /// The answer is not what the API promises.
    #[error("{node} gave an answer that cannot be understood: {reason}")]
    Garbled {
        /// The node that was asked.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RequestError {
    /// When the API says that the same request may succeed.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let RequestError::Refused(status) = self else { return None };
        let seconds = status.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// Whether the API says that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, RequestError::Refused(status) if status.is_not_found())
    }
}

/// Sorts the client's errors.
pub(crate) fn explain(error: kube::Error, node: &str) -> RequestError {
    let node = node.to_owned();
    match error {
        kube::Error::Api(status) => RequestError::Refused(status),
        kube::Error::SerdeError(error) => RequestError::Garbled { node, reason: error.to_string() },
        kube::Error::FromUtf8(error) => RequestError::Garbled { node, reason: error.to_string() },
        kube::Error::HttpError(error) => RequestError::Build(error),
        other => RequestError::Lost { node, reason: root_cause(&other) },
    }
}

/// The innermost cause: the outer ones only say that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn refusal(status: &Status) -> String {
    let reason =
        if status.reason.is_empty() { status.code.to_string() } else { status.reason.clone() };
    let message = if status.message.is_empty() { "no reason given" } else { &status.message };
    format!("the cluster answers {reason}: {message}")
}

/// Appends `name=value` to a path's query, escaped.
pub(crate) fn with_query<'a>(
    path: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut result = path.to_owned();
    for (name, value) in pairs {
        result.push(if result.contains('?') { '&' } else { '?' });
        result.push_str(name);
        result.push('=');
        escape_into(&mut result, value);
    }
    result
}

/// Escapes one segment of a path: names come from the command line and may hold anything.
pub(crate) fn segment(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    escape_into(&mut result, text);
    result
}

fn escape_into(result: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            result.push(char::from(byte));
        } else {
            result.push('%');
            result.push(char::from(HEX[usize::from(byte >> 4)]));
            result.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        assert_eq!(
            with_query("/api/v1/pods", [("labelSelector", "app in (a,b)"), ("limit", "5")]),
            "/api/v1/pods?labelSelector=app%20in%20%28a%2Cb%29&limit=5"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("../nodes?x"), "..%2Fnodes%3Fx");
    }

    #[test]
    fn a_refusal_names_the_reason_and_the_message() {
        let status = Status::failure("pods \"web\" not found", "NotFound").with_code(404).boxed();
        let error = RequestError::Refused(status);
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "the cluster answers NotFound: pods \"web\" not found");
    }
}
