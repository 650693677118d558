//! Joining: what each kind of seed answers.

use super::*;
use crate::{
    Credential, JoinError, JoinHandler, JoinParts, JoinRefusal, JoinRequest, JoinResponse,
    JoinToken, SeedError, join,
    limits::{UNPROVEN_STREAMS, UNPROVEN_WINDOW_BYTES},
    renew,
};

/// Lets in whoever knows the token, or whose key it knows.
struct Door {
    ca: ClusterCa,
    token: JoinToken,
    known: Option<NodeId>,
}

#[async_trait]
impl JoinHandler for Door {
    async fn join(&self, request: JoinRequest, _: SocketAddr) -> Result<JoinResponse, JoinRefusal> {
        let csr = CertificateRequest::parse(&request.csr_der)
            .map_err(|error| JoinRefusal::Invalid(error.to_string()))?;
        match request.credential {
            Credential::Token { id, .. } if id != self.token.id() => {
                return Err(JoinRefusal::UnknownToken(id));
            }
            Credential::Token { secret, .. }
                if !crate::secret_matches(&secret, &self.token.secret_hash()) =>
            {
                return Err(JoinRefusal::WrongSecret);
            }
            Credential::KnownKey if self.known != Some(csr.id()) => {
                return Err(JoinRefusal::UnknownNode);
            }
            _ => {}
        }
        let subject = NodeSubject { name: request.node_name, ..NodeSubject::default() };
        let cert_pem = self.ca.issue_node(&csr, &subject, DAY, SystemTime::now()).unwrap();
        let ca_pem = self.ca.cert_pem().to_owned();
        Ok(JoinResponse { cert_pem, ca_pem, cluster_id: "c1".into(), peers: Vec::new() })
    }
}

struct Seed {
    ca: ClusterCa,
    transport: Arc<QuicTransport>,
    token: JoinToken,
    address: SocketAddr,
}

/// A node that lets joiners in, and itself where `known` is.
fn seed(known: Option<NodeId>, ca: ClusterCa) -> Seed {
    let transport = bind(&identity(&ca, SystemTime::now()), ANY_PORT);
    let token = JoinToken::generate(ca.fingerprint());
    let door = Door { ca: copy(&ca), token: token.clone(), known };
    transport.set_join_handler(Arc::new(door));
    Seed { ca, address: transport.local_addr(), transport, token }
}

fn copy(ca: &ClusterCa) -> ClusterCa {
    ClusterCa::from_pem(ca.cert_pem(), &ca.key_pem()).unwrap()
}

fn parts() -> JoinParts {
    JoinParts {
        node_name: "h2".into(),
        advertise: ANY_PORT,
        version: "0.1.0".into(),
        cluster_id: None,
    }
}

async fn try_join(seeds: &[SocketAddr], token: &JoinToken) -> Result<JoinResponse, JoinError> {
    join(seeds, token, &NodeKey::generate().unwrap(), parts()).await
}

