//! Join tokens: what a new node must be told, in one word.
//!
//! `skein1.<id>.<secret>.<fingerprint>`: the id finds the token in the store, the secret proves
//! that its holder was given it (only its hash is stored), the fingerprint of the cluster's
//! authority lets the joiner check whom it talks to before it says anything.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use ring::digest::{SHA256, digest};

const PREFIX: &str = "skein1";
const ID_CHARACTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
const ID_LENGTH: usize = 8;
const SECRET_BYTES: usize = 24;

/// A join token. `Debug` hides the secret, `Display` prints all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    id: String,
    secret: String,
    fingerprint: [u8; 32],
}

impl JoinToken {
    /// A new token for the cluster whose authority has this fingerprint.
    pub fn generate(fingerprint: [u8; 32]) -> Self {
        let mut random = rand::rng();
        let id = (0..ID_LENGTH)
            .map(|_| char::from(ID_CHARACTERS[random.random_range(0..ID_CHARACTERS.len())]))
            .collect();
        let secret = URL_SAFE_NO_PAD.encode(random.random::<[u8; SECRET_BYTES]>());
        Self { id, secret, fingerprint }
    }

    /// The public part: the token's name in the store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret part, for the join request alone.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What the store keeps of the secret: its SHA-256 in hexadecimal.
    pub fn secret_hash(&self) -> String {
        secret_hash(&self.secret)
    }

    /// SHA-256 of the certificate of the cluster's authority.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// What the store keeps of a secret: its SHA-256 in hexadecimal. The secret has 192 random bits,
/// so a plain hash gives nothing away.
pub fn secret_hash(secret: &str) -> String {
    hex(digest(&SHA256, secret.as_bytes()).as_ref())
}

/// Whether `secret` is the one whose hash is stored, in time that does not tell where they differ.
pub fn secret_matches(secret: &str, stored_hash: &str) -> bool {
    let hash = secret_hash(secret);
    hash.len() == stored_hash.len()
        && hash.bytes().zip(stored_hash.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.{}", self.id, self.secret, hex(&self.fingerprint))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.(secret).{}", self.id, hex(&self.fingerprint))
    }
}

/// Why a text is not a join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// Does not begin as a token does.
    #[error("a join token begins with \"{PREFIX}.\"")]
    NotAToken,
    /// Too few or too many parts: usually an incomplete copy.
    #[error("a join token has 4 parts separated by dots, this has {0}; is it complete?")]
    Parts(usize),
    /// The id is not one.
    #[error("the token's id must be 6 to 10 lower-case letters and digits")]
    Id,
    /// The secret is not one.
    #[error("the token's secret is not complete")]
    Secret,
    /// The fingerprint is not one.
    #[error("the token's fingerprint must be 64 hexadecimal digits; is it complete?")]
    Fingerprint,
}

impl FromStr for JoinToken {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        if parts[0] != PREFIX {
            return Err(ParseTokenError::NotAToken);
        }
        let &[_, id, secret, fingerprint] = parts.as_slice() else {
            return Err(ParseTokenError::Parts(parts.len()));
        };
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !(6..=10).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(ParseTokenError::Id);
        }
        let decoded = URL_SAFE_NO_PAD.decode(secret).map_err(|_| ParseTokenError::Secret)?;
        if decoded.len() != SECRET_BYTES {
            return Err(ParseTokenError::Secret);
        }
        let fingerprint = unhex(fingerprint).ok_or(ParseTokenError::Fingerprint)?;
        Ok(Self { id: id.to_owned(), secret: secret.to_owned(), fingerprint })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    // A sign would pass for a digit below.
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(fingerprint in any::<[u8; 32]>()) {
            let token = JoinToken::generate(fingerprint);
            prop_assert_eq!(token.to_string().parse::<JoinToken>().unwrap(), token);
        }

        #[test]
        fn any_text_is_a_token_or_an_error(text in ".*") {
            let _ = text.parse::<JoinToken>();
        }

        #[test]
        fn near_tokens_are_a_token_or_an_error(
            id in "[a-z0-9]{0,12}", secret in "[A-Za-z0-9_é-]{0,40}", print in "[0-9a-fé+]{60,66}",
        ) {
            let _ = format!("skein1.{id}.{secret}.{print}").parse::<JoinToken>();
        }
    }

    #[test]
    fn wrong_texts_say_what_is_wrong() {
        let token = JoinToken::generate([7; 32]).to_string();
        let cut = &token[..token.len() - 1];
        let secret = URL_SAFE_NO_PAD.encode([1; SECRET_BYTES]);
        let print = "00".repeat(32);
        let table = [
            (String::new(), ParseTokenError::NotAToken),
            ("K10abc::server:def".into(), ParseTokenError::NotAToken),
            ("skein1.abcdefgh".into(), ParseTokenError::Parts(2)),
            (format!("{token}.x"), ParseTokenError::Parts(5)),
            (format!("skein1.ABC.{secret}.{print}"), ParseTokenError::Id),
            (format!("skein1.abcdefgh.short.{print}"), ParseTokenError::Secret),
            (cut.into(), ParseTokenError::Fingerprint),
            (format!("{}+7", &token[..token.len() - 2]), ParseTokenError::Fingerprint),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<JoinToken>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_the_secret_itself_matches_its_hash() {
        let token = JoinToken::generate([7; 32]);
        assert!(secret_matches(token.secret(), &token.secret_hash()));
        assert!(!secret_matches("guess", &token.secret_hash()));
        assert!(!secret_matches(token.secret(), ""));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        let token = JoinToken::generate([7; 32]);
        assert!(!format!("{token:?}").contains(token.secret()));
    }
}
