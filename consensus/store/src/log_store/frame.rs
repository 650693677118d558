//! How a group of records lies in a segment: one frame, at a sector's boundary.
//!
//! A frame carries the number of its group. Groups are numbered without a gap over all segments,
//! and a group is only written when the one before is safe. So a frame that cannot be read is the
//! end of the log, torn by a power cut and never acknowledged, unless a later group exists: then
//! the disk has lost something it had promised to keep.
//!
//! What this cannot tell from a torn write: damage to the very last group of a log that was not
//! closed properly. Closing writes a group of its own to narrow that down.

/// Frames begin at multiples of this, so that writing one never touches another's sector.
pub(super) const ALIGNMENT: usize = 512;

const MAGIC: [u8; 4] = *b"SKNG";
const HEADER_BYTES: usize = 20;

/// Builds one frame.
#[derive(Debug)]
pub(super) struct Builder(Vec<u8>);

impl Builder {
    pub(super) fn new() -> Self {
        Self(vec![0; HEADER_BYTES])
    }

    /// Whether it has no record.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == HEADER_BYTES
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a record and returns where its body begins, from the start of the frame.
    pub(super) fn push(&mut self, kind: u8, body: &[u8]) -> usize {
        self.0.push(kind);
        // Bounded by the codec's limit for one message, far below 4 GiB.
        self.0.extend_from_slice(&(body.len() as u32).to_le_bytes());
        let start = self.0.len();
        self.0.extend_from_slice(body);
        start
    }

    /// The bytes to write for group number `group`. `salt` is the log's own.
    pub(super) fn finish(mut self, group: u64, salt: u32) -> Vec<u8> {
        let payload = (self.0.len() - HEADER_BYTES) as u32;
        self.0[..4].copy_from_slice(&MAGIC);
        self.0[4..8].copy_from_slice(&payload.to_le_bytes());
        self.0[8..16].copy_from_slice(&group.to_le_bytes());
        let sum = checksum(&self.0[4..16], &self.0[HEADER_BYTES..], salt);
        self.0[16..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
        self.0
    }
}

/// The records of one group, as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) group: u64,
    pub(super) payload: &'a [u8],
    /// Bytes up to where the next frame begins.
    pub(super) bytes: usize,
}

/// A record, as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) body: &'a [u8],
    /// Where the body begins, from the start of the frame.
    pub(super) start: usize,
}

/// The intact frame at the start of `bytes`, if there is one.
pub(super) fn parse(bytes: &[u8], salt: u32) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER_BYTES)?;
    let (magic, rest) = header.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let (payload, rest) = rest.split_first_chunk::<4>()?;
    let (group, sum) = rest.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*payload) as usize;
    let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(length)?)?;
    if checksum(&header[4..16], payload, salt).to_le_bytes() != *sum {
        return None;
    }
    let bytes = (HEADER_BYTES + length).next_multiple_of(ALIGNMENT);
    Some(Frame { group: u64::from_le_bytes(*group), payload, bytes })
}

/// Whether a frame begins here that reaches beyond the end. Room is reserved before a frame is
/// written, so the end has been cut off since.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let reaches = length.map(|length| HEADER_BYTES.saturating_add(length as usize));
    bytes.starts_with(&MAGIC) && reaches.is_none_or(|reaches| reaches > bytes.len())
}

/// The highest group number of an intact frame anywhere in `bytes`, which begin at a boundary.
pub(super) fn highest_group(bytes: &[u8], salt: u32) -> Option<u64> {
    let starts = (0..bytes.len()).step_by(ALIGNMENT);
    starts.filter_map(|start| parse(&bytes[start..], salt)).map(|frame| frame.group).max()
}

impl<'a> Frame<'a> {
    /// The records, in order; `None` in place of one that does not fit, which ends them.
    pub(super) fn records(&self) -> impl Iterator<Item = Option<Record<'a>>> + use<'a> {
        records(self.payload)
    }
}

/// The records of a frame that is not intact, as far as they can be told apart.
pub(super) fn records_as_they_lie(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let payload = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let payload = payload.get(..length.unwrap_or(0) as usize).unwrap_or_default();
    records(payload).flatten()
}

fn records(payload: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let (mut rest, mut start) = (payload, HEADER_BYTES);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((kind, body, after)) = split(rest) else {
            rest = &[];
            return Some(None);
        };
        let record = Record { kind, body, start: start + RECORD_HEADER_BYTES };
        start += RECORD_HEADER_BYTES + body.len();
        rest = after;
        Some(Some(record))
    })
}

const RECORD_HEADER_BYTES: usize = 5;

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (body, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((*kind, body, after))
}

fn checksum(header: &[u8], payload: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(group: u64) -> Vec<u8> {
        let mut builder = Builder::new();
        builder.push(1, b"one");
        builder.push(2, &[7; 600]);
        builder.finish(group, 9)
    }

    #[test]
    fn what_was_framed_is_read_again() {
        let bytes = frame(4);
        assert_eq!(bytes.len(), 1_024);
        let read = parse(&bytes, 9).unwrap();
        assert_eq!((read.group, read.bytes), (4, 1_024));
        let records: Vec<_> = read.records().map(Option::unwrap).collect();
        assert_eq!(records[0].body, b"one");
        assert_eq!((records[1].kind, records[1].body.len()), (2, 600));
        assert_eq!(&bytes[records[1].start..][..600], records[1].body);
    }

    #[test]
    fn every_flipped_byte_that_counts_is_noticed() {
        let bytes = frame(4);
        let meant = HEADER_BYTES + 2 * RECORD_HEADER_BYTES + 603;
        for position in 0..meant {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x10;
            assert_eq!(parse(&damaged, 9), None, "byte {position}");
        }
        assert_eq!(parse(&bytes, 8), None, "of another log");
    }

    #[test]
    fn lengths_beyond_the_end_are_no_frame() {
        let bytes = frame(4);
        for length in [0, 3, HEADER_BYTES, 200] {
            assert_eq!(parse(&bytes[..length], 9), None);
        }
        let mut builder = Builder::new();
        builder.push(1, b"x");
        let mut broken = builder.finish(1, 0);
        broken[HEADER_BYTES + 1] = 200;
        let sum = checksum(&broken[4..16], &broken[HEADER_BYTES..HEADER_BYTES + 6], 0);
        broken[16..20].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(parse(&broken, 0).unwrap().records().collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn a_later_group_is_found_behind_what_cannot_be_read() {
        let mut bytes = frame(4);
        bytes[30] ^= 1;
        assert_eq!(highest_group(&bytes, 9), None);
        bytes.extend(frame(5));
        assert_eq!(highest_group(&bytes, 9), Some(5));
    }
}
