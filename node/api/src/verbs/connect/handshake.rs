//! How a client asks for another protocol: WebSocket as of RFC 6455, or SPDY/3.1 as `kubectl`
//! before 1.31 and programs written with client-go have it.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use skein_objects::{Reason, StatusError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::reply::Reply;

const WEBSOCKET: &str = "websocket";
const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What is spoken over either, the best first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    pub(super) websocket: &'static [&'static str],
    pub(super) spdy: &'static [&'static str],
}

/// The protocol that a client's half of the handshake settles on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    WebSocket { accept: String, protocol: &'static str },
    Spdy { protocol: &'static str },
}

impl Handshake {
    /// Settles on the best protocol that both sides speak.
    pub(super) fn read(headers: &HeaderMap, spoken: Spoken) -> Result<Self, StatusError> {
        let has = |name: &HeaderName, wanted: &str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            let mut words = values.flat_map(|value| value.split(',')).map(str::trim);
            words.any(|word| word.eq_ignore_ascii_case(wanted))
        };
        let best = |name: &HeaderName, spoken: &'static [&'static str]| {
            spoken.iter().find(|protocol| has(name, protocol)).copied()
        };
        let is_upgrade = has(&header::CONNECTION, "upgrade");
        if is_upgrade && has(&header::UPGRADE, SPDY) {
            let protocol = best(&STREAM_PROTOCOL, spoken.spdy);
            let protocol = protocol.ok_or_else(|| none_of(&STREAM_PROTOCOL, spoken.spdy));
            return Ok(Self::Spdy { protocol: protocol? });
        }
        if !is_upgrade || !has(&header::UPGRADE, WEBSOCKET) {
            let why = "Upgrade request required: a WebSocket, or SPDY/3.1";
            return Err(StatusError::bad_request(why));
        }
        if !has(&header::SEC_WEBSOCKET_VERSION, "13") {
            return Err(StatusError::bad_request("Sec-WebSocket-Version must be 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.ok_or_else(|| StatusError::bad_request("Sec-WebSocket-Key is missing"))?;
        let protocol = best(&header::SEC_WEBSOCKET_PROTOCOL, spoken.websocket);
        let protocol =
            protocol.ok_or_else(|| none_of(&header::SEC_WEBSOCKET_PROTOCOL, spoken.websocket))?;
        Ok(Self::WebSocket { accept: derive_accept_key(key.as_bytes()), protocol })
    }

    /// The answer that makes the connection the protocol's.
    pub(super) fn accept(&self) -> Result<Reply, StatusError> {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let reply = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        let reply = match self {
            Self::WebSocket { accept, protocol } => reply
                .header(header::UPGRADE, WEBSOCKET)
                .header(header::SEC_WEBSOCKET_ACCEPT, accept)
                .header(header::SEC_WEBSOCKET_PROTOCOL, *protocol),
            Self::Spdy { protocol } => {
                reply.header(header::UPGRADE, SPDY).header(STREAM_PROTOCOL, *protocol)
            }
        };
        reply.body(body).map_err(StatusError::internal)
    }
}

fn none_of(header: &HeaderName, spoken: &[&str]) -> StatusError {
    let known = spoken.join(", ");
    if *header == STREAM_PROTOCOL {
        let why = format!("unable to upgrade: {header} names none of: {known}");
        return StatusError::new(Reason::Forbidden, why);
    }
    StatusError::bad_request(format!("{header} names none of: {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOKEN: Spoken = Spoken {
        websocket: &["v5.channel.k8s.io", "v4.channel.k8s.io"],
        spdy: &["v4.channel.k8s.io"],
    };

    fn headers(protocol: &'static str) -> HeaderMap {
        let pairs = [
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "keep-alive, Upgrade"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (header::SEC_WEBSOCKET_PROTOCOL, protocol),
        ];
        pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_handshake_is_accepted_as_the_rfc_has_it_with_the_best_protocol() {
        let read = |protocol| Handshake::read(&headers(protocol), SPOKEN).unwrap();
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
        let best = Handshake::WebSocket { accept, protocol: SPOKEN.websocket[0] };
        assert_eq!(read("v4.channel.k8s.io, v5.channel.k8s.io"), best);
        let older = read("v4.channel.k8s.io");
        assert!(
            matches!(older, Handshake::WebSocket { protocol, .. } if protocol == SPOKEN.websocket[1])
        );
    }

    #[test]
    fn spdy_is_negotiated_by_a_header_of_its_own_that_may_come_several_times() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        let refused = Handshake::read(&headers, SPOKEN).unwrap_err();
        assert_eq!(refused.code, 403);
        for protocol in ["v9.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"] {
            headers.append(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let read = Handshake::read(&headers, SPOKEN).unwrap();
        assert_eq!(read, Handshake::Spdy { protocol: "v4.channel.k8s.io" });
        let reply = read.accept().unwrap();
        assert_eq!(reply.headers()[header::UPGRADE], "SPDY/3.1");
        assert_eq!(reply.headers()[STREAM_PROTOCOL], "v4.channel.k8s.io");
    }

    #[test]
    fn what_is_no_handshake_is_told_what_is_missing() {
        assert_eq!(Handshake::read(&HeaderMap::new(), SPOKEN).unwrap_err().code, 400);
        let other = Handshake::read(&headers("base64.channel.k8s.io"), SPOKEN).unwrap_err();
        assert!(other.message.contains("v5.channel.k8s.io"), "{}", other.message);
        for missing in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
            let mut headers = headers("v4.channel.k8s.io");
            headers.remove(&missing);
            assert!(Handshake::read(&headers, SPOKEN).is_err(), "{missing}");
        }
    }
}
