//! The cluster's authority: its CA in the replicated store, certificates issued from it, and the
//! answer to those who want to join.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use skein_consensus::{
    Consistency, Key, Operation, Precondition, SharedStore, StoreError, Transaction,
};
use skein_net::{
    CertificateRequest, ClusterCa, Credential, Identity, JoinHandler, JoinRefusal, JoinRequest,
    JoinResponse, NodeId, NodeSubject, secret_matches,
};
use skein_objects::JoinToken;
use skein_storage::Storage;

use crate::{
    bootstrap::subject,
    data_dir::{DataDir, DataDirError},
    liveness::Liveness,
    registration::Registrations,
};

/// Where the CA lies in the store; no kind of the API has this resource.
const CA_RESOURCE: &str = "authorities.skein.internal";
const CA_NAME: &str = "cluster";

/// Where the key of service accounts' tokens lies beside it.
const TOKENS_NAME: &str = "service-accounts";

/// How long a node's certificate lasts; it renews itself after two thirds.
pub(crate) const NODE_CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// When a joiner that was too early asks again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where the CA of a new cluster lies in the data directory until the store keeps it.
const FOUNDING_FILE: &str = "founding.json";

/// The CA as the store keeps it, and as the founding node does until then.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Founding {
    certificate: String,
    key: String,
    cluster_id: String,
}

impl Founding {
    /// The authority of a new cluster.
    pub(crate) fn new(ca: &ClusterCa, cluster_id: &str) -> Self {
        Self {
            certificate: ca.cert_pem().to_owned(),
            key: ca.key_pem(),
            cluster_id: cluster_id.to_owned(),
        }
    }

    /// What an earlier run founded and did not yet hand to the store.
    pub(crate) fn read(data: &DataDir) -> Result<Option<Self>, DataDirError> {
        data.read_json(FOUNDING_FILE)
    }

    /// Keeps it over a crash.
    pub(crate) fn save(&self, data: &DataDir) -> Result<(), DataDirError> {
        data.write_json(FOUNDING_FILE, self)
    }

    /// The store has it now.
    pub(crate) fn forget(data: &DataDir) -> Result<(), DataDirError> {
        data.remove(FOUNDING_FILE)
    }
}

