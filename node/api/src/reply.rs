//! Responses: JSON, errors as `Status`, streams.

use std::io;

use async_compression::{Level, tokio::bufread::GzipEncoder};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use skein_objects::{Kind, StatusError};

use tokio_util::io::{ReaderStream, StreamReader};

use crate::{limits, media::JSON};

/// The body of every response.
pub type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// A response.
pub type Reply = Response<ReplyBody>;

/// A response with bytes of a type.
pub(crate) fn bytes(code: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    with_type(code, content_type, body)
}

/// A response with JSON text.
pub(crate) fn json_bytes(code: StatusCode, body: Bytes) -> Reply {
    bytes(code, JSON, body)
}

/// A response with a JSON tree.
pub(crate) fn json_value(code: StatusCode, body: &Value) -> Reply {
    json_bytes(code, body.to_string().into())
}

/// A response whose body comes bit by bit.
pub(crate) fn stream<S>(content_type: &'static str, chunks: S) -> Reply
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    use futures::StreamExt;
    let body = BodyExt::boxed_unsync(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))));
    with_type(StatusCode::OK, content_type, body)
}

fn with_type(code: StatusCode, content_type: &'static str, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = code;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    reply
}

/// The answer to a request that failed.
pub(crate) fn error(error: &StatusError) -> Reply {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = json_value(code, &error.to_value());
    if let Some(seconds) = error.retry_after_seconds {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// The `Status` that says something was done to an object.
pub(crate) fn success(code: StatusCode, kind: &Kind, name: &str, uid: Option<&str>) -> Reply {
    let mut details = json!({"name": name, "group": kind.group, "kind": kind.plural});
    if let Some(uid) = uid {
        details["uid"] = json!(uid);
    }
    if kind.group.is_empty()
        && let Some(details) = details.as_object_mut()
    {
        details.remove("group");
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details, "code": code.as_u16(),
    });
    json_value(code, &status)
}

/// The same response in gzip if that saves time: where the answer is large, or comes bit by bit
/// because it is.
pub(crate) fn compressed(reply: Reply) -> Reply {
    let size = reply.body().size_hint().exact();
    if size.is_some_and(|size| size < limits::COMPRESSED_FROM_BYTES) {
        return reply;
    }
    let (mut parts, body) = reply.into_parts();
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
    let plain = StreamReader::new(body.into_data_stream());
    let gzip = GzipEncoder::with_quality(plain, Level::Fastest);
    let frames = ReaderStream::with_capacity(gzip, limits::CHUNK_BYTES).map_ok(Frame::data);
    Response::from_parts(parts, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

/// The same response to a `HEAD` request.
pub(crate) fn without_body(reply: Reply) -> Reply {
    reply.map(|_| Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync())
}

/// Adds the warnings that `kubectl` prints, as RFC 7234 has them.
pub(crate) fn warn(reply: Reply, warnings: &[String]) -> Reply {
    warn_as("-", reply, warnings)
}

/// Says that what is answered may be out of date, in the name of the node.
pub(crate) fn warn_of_staleness(reply: Reply, warning: String) -> Reply {
    warn_as("skein", reply, &[warning])
}

fn warn_as(agent: &str, mut reply: Reply, warnings: &[String]) -> Reply {
    for warning in warnings {
        let mut text = format!("299 {agent} \"");
        for character in warning.chars().filter(|character| !character.is_control()) {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            reply.headers_mut().append(header::WARNING, value);
        }
    }
    reply
}
