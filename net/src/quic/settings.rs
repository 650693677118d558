//! How QUIC and TLS are set up: one place for every knob, with its reason in `limits.rs`.

use std::{sync::Arc, time::Duration};

use quinn::{
    ClientConfig, Connection, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout,
    ServerConfig, TransportConfig, VarInt,
    congestion::CubicConfig,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};
use rustls::{client::Resumption, server::NoServerSessionStorage};

use crate::{
    Identity,
    limits::{
        CONNECTION_WINDOW_BYTES, IDLE_TIMEOUT, INITIAL_RTT, INITIAL_WINDOW_BYTES, KEEP_ALIVE,
        MAX_HANDSHAKES, MAX_OPEN_STREAMS, STREAM_WINDOW_BYTES, UNPROVEN_STREAMS,
        UNPROVEN_WINDOW_BYTES,
    },
    tls::{self, ClusterPeers, JudgeCertificate, Verifier},
};

/// The conversation between peers. Another version of it is another name.
pub(crate) const PEER_ALPN: &[u8] = b"skein/1";
/// The conversation of a joiner without a certificate.
pub(crate) const JOIN_ALPN: &[u8] = b"skein-join/1";
/// The name every node is dialled by; certificates are judged by key, not by name.
pub(crate) const SERVER_NAME: &str = "skein";

const CONNECTION_ID_BYTES: usize = 8;

/// The connection is not needed any more.
pub(crate) const CLOSED: VarInt = VarInt::from_u32(0);
/// The other side may not use this conversation.
pub(crate) const FORBIDDEN: VarInt = VarInt::from_u32(1);
/// The other side's certificate has expired meanwhile.
pub(crate) const EXPIRED: VarInt = VarInt::from_u32(2);

/// Why QUIC cannot be set up: a bug of the build rather than of a user.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// rustls refuses.
    #[error("TLS 1.3 cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The provider lacks what QUIC needs.
    #[error("the cryptography provider lacks QUIC's first cipher")]
    Cipher(#[from] NoInitialCipherSuite),
}

fn transport() -> TransportConfig {
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(IdleTimeout::try_from(IDLE_TIMEOUT).ok())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .congestion_controller_factory(Arc::new(congestion))
        .max_concurrent_bidi_streams(MAX_OPEN_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .send_window(CONNECTION_WINDOW_BYTES.into());
    transport
}

/// For connections of whoever calls: little room until [`trust`] gives a proven peer more.
fn transport_for_callers() -> TransportConfig {
    let mut transport = transport();
    transport
        .max_concurrent_bidi_streams(UNPROVEN_STREAMS.into())
        .receive_window(UNPROVEN_WINDOW_BYTES.into());
    transport
}

/// Gives a caller that has proven to be a peer the room of one.
pub(super) fn trust(connection: &Connection) {
    connection.set_receive_window(CONNECTION_WINDOW_BYTES.into());
    connection.set_max_concurrent_bi_streams(MAX_OPEN_STREAMS.into());
}

/// The endpoint's own settings. Its reset key follows from the node's, so that after a restart it can
/// tell peers at once that the connections they still have are gone (stateless reset, RFC 9000,
/// 10.3).
pub(crate) fn endpoint(identity: &Identity) -> EndpointConfig {
    let reset = identity.key().derive("quic stateless reset");
    let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &reset);
    let mut config = EndpointConfig::new(Arc::new(reset));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Random connection ids. quinn's default ones are recognised only by the run that made them, so
/// a restarted node would stay silent where it should answer with a reset.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; CONNECTION_ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Accepts peers with their certificate and joiners without one.
pub(crate) fn server(identity: &Identity) -> Result<ServerConfig, SettingsError> {
    let judge = Arc::new(ClusterPeers(identity.ca_der().clone()));
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Verifier::new(judge))
        .with_cert_resolver(identity.server_resolver());
    tls.alpn_protocols = vec![PEER_ALPN.to_vec(), JOIN_ALPN.to_vec()];
    // A resumed session would not show its certificate again.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport_for_callers())).max_incoming(MAX_HANDSHAKES);
    Ok(config)
}

/// Dials peers with this node's certificate.
pub(crate) fn peer_client(identity: &Identity) -> Result<ClientConfig, SettingsError> {
    let judge = Arc::new(ClusterPeers(identity.ca_der().clone()));
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Verifier::new(judge))
        .with_client_cert_resolver(identity.client_resolver());
    client(tls, PEER_ALPN)
}

/// Dials a seed without a certificate.
pub(crate) fn join_client<J: JudgeCertificate>(
    judge: Arc<J>,
) -> Result<ClientConfig, SettingsError> {
    client_without_certificate(judge, JOIN_ALPN)
}

pub(super) fn client_without_certificate<J: JudgeCertificate>(
    judge: Arc<J>,
    alpn: &[u8],
) -> Result<ClientConfig, SettingsError> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Verifier::new(judge))
        .with_no_client_auth();
    client(tls, alpn)
}

fn client(mut tls: rustls::ClientConfig, alpn: &[u8]) -> Result<ClientConfig, SettingsError> {
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = Resumption::disabled();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}
