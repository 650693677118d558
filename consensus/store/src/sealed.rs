//! Values as they lie on disk: a CRC-32 and one frame.
//!
//! The database protects its own pages against torn writes; the checksum protects each value
//! against a disk that returns other bytes than it was given.

use serde::{Serialize, de::DeserializeOwned};
use skein_net::{CodecError, codec};

/// Why bytes from the disk are not the value expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// Too short or with another checksum.
    #[error("its checksum does not match")]
    Checksum,
    /// Intact, but not of the expected type.
    #[error("it cannot be decoded")]
    Decode(#[source] CodecError),
    /// Intact, but of a kind this build does not know.
    #[error("it is of the unknown kind {0}")]
    Kind(u8),
}

const CHECKSUM_BYTES: usize = 4;

/// `value` as it goes to disk.
pub(crate) fn seal<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let frame = codec::encode(value)?;
    let mut sealed = Vec::with_capacity(CHECKSUM_BYTES + frame.len());
    sealed.extend_from_slice(&crc32fast::hash(&frame).to_le_bytes());
    sealed.extend_from_slice(&frame);
    Ok(sealed)
}

/// The checksum that stands before a sealed value; zero where there is none.
pub(crate) fn checksum(sealed: &[u8]) -> u32 {
    sealed.first_chunk().map_or(0, |checksum| u32::from_le_bytes(*checksum))
}

/// The value that was sealed.
pub(crate) fn open<T: DeserializeOwned>(sealed: &[u8]) -> Result<T, SealError> {
    let (checksum, frame) =
        sealed.split_first_chunk::<CHECKSUM_BYTES>().ok_or(SealError::Checksum)?;
    if crc32fast::hash(frame).to_le_bytes() != *checksum {
        return Err(SealError::Checksum);
    }
    codec::decode(frame).map_err(SealError::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_is_noticed() {
        let sealed = seal(&(7u64, "text")).unwrap();
        assert_eq!(open::<(u64, String)>(&sealed).unwrap(), (7, "text".to_owned()));
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(matches!(open::<(u64, String)>(&damaged), Err(SealError::Checksum)));
        }
        assert!(matches!(open::<u64>(&sealed[..3]), Err(SealError::Checksum)));
    }
}
