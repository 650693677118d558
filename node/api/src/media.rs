//! Media types: what a client accepts and what it sends.

use http::{HeaderMap, header};
use skein_objects::{MediaType, StatusError};

/// The form in which objects are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// As rows for people (`meta.k8s.io/v1` `Table`).
    Table,
    /// Their metadata alone (`PartialObjectMetadata`).
    Metadata,
}

/// The content type of every JSON answer.
pub(crate) const JSON: &str = "application/json";
/// The content type of aggregated discovery.
pub(crate) const AGGREGATED_DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The content type of the OpenAPI v2 document in protobuf.
pub(crate) const OPENAPI_PROTOBUF: &str =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients call [`OPENAPI_PROTOBUF`] when they ask. It cannot be the answer's content type:
/// `@` has no place in one, and clients fail to parse it.
const OPENAPI_PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The content type of objects that typed Go clients send; answers never have it.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// How a body that is an object or options is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyType {
    /// As text.
    Text(MediaType),
    /// As Kubernetes' protobuf.
    Protobuf,
}

/// How a patch changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' merge by list keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// One entry of an `Accept` header or a `Content-Type`.
struct Entry<'a> {
    essence: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| part.split_once('=')).collect();
        Self { essence, parameters }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        matches!(self.essence, JSON | "application/*" | "*/*")
    }

    fn shape(&self) -> Option<Shape> {
        if !self.is_json() {
            return None;
        }
        let is_meta =
            self.parameter("g") == Some("meta.k8s.io") && self.parameter("v") == Some("v1");
        match self.parameter("as") {
            None => Some(Shape::Object),
            Some("Table") if is_meta => Some(Shape::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if is_meta => {
                Some(Shape::Metadata)
            }
            Some(_) => None,
        }
    }

    fn is_aggregated_discovery(&self) -> bool {
        self.is_json()
            && self.parameter("as") == Some("APIGroupDiscoveryList")
            && self.parameter("g") == Some("apidiscovery.k8s.io")
            && self.parameter("v") == Some("v2")
    }
}

fn accepted(headers: &HeaderMap) -> Vec<Entry<'_>> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|entry| Entry::parse(entry.trim())).collect()
}

/// The first form the client accepts that there is.
pub(crate) fn shape(headers: &HeaderMap) -> Result<Shape, StatusError> {
    let entries = accepted(headers);
    if entries.is_empty() {
        return Ok(Shape::Object);
    }
    let found = entries.iter().find_map(Entry::shape);
    found.ok_or_else(|| StatusError::not_acceptable(&[JSON]))
}

/// Whether the client takes answers in gzip, which is what RFC 9110, 12.5.3 asks to look for.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut entries = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    entries.any(|entry| {
        let entry = Entry::parse(entry.trim());
        let is_refused = || entry.parameter("q").and_then(|q| q.parse().ok()) == Some(0.0);
        entry.essence.eq_ignore_ascii_case("gzip") && !is_refused()
    })
}

/// Whether the client prefers aggregated discovery.
pub(crate) fn wants_aggregated_discovery(headers: &HeaderMap) -> bool {
    accepted(headers).iter().any(Entry::is_aggregated_discovery)
}

/// Whether the client prefers the OpenAPI v2 document in protobuf over JSON.
///
/// # Errors
/// 406 where it accepts neither.
pub(crate) fn wants_openapi_protobuf(headers: &HeaderMap) -> Result<bool, StatusError> {
    let entries = accepted(headers);
    if entries.is_empty() {
        return Ok(false);
    }
    let first = entries.iter().find_map(|entry| match entry.essence {
        OPENAPI_PROTOBUF | OPENAPI_PROTOBUF_ASKED => Some(true),
        _ => entry.is_json().then_some(false),
    });
    first.ok_or_else(|| StatusError::not_acceptable(&[JSON, OPENAPI_PROTOBUF]))
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).map(str::trim).unwrap_or_default()
}

/// The form of a body that is an object or options.
pub(crate) fn body_type(headers: &HeaderMap) -> Result<BodyType, StatusError> {
    match content_type(headers) {
        "" | JSON => Ok(BodyType::Text(MediaType::Json)),
        "application/yaml" | "application/x-yaml" | "text/yaml" => {
            Ok(BodyType::Text(MediaType::Yaml))
        }
        PROTOBUF => Ok(BodyType::Protobuf),
        _ => Err(StatusError::unsupported_media_type(&[JSON, "application/yaml", PROTOBUF])),
    }
}

/// The form of a patch.
pub(crate) fn patch_type(headers: &HeaderMap) -> Result<PatchType, StatusError> {
    match content_type(headers) {
        "application/json-patch+json" => Ok(PatchType::Json),
        "application/merge-patch+json" => Ok(PatchType::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
        "application/apply-patch+yaml" => Ok(PatchType::Apply),
        _ => Err(StatusError::unsupported_media_type(&[
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn the_first_form_there_is_wins() {
        let cases = [
            ("", Some(Shape::Object)),
            ("*/*", Some(Shape::Object)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Shape::Object)),
            ("application/json;stream=watch", Some(Shape::Object)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Shape::Table)),
            ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", Some(Shape::Object)),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some(Shape::Metadata),
            ),
            ("application/vnd.kubernetes.protobuf", None),
        ];
        for (accept, expected) in cases {
            let headers = headers(header::ACCEPT, accept);
            let headers = if accept.is_empty() { HeaderMap::new() } else { headers };
            assert_eq!(shape(&headers).ok(), expected, "{accept}");
        }
    }

    #[test]
    fn openapi_is_protobuf_for_those_who_ask_first_for_it() {
        let cases = [
            (OPENAPI_PROTOBUF_ASKED, Some(true)),
            (OPENAPI_PROTOBUF, Some(true)),
            (
                "application/json, application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
                Some(false),
            ),
            ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf, */*", Some(true)),
            ("*/*", Some(false)),
            ("text/html", None),
        ];
        for (accept, expected) in cases {
            let wanted = wants_openapi_protobuf(&headers(header::ACCEPT, accept));
            assert_eq!(wanted.ok(), expected, "{accept}");
        }
        assert!(!wants_openapi_protobuf(&HeaderMap::new()).unwrap());
    }

    #[test]
    fn bodies_are_json_yaml_or_protobuf() {
        let of = |value| body_type(&headers(header::CONTENT_TYPE, value));
        let json = of("application/json; charset=utf-8").unwrap();
        assert_eq!(json, BodyType::Text(MediaType::Json));
        assert_eq!(of("application/yaml").unwrap(), BodyType::Text(MediaType::Yaml));
        assert_eq!(of("application/vnd.kubernetes.protobuf").unwrap(), BodyType::Protobuf);
        assert_eq!(of("application/cbor").unwrap_err().code, 415);
    }

    #[test]
    fn an_unknown_patch_is_refused_with_what_there_is() {
        let refused = patch_type(&headers(header::CONTENT_TYPE, "application/apply-patch+cbor"));
        let message = refused.unwrap_err().message;
        assert!(message.contains("application/apply-patch+yaml"), "{message}");
    }
}
