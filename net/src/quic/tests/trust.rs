//! Who is refused, and how that looks.

use super::*;
use crate::identity::fingerprint;

/// A client that shows any certificate, as an attacker would.
fn dial_with(cert_pem: &str, key_pem: &str, ca: &ClusterCa) -> ClientConfig {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let judge = Arc::new(crate::tls::ClusterPeers(ca.cert_der().clone()));
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(crate::tls::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(crate::tls::Verifier::new(judge))
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(cert_pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    tls.alpn_protocols = vec![settings::PEER_ALPN.to_vec()];
    let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    ClientConfig::new(Arc::new(quic))
}

/// Why the server ended a connection made with `client`.
async fn refusal(client: ClientConfig, server: &QuicTransport) -> quinn::ConnectionError {
    let endpoint = Endpoint::client(ANY_PORT).unwrap();
    let connecting = endpoint.connect_with(client, server.local_addr(), "skein").unwrap();
    match timeout(SOON, connecting).await.unwrap() {
        // The client of TLS 1.3 is done before the server has judged it.
        Ok(connection) => timeout(SOON, connection.closed()).await.unwrap(),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_certificate_is_not_a_peers() {
    let ca = ca();
    let server = bind(&identity(&ca, SystemTime::now()), ANY_PORT);
    let groups = ["system:masters".to_owned()];
    let user = ca.issue_user("admin", &groups, DAY, SystemTime::now()).unwrap();
    let client = dial_with(&user.cert_pem, &user.key_pem, &ca);
    let refused = refusal(client, &server).await;
    assert!(matches!(refused, quinn::ConnectionError::ConnectionClosed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_a_certificate_is_refused() {
    let ca = ca();
    let server = bind(&identity(&ca, SystemTime::now()), ANY_PORT);
    let judge = Arc::new(crate::tls::ClusterPeers(ca.cert_der().clone()));
    let client = settings::client_without_certificate(judge, settings::PEER_ALPN).unwrap();
    let refused = refusal(client, &server).await;
    assert!(matches!(refused, quinn::ConnectionError::ApplicationClosed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_until_it_is_replaced() {
    let ca = ca();
    let now = SystemTime::now();
    let (old, fresh) = (identity(&ca, now - 2 * DAY), identity(&ca, now));
    let (node, peer) = (bind(&old, ANY_PORT), bind(&fresh, ANY_PORT));
    peer.register(Protocol::Store, Arc::new(Echo));
    node.set_address(fresh.id(), peer.local_addr());
    let ask = || node.request(fresh.id(), Protocol::Store, "x".into(), SOON);
    let error = ask().await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error}");
    old.replace_certificate(&certificate(&ca, old.key(), now)).unwrap();
    ask().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_the_peers_certificate() {
    let ca = ca();
    let now = SystemTime::now();
    let (old, fresh) = (identity(&ca, now - DAY + Duration::from_secs(2)), identity(&ca, now));
    let (node, peer) = (bind(&old, ANY_PORT), bind(&fresh, ANY_PORT));
    node.identify(peer.local_addr(), SOON).await.unwrap();
    let pool::Lookup::Ready(connection) = node.shared.pool.lookup(fresh.id()) else {
        panic!("no connection")
    };
    let ended = timeout(2 * SOON, connection.closed()).await.unwrap();
    assert!(matches!(ended, quinn::ConnectionError::ApplicationClosed(_)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_two_clusters_refuse_each_other() {
    let (ours, theirs) = (ca(), ca());
    assert_ne!(fingerprint(ours.cert_der()), fingerprint(theirs.cert_der()));
    let node = bind(&identity(&ours, SystemTime::now()), ANY_PORT);
    let stranger = bind(&identity(&theirs, SystemTime::now()), ANY_PORT);
    let error = node.identify(stranger.local_addr(), SOON).await.unwrap_err();
    assert!(matches!(error, RpcError::NoPeerAt { .. }), "{error}");
}
