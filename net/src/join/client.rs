//! The joining side: tries every seed and says of each what was wrong.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use quinn::{ConnectionError, Endpoint};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::time::timeout;

use super::{Credential, JoinRefusal, JoinRequest, JoinResponse};
use crate::{
    Identity, JoinToken, KeyError, NodeKey, Protocol, codec,
    identity::{der_of_pem, fingerprint},
    limits::{CONNECT_TIMEOUT, JOIN_ANSWER_TIMEOUT, MAX_JOIN_BYTES},
    quic::{settings, wire},
    tls::{self, JudgeCertificate},
};

/// What a joiner says about itself.
#[derive(Clone, Debug)]
pub struct JoinParts {
    /// The name it wants.
    pub node_name: String,
    /// Where peers will reach it.
    pub advertise: SocketAddr,
    /// Its version of Skein.
    pub version: String,
    /// The cluster its data directory belongs to, if any.
    pub cluster_id: Option<String>,
}

/// What was wrong with one seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Silence.
    #[error("no answer (is Skein running there, and UDP open between the hosts?)")]
    NoAnswer,
    /// Something else than a node of Skein.
    #[error("answers but is not Skein: {0}")]
    NotSkein(String),
    /// A node that does not show the authority in the token.
    #[error("a node of another cluster than the token's")]
    AnotherCluster,
    /// A node of the right cluster whose certificate is not valid now.
    #[error("its certificate is not valid: {0} (do the hosts' clocks agree?)")]
    Certificate(String),
    /// A node of the right cluster that did not let this one in.
    #[error("refused: {0}")]
    Refused(JoinRefusal),
    /// A node of the right cluster that broke off.
    #[error("the connection broke before it answered: {0}")]
    Broken(String),
}

/// Why no seed let this node in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody to ask.
    #[error("no seed address was given")]
    NoSeeds,
    /// This node cannot make its request.
    #[error("the certificate request cannot be made")]
    Key(#[from] KeyError),
    /// This host cannot send.
    #[error("no UDP socket can be opened")]
    Socket(#[from] std::io::Error),
    /// A library refused its settings.
    #[error("TLS cannot be set up")]
    Tls(#[from] settings::SettingsError),
    /// What each seed answered.
    #[error("no seed let this node in:{}", Listed(.0))]
    Seeds(Vec<(SocketAddr, SeedError)>),
}

impl JoinError {
    /// When asking again may help: some seed is only not ready, or nobody answered yet.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Seeds(seeds) = self else { return None };
        seeds.iter().find_map(|(_, error)| match error {
            SeedError::Refused(JoinRefusal::NotReady { retry_after, .. }) => Some(*retry_after),
            SeedError::NoAnswer | SeedError::Broken(_) => Some(Duration::from_secs(1)),
            _ => None,
        })
    }
}

struct Listed<'a>(&'a [(SocketAddr, SeedError)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(seed, error)| write!(f, "\n  {seed}: {error}"))
    }
}

/// Asks the seeds, one after the other, to let this node in by `token`.
///
/// # Errors
/// [`JoinError::Seeds`] with what each of them answered if none did.
pub async fn join(
    seeds: &[SocketAddr],
    token: &JoinToken,
    key: &NodeKey,
    parts: JoinParts,
) -> Result<JoinResponse, JoinError> {
    let credential =
        Credential::Token { id: token.id().to_owned(), secret: token.secret().to_owned() };
    ask_all(seeds, token.fingerprint(), request(key, credential, parts)?).await
}

/// Asks the seeds for a new certificate when this node's own has expired and peers refuse it.
///
/// # Errors
/// As for [`join`].
pub async fn renew(
    seeds: &[SocketAddr],
    identity: &Identity,
    parts: JoinParts,
) -> Result<JoinResponse, JoinError> {
    let request = request(identity.key(), Credential::KnownKey, parts)?;
    ask_all(seeds, identity.ca_fingerprint(), request).await
}

fn request(
    key: &NodeKey,
    credential: Credential,
    parts: JoinParts,
) -> Result<JoinRequest, KeyError> {
    let JoinParts { node_name, advertise, version, cluster_id } = parts;
    let csr_der = key.certificate_request()?;
    Ok(JoinRequest { credential, csr_der, node_name, advertise, version, cluster_id })
}