/// Why the only seed did not let this node in.
async fn refused(seed: SocketAddr, token: &JoinToken) -> SeedError {
    match try_join(&[seed], token).await {
        Err(JoinError::Seeds(mut seeds)) => seeds.remove(0).1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_with_the_token_becomes_a_peer() {
    let seed = seed(None, ca());
    seed.transport.register(Protocol::Store, Arc::new(Echo));
    let key = NodeKey::generate().unwrap();
    let joined = join(&[seed.address], &seed.token, &key, parts()).await.unwrap();
    let identity = Identity::new(key, &joined.cert_pem, &joined.ca_pem).unwrap();
    assert_eq!(identity.name(), "h2");
    let node = bind(&identity, ANY_PORT);
    let peer = node.identify(seed.address, SOON).await.unwrap();
    node.request(peer, Protocol::Store, "x".into(), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_another_authority_than_the_tokens_is_not_taken() {
    let seed = seed(None, ca());
    let door = Door { ca: ca(), token: seed.token.clone(), known: None };
    seed.transport.set_join_handler(Arc::new(door));
    assert_eq!(refused(seed.address, &seed.token).await, SeedError::AnotherCluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_good_seed_among_bad_ones_is_enough() {
    let silent = UdpSocket::bind(ANY_PORT).unwrap();
    let seed = seed(None, ca());
    let seeds = [silent.local_addr().unwrap(), seed.address];
    try_join(&seeds, &seed.token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_token_is_refused_with_the_reason() {
    let seed = seed(None, ca());
    let forged: JoinToken = {
        let other = JoinToken::generate(seed.token.fingerprint());
        let text = other.to_string().replace(other.id(), seed.token.id());
        text.parse().unwrap()
    };
    let unknown = JoinToken::generate(seed.token.fingerprint());
    let table = [
        (&forged, JoinRefusal::WrongSecret),
        (&unknown, JoinRefusal::UnknownToken(unknown.id().to_owned())),
    ];
    for (token, reason) in table {
        assert_eq!(refused(seed.address, token).await, SeedError::Refused(reason));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_cluster_is_never_shown_to_this_one() {
    let (ours, theirs) = (seed(None, ca()), seed(None, ca()));
    assert_eq!(refused(ours.address, &theirs.token).await, SeedError::AnotherCluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_seed_is_told_apart_from_a_stranger() {
    let token = JoinToken::generate([7; 32]);
    let silent = UdpSocket::bind(ANY_PORT).unwrap();
    assert_eq!(refused(silent.local_addr().unwrap(), &token).await, SeedError::NoAnswer);
    let stranger = web_server();
    let error = refused(stranger.local_addr().unwrap(), &token).await;
    assert!(matches!(error, SeedError::NotSkein(_)), "{error}");
}

/// A QUIC server that speaks HTTP/3, or claims to.
fn web_server() -> Endpoint {
    let ca = ca();
    let identity = identity(&ca, SystemTime::now());
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(crate::tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(identity.server_resolver());
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let quic = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let endpoint =
        Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(quic)), ANY_PORT).unwrap();
    let accepting = endpoint.clone();
    let runtime = tokio::runtime::Handle::current();
    runtime.spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            incoming.await.ok();
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_still_starting_says_when_to_come_back() {
    let ca = ca();
    let starting = bind(&identity(&ca, SystemTime::now()), ANY_PORT);
    let token = JoinToken::generate(ca.fingerprint());
    let error = try_join(&[starting.local_addr()], &token).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert!(error.to_string().contains("not ready"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_with_an_expired_certificate_is_named_as_such() {
    let ca = ca();
    let old = bind(&identity(&ca, SystemTime::now() - 2 * DAY), ANY_PORT);
    let error = refused(old.local_addr(), &JoinToken::generate(ca.fingerprint())).await;
    assert!(matches!(error, SeedError::Certificate(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_seed_at_all_is_an_error_of_its_own() {
    let error = try_join(&[], &JoinToken::generate([7; 32])).await.unwrap_err();
    assert!(matches!(error, JoinError::NoSeeds));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_node_renews_an_expired_certificate_and_an_unknown_one_does_not() {
    let ca = ca();
    let expired = || identity(&ca, SystemTime::now() - 2 * DAY);
    let (known, unknown) = (expired(), expired());
    let seed = seed(Some(known.id()), copy(&ca));
    let renewed = renew(&[seed.address], &known, parts()).await.unwrap();
    known.replace_certificate(&renewed.cert_pem).unwrap();
    assert!(!known.needs_renewal(SystemTime::now()));
    let error = renew(&[seed.address], &unknown, parts()).await.unwrap_err();
    assert!(error.to_string().contains("does not know this node"), "{error}");
}

/// A connection of somebody who claims to be joining.
async fn stranger(seed: &Seed) -> Result<Connection, quinn::ConnectionError> {
    let judge = Arc::new(TrustAnybody);
    let client = settings::client_without_certificate(judge, settings::JOIN_ALPN).unwrap();
    let endpoint = Endpoint::client(ANY_PORT).unwrap();
    let connecting = endpoint.connect_with(client, seed.address, "skein").unwrap();
    timeout(SOON, connecting).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_reaches_no_other_protocol() {
    let seed = seed(None, ca());
    seed.transport.register(Protocol::Store, Arc::new(Echo));
    let connection = stranger(&seed).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    wire::write(&mut send, wire::Head::request(Protocol::Store, 1), "x".into()).await.unwrap();
    let answer = timeout(SOON, wire::read_answer(&mut receive, 100)).await.unwrap().unwrap();
    assert_eq!(answer, wire::Answer::NotServed);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_say_nothing_do_not_keep_peers_out() {
    let seed = seed(None, ca());
    seed.transport.register(Protocol::Store, Arc::new(Echo));
    let mut idle = Vec::new();
    for _ in 0..=MAX_JOINERS {
        idle.push(stranger(&seed).await.unwrap());
    }
    let refused = timeout(SOON, idle[MAX_JOINERS].closed()).await.unwrap();
    assert!(matches!(refused, quinn::ConnectionError::ApplicationClosed(_)), "{refused}");
    let node = bind(&identity(&seed.ca, SystemTime::now()), ANY_PORT);
    let peer = node.identify(seed.address, SOON).await.unwrap();
    node.request(peer, Protocol::Store, "x".into(), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_little_room_and_a_peer_gets_more() {
    let seed = seed(None, ca());
    seed.transport.register(Protocol::Store, Arc::new(Echo));
    let connection = stranger(&seed).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..UNPROVEN_STREAMS {
        streams.push(connection.open_bi().await.unwrap());
    }
    let another = timeout(Duration::from_millis(200), connection.open_bi()).await;
    assert!(another.is_err(), "a stranger may open more streams than a joiner needs");
    let flood = vec![0; 2 * UNPROVEN_WINDOW_BYTES as usize];
    // The second stream: the first is the one that is read.
    let sent = timeout(Duration::from_millis(200), streams[1].0.write_all(&flood)).await;
    assert!(!matches!(sent, Ok(Ok(()))), "a stranger may keep megabytes here");

    let node = bind(&identity(&seed.ca, SystemTime::now()), ANY_PORT);
    let peer = node.identify(seed.address, SOON).await.unwrap();
    let body = bytes::Bytes::from(flood);
    let asked =
        (0..4 * UNPROVEN_STREAMS).map(|_| node.request(peer, Protocol::Store, body.clone(), SOON));
    for answer in futures::future::join_all(asked).await {
        assert!(answer.unwrap().ends_with(&body));
    }
}

/// A client that does not care whom it talks to.
struct TrustAnybody;

impl crate::tls::JudgeCertificate for TrustAnybody {
    fn judge(
        &self,
        _leaf: &rustls_pki_types::CertificateDer<'_>,
        _chain: &[rustls_pki_types::CertificateDer<'_>],
        _now: rustls_pki_types::UnixTime,
    ) -> Result<(), rustls::Error> {
        Ok(())
    }
}
