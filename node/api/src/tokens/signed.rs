//! JSON Web Signatures (RFC 7515) with one key and one algorithm, ES256 (RFC 7518, 3.4).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use skein_objects::StatusError;

/// The algorithm's name in headers.
const ALGORITHM: &str = "ES256";

/// A key that signs and verifies.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
    /// The first part of every token, dot included. A token that begins otherwise is of another
    /// key, another algorithm or another origin, so no header is ever interpreted.
    header: String,
}

impl SigningKey {
    /// A new key, PKCS #8 in DER.
    pub(super) fn generate() -> Result<Vec<u8>, Unspecified> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        Ok(document.as_ref().to_vec())
    }

    /// The key in PKCS #8.
    pub(super) fn new(pkcs8: &[u8]) -> Result<Self, KeyRejected> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)?;
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, pair.public_key().as_ref()));
        let header = json!({"alg": ALGORITHM, "kid": id}).to_string();
        let header = format!("{}.", URL_SAFE_NO_PAD.encode(header));
        Ok(Self { pair, random, id, header })
    }

    /// A token that says `claims`.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, StatusError> {
        let mut token = self.header.clone();
        let claims = serde_json::to_vec(claims).map_err(StatusError::internal)?;
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(&self.random, token.as_bytes());
        let signature = signature.map_err(StatusError::internal)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// What a token of this key says; nothing, if it is none or says something else.
    pub(super) fn verify<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (signed, signature) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(&self.header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        public.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub(super) fn public(&self) -> Value {
        // An uncompressed point (SEC 1, 2.3.3): a byte, then both coordinates.
        let point = self.pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        json!({
            "kty": "EC", "crv": "P-256", "alg": ALGORITHM, "use": "sig", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::new(&SigningKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_was_signed_is_verified_and_nothing_else() {
        let (key, other) = (key(), key());
        let token = key.sign(&json!({"sub": "a"})).unwrap();
        assert_eq!(key.verify::<Value>(&token), Some(json!({"sub": "a"})));
        assert_eq!(other.verify::<Value>(&token), None);
        assert_eq!(key.verify::<Vec<u8>>(&token), None, "of another form");

        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let changed = URL_SAFE_NO_PAD.encode(r#"{"sub":"b"}"#);
        for forged in [
            String::new(),
            "..".to_owned(),
            header.to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}.{changed}.{signature}"),
            format!("{unsigned}.{claims}."),
            format!("{unsigned}.{claims}.{signature}"),
            format!("{token}.{signature}"),
            format!("{token}="),
            format!(" {token}"),
        ] {
            assert_eq!(key.verify::<Value>(&forged), None, "{forged}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(SigningKey::new(b"a key").is_err());
    }

    #[test]
    fn the_public_key_is_published_with_its_id() {
        let key = key();
        let public = key.public();
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(public[name].as_str().unwrap()).unwrap();
        let point = [&[4][..], &bytes("x"), &bytes("y")].concat();
        assert_eq!(point, key.pair.public_key().as_ref());
        let header = key.header.trim_end_matches('.');
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "ES256", "kid": public["kid"]}));
    }
}
