//! The identity of an object.

use std::{fmt, sync::Arc};

use uuid::{Uuid, fmt::Hyphenated};

/// An object's `metadata.uid`. Every one that this cluster gave is a UUID and takes no memory of
/// its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Uid {
    /// Written in the usual way, in lower case.
    Uuid(Uuid),
    /// Anything else.
    Other(Arc<str>),
}

impl Uid {
    /// Whether this is how it is written.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Self::Uuid(uuid) => text == &*uuid.as_hyphenated().encode_lower(&mut buffer()),
            Self::Other(other) => text == &**other,
        }
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok().map(Self::Uuid);
        uuid.filter(|uid| uid.is(text)).unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.as_hyphenated().fmt(f),
            Self::Other(other) => other.fmt(f),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn buffer() -> [u8; Hyphenated::LENGTH] {
    [0; Hyphenated::LENGTH]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_reads_as_it_was_written() {
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        for text in [uuid, &uuid.to_uppercase(), &uuid.replace('-', ""), "", "web"] {
            let uid = Uid::from(text);
            assert_eq!(uid.to_string(), text);
            assert!(uid.is(text));
            assert_eq!(matches!(uid, Uid::Uuid(_)), text == uuid, "{text}");
        }
    }
}
