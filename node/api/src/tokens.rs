//! Tokens of service accounts: what they say, who signs them, and whom they prove somebody to be.
//!
//! As in Kubernetes they are JSON Web Tokens (RFC 7519) that hold for a time, for an audience, and
//! for as long as the account and the object they are bound to are there.

mod signed;

use std::{collections::BTreeMap, sync::OnceLock};

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    Metadata, Resource,
    api::core::v1::{Node, Pod, Secret, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use skein_consensus::Consistency;
use skein_objects::{Reason, StatusError, registry};
use skein_storage::Storage;

use self::signed::SigningKey;
use crate::{ClusterView, identity::Identity, limits};

/// Who issues tokens, and whom they are for unless they say so.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// What a user's name begins with that is a service account.
pub(crate) const USER_PREFIX: &str = "system:serviceaccount:";

/// The group of all service accounts, and what the group of a namespace's begins with.
const GROUP: &str = "system:serviceaccounts";

/// A name and what it was when the token was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Whom it is for.
    pub(crate) aud: Vec<String>,
    /// In seconds since 1970: until when it holds,
    pub(crate) exp: i64,
    /// when it was issued,
    pub(crate) iat: i64,
    /// and from when on it holds.
    pub(crate) nbf: i64,
    pub(crate) iss: String,
    /// The token's own name.
    pub(crate) jti: String,
    pub(crate) sub: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) about: About,
}

/// The account a token is of, and what else must be there for it to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) namespace: String,
    pub(crate) serviceaccount: Reference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Reference>,
}

/// Who somebody is by a token, and for which of the audiences asked about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) identity: Identity,
    pub(crate) audiences: Vec<String>,
}

/// Why a token proves nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It does not hold.
    Rejected(&'static str),
    /// Whether it holds cannot be known now.
    Unknown(StatusError),
}

impl From<StatusError> for Doubt {
    fn from(error: StatusError) -> Self {
        Self::Unknown(error)
    }
}

/// The token a request brings.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Signs and judges tokens with the cluster's key for them, read once.
#[derive(Default)]
pub(crate) struct Tokens {
    key: OnceLock<SigningKey>,
}

impl Tokens {
    /// A token that says `claims`.
    pub(crate) async fn issue(
        &self,
        cluster: &dyn ClusterView,
        claims: &Claims,
    ) -> Result<String, StatusError> {
        self.signing_key(cluster).await?.sign(claims)
    }

    /// The key set with which others judge tokens of this cluster (RFC 7517).
    pub(crate) async fn key_set(&self, cluster: &dyn ClusterView) -> Result<Value, StatusError> {
        Ok(json!({"keys": [self.signing_key(cluster).await?.public()]}))
    }

    /// The key, made by whoever needs it first.
    async fn signing_key(&self, cluster: &dyn ClusterView) -> Result<&SigningKey, StatusError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let offered = SigningKey::generate().map_err(StatusError::internal)?;
        let kept = cluster.token_key(Some(offered)).await?;
        self.keep(&kept.ok_or_else(|| StatusError::internal("the key was not kept"))?)
    }

    /// The key, if any token was ever issued.
    async fn known_key(&self, cluster: &dyn ClusterView) -> Result<&SigningKey, Doubt> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let kept = cluster.token_key(None).await?;
        Ok(self.keep(&kept.ok_or(Doubt::Rejected("this cluster has issued no tokens"))?)?)
    }

    /// All who read the key read the same.
    fn keep(&self, kept: &[u8]) -> Result<&SigningKey, StatusError> {
        let key = SigningKey::new(kept).map_err(StatusError::internal)?;
        Ok(self.key.get_or_init(|| key))
    }

    /// Who somebody is that has this token.
    pub(crate) async fn judge(
        &self,
        storage: &Storage,
        cluster: &dyn ClusterView,
        token: &str,
        audiences: &[String],
    ) -> Result<Proof, Doubt> {
        let key = self.known_key(cluster).await?;
        let claims = key.verify::<Claims>(token);
        let claims = claims.ok_or(Doubt::Rejected("invalid bearer token"))?;
        let audiences = check(&claims, audiences, Timestamp::now())?;
        check_objects(storage, &claims.about).await?;
        Ok(Proof { identity: identity(claims), audiences })
    }
}

/// Which of the audiences a token is for, if it holds at this time.
fn check(claims: &Claims, audiences: &[String], now: Timestamp) -> Result<Vec<String>, Doubt> {
    let (now, leeway) = (now.as_second(), limits::TOKEN_LEEWAY_SECONDS);
    if claims.iss != ISSUER {
        return Err(Doubt::Rejected("the token is of another issuer"));
    }
    if claims.exp < now - leeway {
        return Err(Doubt::Rejected("the token has expired"));
    }
    if claims.nbf > now + leeway {
        return Err(Doubt::Rejected("the token is not valid yet"));
    }
    let both: Vec<String> =
        audiences.iter().filter(|one| claims.aud.contains(one)).cloned().collect();
    if both.is_empty() { Err(Doubt::Rejected("the token is for others")) } else { Ok(both) }
}

/// The account and what the token is bound to are still what they were.
async fn check_objects(storage: &Storage, about: &About) -> Result<(), Doubt> {
    let namespace = &about.namespace;
    let account = is_there::<ServiceAccount>(storage, namespace, Some(&about.serviceaccount));
    if !account.await? {
        return Err(Doubt::Rejected("the service account is gone"));
    }
    let is_bound = is_there::<Pod>(storage, namespace, about.pod.as_ref()).await?
        && is_there::<Secret>(storage, namespace, about.secret.as_ref()).await?
        && is_there::<Node>(storage, "", about.node.as_ref()).await?;
    if is_bound { Ok(()) } else { Err(Doubt::Rejected("what the token is bound to is gone")) }
}