async fn ask_all(
    seeds: &[SocketAddr],
    authority: [u8; 32],
    request: JoinRequest,
) -> Result<JoinResponse, JoinError> {
    if seeds.is_empty() {
        return Err(JoinError::NoSeeds);
    }
    let mut errors = Vec::new();
    for &seed in seeds {
        match ask(seed, authority, &request).await? {
            Ok(response) => return Ok(response),
            Err(error) => errors.push((seed, error)),
        }
    }
    Err(JoinError::Seeds(errors))
}

/// Asks one seed. The outer error ends the whole attempt, the inner one is about this seed.
async fn ask(
    seed: SocketAddr,
    authority: [u8; 32],
    request: &JoinRequest,
) -> Result<Result<JoinResponse, SeedError>, JoinError> {
    let any: SocketAddr = if seed.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let endpoint = Endpoint::client(any)?;
    let pinned = Arc::new(PinnedAuthority { fingerprint: authority, verdict: Mutex::new(None) });
    let config = settings::join_client(Arc::clone(&pinned))?;
    let answer = async {
        let connecting = endpoint
            .connect_with(config, seed, settings::SERVER_NAME)
            .map_err(|error| SeedError::NotSkein(error.to_string()))?;
        let connection = match timeout(CONNECT_TIMEOUT, connecting).await {
            Err(_) => return Err(SeedError::NoAnswer),
            Ok(Err(error)) => return Err(pinned.explain(error)),
            Ok(Ok(connection)) => connection,
        };
        let exchanged = timeout(JOIN_ANSWER_TIMEOUT, exchange(&connection, request)).await;
        let answer = exchanged.unwrap_or(Err(SeedError::Broken("no answer in time".into())));
        connection.close(settings::CLOSED, b"done");
        answer.and_then(|response| under(authority, response))
    }
    .await;
    // Lets the close frame out; a seed that does not acknowledge it is no problem of ours.
    timeout(Duration::from_millis(100), endpoint.wait_idle()).await.ok();
    Ok(answer)
}

/// The answer, if it names the authority that was asked for: from here on that one is trusted.
fn under(authority: [u8; 32], response: JoinResponse) -> Result<JoinResponse, SeedError> {
    match der_of_pem(&response.ca_pem) {
        Ok(der) if fingerprint(&der) == authority => Ok(response),
        _ => Err(SeedError::AnotherCluster),
    }
}

async fn exchange(
    connection: &quinn::Connection,
    request: &JoinRequest,
) -> Result<JoinResponse, SeedError> {
    let broken = |error: &dyn fmt::Display| SeedError::Broken(error.to_string());
    let body = codec::encode(request).map_err(|error| broken(&error))?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| broken(&error))?;
    wire::write(&mut send, wire::Head::request(Protocol::Join, body.len()), body)
        .await
        .map_err(|error| broken(&error))?;
    let answer =
        wire::read_answer(&mut receive, MAX_JOIN_BYTES).await.map_err(|error| broken(&error))?;
    let bytes: Bytes = match answer {
        wire::Answer::Done(bytes) => bytes,
        other => return Err(SeedError::Broken(format!("unexpected answer {other:?}"))),
    };
    codec::decode::<Result<JoinResponse, JoinRefusal>>(&bytes)
        .map_err(|error| broken(&error))?
        .map_err(SeedError::Refused)
}

/// Accepts a node under the authority with this fingerprint, and remembers why it did not.
struct PinnedAuthority {
    fingerprint: [u8; 32],
    verdict: Mutex<Option<SeedError>>,
}

impl PinnedAuthority {
    fn refuse(&self, verdict: SeedError) -> rustls::Error {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure)
    }

    fn explain(&self, error: ConnectionError) -> SeedError {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (verdict, error) {
            (Some(verdict), _) => verdict,
            (None, ConnectionError::TimedOut) => SeedError::NoAnswer,
            (None, error) => SeedError::NotSkein(error.to_string()),
        }
    }
}

impl JudgeCertificate for PinnedAuthority {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Some(authority) = chain.iter().find(|der| fingerprint(der) == self.fingerprint) else {
            let verdict = match crate::CertificateInfo::parse(leaf) {
                Ok(info) if info.is_node() => SeedError::AnotherCluster,
                _ => SeedError::NotSkein("its certificate is not a node's".into()),
            };
            return Err(self.refuse(verdict));
        };
        match tls::verify_peer(leaf, authority, now) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refuse(SeedError::Certificate(error.to_string()))),
        }
    }
}
