//! Errors as clients see them: one-to-one with `metav1.Status`.
//!
//! Reasons and wording follow Kubernetes, because `kubectl` and client libraries switch on
//! the reason and people search for the sentences.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::field::FieldError;
use crate::kind::Kind;
use crate::limits;

/// Why a request failed, in the words of `metav1.StatusReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request is malformed.
    BadRequest,
    /// No acceptable client identity.
    Unauthorized,
    /// The identity may not do this.
    Forbidden,
    /// No such object or resource.
    NotFound,
    /// The resource does not support the verb.
    MethodNotAllowed,
    /// No answer in a format the client accepts.
    NotAcceptable,
    /// An object of that name exists.
    AlreadyExists,
    /// A precondition, usually the resource version, does not hold.
    Conflict,
    /// The resource version asked for is compacted.
    Expired,
    /// The content is gone for good.
    Gone,
    /// The body is larger than the limit.
    RequestEntityTooLarge,
    /// The body's format is not supported.
    UnsupportedMediaType,
    /// The object breaks a rule of its kind.
    Invalid,
    /// The client, or the server as a whole, asks too much at once.
    TooManyRequests,
    /// Something is broken on this side.
    InternalError,
    /// No quorum, or not ready.
    ServiceUnavailable,
    /// The outcome is unknown: the deadline passed first.
    Timeout,
}

impl Reason {
    /// The HTTP status code that goes with the reason.
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired | Self::Gone => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Expired => "Expired",
            Self::Gone => "Gone",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}

/// One cause inside [`Details`], usually a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `metav1.CauseType`, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// What is wrong, without the field's path.
    pub message: String,
    /// The field's path, such as `spec.containers[0].name`.
    pub field: String,
}

/// What the error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The resource (or, for `Invalid`, the kind).
    pub kind: String,
    /// The fields at fault.
    pub causes: Vec<Cause>,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StatusError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason.
    pub reason: Reason,
    /// The sentence for people.
    pub message: String,
    /// What the error is about; boxed because most results are `Ok`.
    pub details: Box<Details>,
    /// Seconds after which a retry makes sense.
    pub retry_after_seconds: Option<u32>,
    /// The token with which a list that has expired may go on all the same (`metadata.continue`).
    pub resume: Option<String>,
}

impl StatusError {
    /// An error with the reason's own code and no details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason,
            message: message.into(),
            details: Box::default(),
            retry_after_seconds: None,
            resume: None,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details.name = name.to_owned();
        self.details.group = kind.group.clone().into_owned();
        self.details.kind = kind.plural.clone().into_owned();
        self
    }

    /// Adds the seconds after which the client should try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds the token with which the list may go on.
    #[must_use]
    pub fn resume_with(mut self, token: String) -> Self {
        self.resume = Some(token);
        self
    }

    /// 404: `pods "web" not found`.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.store_resource());
        Self::new(Reason::NotFound, message).about(kind, name)
    }

    /// 404 for a path that names no resource.
    pub fn no_resource() -> Self {
        Self::new(Reason::NotFound, "the server could not find the requested resource")
    }

    /// 409: `pods "web" already exists`.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.store_resource());
        Self::new(Reason::AlreadyExists, message).about(kind, name)
    }

    /// 409: `Operation cannot be fulfilled on pods "web": DETAIL`.
    pub fn conflict(kind: &Kind, name: &str, detail: impl fmt::Display) -> Self {
        let resource = kind.store_resource();
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {detail}");
        Self::new(Reason::Conflict, message).about(kind, name)
    }

    /// 409 with Kubernetes' sentence for a stale resource version.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409 listing each field that another manager owns.
    pub(crate) fn apply_conflict(
        kind: &Kind,
        name: &str,
        message: String,
        causes: Vec<Cause>,
    ) -> Self {
        let mut status = Self::new(Reason::Conflict, message).about(kind, name);
        status.details.causes = causes;
        status
    }

    /// 422 listing each field at fault.
    pub fn invalid(kind: &Kind, name: &str, mut errors: Vec<FieldError>) -> Self {
        errors.truncate(limits::FIELD_ERRORS);
        let mut sentences: Vec<String> = Vec::with_capacity(errors.len());
        for error in &errors {
            let sentence = error.to_string();
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let list = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {list}", kind.kind);
        let mut status = Self::new(Reason::Invalid, message).about(kind, name);
        status.details.kind = kind.kind.clone().into_owned();
        status.details.causes = errors
            .into_iter()
            .map(|error| Cause {
                reason: error.kind.cause(),
                message: error.body(),
                field: error.path,
            })
            .collect();
        status
    }

    /// 400 with the sentence as it is.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// 403: `pods "web" is forbidden: DETAIL`.
    pub fn forbidden(kind: &Kind, name: &str, detail: impl fmt::Display) -> Self {
        let message = format!("{} {name:?} is forbidden: {detail}", kind.store_resource());
        Self::new(Reason::Forbidden, message).about(kind, name)
    }

    /// 405.
    pub fn method_not_allowed(what: impl fmt::Display) -> Self {
        let message =
            format!("the server does not allow this method on the requested resource: {what}");
        Self::new(Reason::MethodNotAllowed, message)
    }

    /// 406.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message =
            format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(Reason::NotAcceptable, message)
    }

    /// 415.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(Reason::UnsupportedMediaType, message)
    }

    /// 410: the resource version is no longer in the history; the client lists again.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// 413.
    pub fn request_too_large(limit_bytes: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit_bytes}");
        Self::new(Reason::RequestEntityTooLarge, message)
    }

    /// 429.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(Reason::TooManyRequests, message).retry_after(retry_after_seconds)
    }

    /// 504: the outcome is unknown.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Reason::Timeout, message)
    }

    /// 503.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, message)
    }

    /// 500.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// The `metav1.Status` object for the wire.
    pub fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (key, text) in [
            ("name", &self.details.name),
            ("group", &self.details.group),
            ("kind", &self.details.kind),
        ] {
            if !text.is_empty() {
                details.insert(key.to_owned(), json!(text));
            }
        }
        if !self.details.causes.is_empty() {
            let causes = self.details.causes.iter().map(
                |cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}),
            );
            details.insert("causes".to_owned(), causes.collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.as_str(),
            "code": self.code,
        });
        if let Some(token) = &self.resume {
            status["metadata"]["continue"] = json!(token);
        }
        if !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        status
    }
}