/// Whether an object is there, and the same; what nobody named is.
async fn is_there<T>(
    storage: &Storage,
    namespace: &str,
    reference: Option<&Reference>,
) -> Result<bool, StatusError>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned,
{
    let Some(Reference { name, uid }) = reference else { return Ok(true) };
    // The nearest replica may not have it yet.
    for consistency in [Consistency::Any, Consistency::Linearizable] {
        match storage.get(registry().of::<T>(), namespace, name, consistency).await {
            Ok(found) => {
                let object = found.decode::<T>()?;
                let metadata = object.metadata();
                if metadata.uid.as_ref() == Some(uid) {
                    return Ok(!is_ended(metadata, Timestamp::now()));
                }
            }
            Err(error) if error.reason == Reason::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether an object was deleted some time ago and only waits for its finalizers.
fn is_ended(metadata: &ObjectMeta, now: Timestamp) -> bool {
    let deleted = metadata.deletion_timestamp.as_ref().map(|time| time.0.as_second());
    deleted.is_some_and(|second| second + limits::TOKEN_LEEWAY_SECONDS < now.as_second())
}

/// Whom claims are about.
fn identity(claims: Claims) -> Identity {
    let About { namespace, serviceaccount, pod, node, .. } = claims.about;
    let mut extra = BTreeMap::new();
    let mut add = |name: &str, value: String| {
        extra.insert(format!("authentication.kubernetes.io/{name}"), vec![value]);
    };
    add("credential-id", format!("JTI={}", claims.jti));
    for (what, reference) in [("pod", pod), ("node", node)] {
        if let Some(Reference { name, uid }) = reference {
            add(&format!("{what}-name"), name);
            add(&format!("{what}-uid"), uid);
        }
    }
    Identity {
        user: user(&namespace, &serviceaccount.name),
        uid: serviceaccount.uid,
        groups: vec![GROUP.to_owned(), format!("{GROUP}:{namespace}")],
        extra,
    }
}

/// The user's name that a service account has.
pub(crate) fn user(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// Claims about `about` that hold for so long from now on.
pub(crate) fn claims(
    about: About,
    audiences: Vec<String>,
    now: Timestamp,
    lifetime: SignedDuration,
) -> Claims {
    let issued = now.as_second();
    Claims {
        aud: audiences,
        exp: issued.saturating_add(lifetime.as_secs()),
        iat: issued,
        nbf: issued,
        iss: ISSUER.to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        sub: user(&about.namespace, &about.serviceaccount.name),
        about,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn made(lifetime: i64) -> Claims {
        let reference =
            |name: &str| Reference { name: name.to_owned(), uid: format!("uid-{name}") };
        let about = About {
            namespace: "shop".to_owned(),
            serviceaccount: reference("web"),
            pod: Some(reference("web-1")),
            secret: None,
            node: None,
        };
        let audiences = vec![ISSUER.to_owned(), "vault".to_owned()];
        claims(about, audiences, Timestamp::UNIX_EPOCH, SignedDuration::from_secs(lifetime))
    }

    #[test]
    fn a_token_holds_for_its_time_and_its_audiences() {
        let ours = [ISSUER.to_owned()];
        let leeway = limits::TOKEN_LEEWAY_SECONDS;
        let at = |second| Timestamp::from_second(second).unwrap();
        let expired = Err(Doubt::Rejected("the token has expired"));
        let early = Err(Doubt::Rejected("the token is not valid yet"));
        let cases = [
            (0, Ok(ours.to_vec())),
            (600 + leeway, Ok(ours.to_vec())),
            (601 + leeway, expired),
            (-leeway, Ok(ours.to_vec())),
            (-leeway - 1, early),
        ];
        for (second, expected) in cases {
            assert_eq!(check(&made(600), &ours, at(second)), expected, "at {second}");
        }
        let others = Err(Doubt::Rejected("the token is for others"));
        assert_eq!(check(&made(600), &["api".to_owned()], at(0)), others);
        let foreign = Claims { iss: "https://example.com".to_owned(), ..made(600) };
        assert!(check(&foreign, &ours, at(0)).is_err());
    }

    #[test]
    fn what_was_deleted_a_while_ago_is_gone_whoever_still_holds_it() {
        let now = Timestamp::from_second(1000).unwrap();
        let deleted = |second| ObjectMeta {
            deletion_timestamp: Some(Time(Timestamp::from_second(second).unwrap())),
            ..ObjectMeta::default()
        };
        let leeway = limits::TOKEN_LEEWAY_SECONDS;
        assert!(!is_ended(&ObjectMeta::default(), now));
        assert!(!is_ended(&deleted(1030), now), "it has time to end");
        assert!(!is_ended(&deleted(1000 - leeway), now));
        assert!(is_ended(&deleted(999 - leeway), now));
    }

    #[test]
    fn a_service_account_is_a_user_in_the_groups_of_all_and_of_its_namespace() {
        let claims = made(600);
        let jti = claims.jti.clone();
        assert_eq!(claims.sub, "system:serviceaccount:shop:web");
        let identity = identity(claims);
        assert_eq!(identity.user, "system:serviceaccount:shop:web");
        assert_eq!(identity.uid, "uid-web");
        assert_eq!(identity.groups, ["system:serviceaccounts", "system:serviceaccounts:shop"]);
        let extra = |name: &str| &identity.extra[&format!("authentication.kubernetes.io/{name}")];
        assert_eq!(extra("pod-name"), &["web-1"]);
        assert_eq!(extra("pod-uid"), &["uid-web-1"]);
        assert_eq!(extra("credential-id"), &[format!("JTI={jti}")]);
    }

    #[test]
    fn a_token_comes_behind_its_scheme() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
