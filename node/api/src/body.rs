//! Reading request bodies within their bounds, wherever they come from.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, header};
use http_body_util::{BodyExt, BodyStream, LengthLimitError, Limited, combinators::BoxBody};
use hyper::body::Body;
use skein_objects::StatusError;

use crate::limits;

/// Why the body of a request broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every request, from a connection or from memory.
pub(crate) type RequestBody = BoxBody<Bytes, io::Error>;

/// Any body as the body of a request.
pub(crate) fn boxed<B>(body: B) -> RequestBody
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Sync + 'static,
{
    body.map_err(io::Error::other).boxed()
}

/// The whole body. One that says it is too large is refused before it is read.
pub(crate) async fn read(headers: &HeaderMap, body: RequestBody) -> Result<Bytes, StatusError> {
    refuse_announced(headers, limits::BODY_BYTES as u64)?;
    match Limited::new(body, limits::BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limits::BODY_BYTES as u64)),
        Err(error) => {
            Err(StatusError::bad_request(format!("the body of the request broke off: {error}")))
        }
    }
}

/// The body bit by bit; more than `limit` bytes are an error.
pub(crate) fn stream(
    headers: &HeaderMap,
    body: RequestBody,
    limit: u64,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, StatusError> {
    refuse_announced(headers, limit)?;
    let mut received = 0_u64;
    let data =
        BodyStream::new(body).try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
    Ok(data.map(move |chunk| {
        let chunk = chunk?;
        received += chunk.len() as u64;
        if received > limit {
            return Err(io::Error::other(format!("the body is larger than {limit} bytes")));
        }
        Ok(chunk)
    }))
}

/// Refuses a body by the length its header announces.
fn refuse_announced(headers: &HeaderMap, limit: u64) -> Result<(), StatusError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    if length > limit { Err(too_large(limit)) } else { Ok(()) }
}

fn too_large(limit: u64) -> StatusError {
    StatusError::request_too_large(usize::try_from(limit).unwrap_or(usize::MAX))
}