/// Why the CA could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("the cluster's authority could not be read from the store")]
    Store(#[from] StoreError),
    #[error("the cluster's authority is not in the store yet")]
    Absent,
    #[error("the cluster's authority in the store is damaged")]
    Damaged(#[from] serde_json::Error),
    #[error("the certificate was not issued")]
    Issue(#[from] skein_net::IssueError),
    #[error("the certificate request is not valid")]
    Request(#[from] skein_net::RequestError),
    #[error("this node's key cannot sign a certificate request")]
    Key(#[from] skein_net::KeyError),
    #[error("the new certificate cannot be used")]
    Identity(#[from] skein_net::IdentityError),
}

/// Reads and uses the CA. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Authority {
    store: SharedStore,
}

impl Authority {
    pub(crate) fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// Keeps the CA of a new cluster; does nothing where one is kept already.
    pub(crate) async fn keep(&self, founding: &Founding) -> Result<(), AuthorityError> {
        let put = Operation::Put {
            key: key(),
            value: serde_json::to_vec(founding)?.into(),
            when: Precondition::Absent,
        };
        match self.store.write(Transaction::new(vec![put])).await {
            Ok(_) | Err(StoreError::PreconditionFailed { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn stored(&self, consistency: Consistency) -> Result<Founding, AuthorityError> {
        let (record, _) = self.store.get(&key(), consistency).await?;
        let record = record.ok_or(AuthorityError::Absent)?;
        Ok(serde_json::from_slice(&record.value)?)
    }

    /// The CA. It never changes once kept, so any replica's answer will do.
    pub(crate) async fn ca(&self) -> Result<ClusterCa, AuthorityError> {
        let stored = self.stored(Consistency::Any).await?;
        Ok(ClusterCa::from_pem(&stored.certificate, &stored.key)?)
    }

    /// The key that signs tokens of service accounts. It never changes once kept; where none is,
    /// the one offered becomes it.
    pub(crate) async fn token_key(
        &self,
        offered: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, AuthorityError> {
        let key = Key::new(CA_RESOURCE, "", TOKENS_NAME);
        if let (Some(record), _) = self.store.get(&key, Consistency::Any).await? {
            return Ok(Some(record.value.to_vec()));
        }
        if let Some(offered) = offered {
            let (key, value, when) = (key.clone(), offered.into(), Precondition::Absent);
            let put = Operation::Put { key, value, when };
            match self.store.write(Transaction::new(vec![put])).await {
                Ok(_) | Err(StoreError::PreconditionFailed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (record, _) = self.store.get(&key, Consistency::Linearizable).await?;
        Ok(record.map(|record| record.value.to_vec()))
    }

    /// Gives this node a fresh certificate of the same name.
    pub(crate) async fn renew(
        &self,
        identity: &Identity,
        subject: &NodeSubject,
    ) -> Result<(), AuthorityError> {
        let request = identity.key().certificate_request()?;
        let request = CertificateRequest::parse_from(&request, identity.id())?;
        let now = SystemTime::now();
        let certificate =
            self.ca().await?.issue_node(&request, subject, NODE_CERTIFICATE_LIFETIME, now)?;
        identity.replace_certificate(&certificate)?;
        Ok(())
    }
}

fn key() -> Key {
    Key::new(CA_RESOURCE, "", CA_NAME)
}

/// Answers hosts that ask to join.
pub(crate) struct Admission {
    pub(crate) authority: Authority,
    pub(crate) registrations: Registrations,
    pub(crate) storage: Storage,
    pub(crate) liveness: Liveness,
}

#[async_trait]
impl JoinHandler for Admission {
    async fn join(
        &self,
        request: JoinRequest,
        remote: SocketAddr,
    ) -> Result<JoinResponse, JoinRefusal> {
        let certificate_request = CertificateRequest::parse(&request.csr_der)
            .map_err(|error| JoinRefusal::Invalid(error.to_string()))?;
        let id = certificate_request.id();
        match &request.credential {
            Credential::Token { id, secret } => self.check_token(id, secret).await?,
            Credential::KnownKey => self.check_known(id).await?,
        }
        self.registrations
            .claim(&request.node_name, id, request.advertise, |holder| {
                self.liveness.is_alive(holder)
            })
            .await?;
        let stored = self.authority.stored(Consistency::Linearizable).await.map_err(not_ready)?;
        let ca = ClusterCa::from_pem(&stored.certificate, &stored.key).map_err(not_ready)?;
        let subject = subject(&request.node_name, request.advertise.ip());
        let cert_pem = ca
            .issue_node(
                &certificate_request,
                &subject,
                NODE_CERTIFICATE_LIFETIME,
                SystemTime::now(),
            )
            .map_err(|error| JoinRefusal::Invalid(error.to_string()))?;
        tracing::info!(name = request.node_name, %id, %remote, "a node joined");
        Ok(JoinResponse {
            cert_pem,
            ca_pem: stored.certificate,
            cluster_id: stored.cluster_id,
            peers: self.registrations.peers().await.map_err(not_ready)?,
        })
    }
}

impl Admission {
    async fn check_token(&self, id: &str, secret: &str) -> Result<(), JoinRefusal> {
        let token = self.storage.typed::<JoinToken>().get("", id).await.map_err(not_ready)?;
        let token = token.ok_or_else(|| JoinRefusal::UnknownToken(id.to_owned()))?;
        judge_token(&token, secret, SystemTime::now())
    }

    /// A node of this cluster whose certificate has expired proves itself by its key.
    async fn check_known(&self, id: NodeId) -> Result<(), JoinRefusal> {
        let registered = self.registrations.list().await.map_err(not_ready)?;
        let known = registered.iter().any(|one| one.id == id);
        if known { Ok(()) } else { Err(JoinRefusal::UnknownNode) }
    }
}

/// Whether a token opens the cluster now.
fn judge_token(token: &JoinToken, secret: &str, now: SystemTime) -> Result<(), JoinRefusal> {
    if !secret_matches(secret, &token.spec.secret_hash) {
        return Err(JoinRefusal::WrongSecret);
    }
    if token.spec.revoked == Some(true) {
        return Err(JoinRefusal::Revoked);
    }
    match &token.spec.expires {
        Some(expires) if SystemTime::from(expires.0) <= now => Err(JoinRefusal::Expired),
        _ => Ok(()),
    }
}

/// Answers joiners while the node stops or starts anew. An [`Admission`] holds the store, which
/// must close.
pub(crate) struct ClosedDoor;

#[async_trait]
impl JoinHandler for ClosedDoor {
    async fn join(&self, _: JoinRequest, _: SocketAddr) -> Result<JoinResponse, JoinRefusal> {
        let reason = "this node starts anew".to_owned();
        Err(JoinRefusal::NotReady { reason, retry_after: RETRY_AFTER })
    }
}

/// The store or what it needs is not there: the joiner asks again.
pub(crate) fn not_ready(error: impl std::error::Error) -> JoinRefusal {
    JoinRefusal::NotReady { reason: error.to_string(), retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use skein_net::secret_hash;
    use skein_objects::JoinTokenSpec;

    use super::*;

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked() {
        let now = SystemTime::now();
        let at = |time: SystemTime| Timestamp::try_from(time).map(Time).ok();
        let token = |expires: Option<Time>, revoked: Option<bool>| {
            let secret_hash = secret_hash("secret");
            JoinToken::new(
                "abcdef",
                JoinTokenSpec { secret_hash, expires, revoked, ..JoinTokenSpec::default() },
            )
        };
        let minute = Duration::from_secs(60);
        let cases = [
            (token(None, None), "secret", Ok(())),
            (token(at(now + minute), Some(false)), "secret", Ok(())),
            (token(at(now - minute), None), "secret", Err(JoinRefusal::Expired)),
            (token(at(now), None), "secret", Err(JoinRefusal::Expired)),
            (token(None, Some(true)), "secret", Err(JoinRefusal::Revoked)),
            (token(None, None), "guess", Err(JoinRefusal::WrongSecret)),
            // Whoever does not have the secret learns nothing about the token.
            (token(at(now - minute), Some(true)), "guess", Err(JoinRefusal::WrongSecret)),
        ];
        for (token, secret, expected) in cases {
            assert_eq!(judge_token(&token, secret, now), expected, "{:?}", token.spec);
        }
    }
}
