//! The files of the log: segments of bounded size, their room reserved ahead.
//!
//! A group of records is one write and one sync. The next segment is made before it is needed,
//! so that a full disk shows while a whole segment is still left to vote and hand over in, and
//! never in the middle of a write.

use std::{collections::VecDeque, io, sync::Arc};

use super::{
    frame::{ALIGNMENT, Builder},
    record::Header,
};
use crate::{
    disk::{Disk, RawFile},
    limits,
    lineage::Lineage,
    owner::Owner,
    sealed,
};

/// Whether there is room for what is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is.
    Enough,
    /// The disk is full or nearly so. The reserve is enough for votes and the entries of an
    /// election or two; nothing else should be appended until there is room again.
    Low,
}

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) file: Arc<RawFile>,
    /// Bytes reserved.
    pub(super) room: u64,
    /// Where the last group begins.
    pub(super) last: u64,
    /// Bytes up to where the next group begins.
    pub(super) end: u64,
    /// The highest index of an entry in it.
    pub(super) last_index: Option<u64>,
}

/// All files of the log of one replica.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) disk: Disk,
    pub(super) lineage: Lineage,
    pub(super) salt: u32,
    /// Oldest first; the last is the one written to.
    pub(super) used: VecDeque<Segment>,
    pub(super) spare: Option<Segment>,
    pub(super) next_sequence: u64,
    pub(super) next_group: u64,
    /// What went wrong: after a failed write or sync nobody knows what is on disk.
    failed: Option<(io::ErrorKind, String)>,
}

/// Where a group was written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<RawFile>,
    pub(super) offset: u64,
}

/// What keeps frames of one log from being taken for another's: a checksum's beginning.
pub(super) fn salt_of(owner: &Owner) -> u32 {
    // Without an encoding there is no header either, and nothing is ever written.
    sealed::seal(owner).map_or(0, |sealed| crc32fast::hash(&sealed))
}

impl Segments {
    /// The files of `owner`'s log; none yet.
    pub(super) fn new(disk: Disk, lineage: Lineage, owner: &Owner) -> Self {
        Self {
            disk,
            lineage,
            salt: salt_of(owner),
            used: VecDeque::new(),
            spare: None,
            next_sequence: 1,
            next_group: 1,
            failed: None,
        }
    }

    /// Writes a group and makes it durable. `header` is what is known before it; `last_index` the
    /// highest index of its entries.
    pub(super) fn append(
        &mut self,
        builder: Builder,
        header: &Header,
        last_index: Option<u64>,
    ) -> io::Result<Place> {
        if let Some((kind, reason)) = &self.failed {
            return Err(io::Error::new(*kind, reason.clone()));
        }
        let written = self.try_append(builder, header, last_index);
        if let Err(error) = &written {
            self.failed = Some((error.kind(), error.to_string()));
        }
        written
    }

    fn try_append(
        &mut self,
        mut builder: Builder,
        header: &Header,
        last_index: Option<u64>,
    ) -> io::Result<Place> {
        let group = self.next_group;
        let fits = match self.used.back() {
            Some(current) => current.end + builder.bytes() as u64 <= current.room,
            None => false,
        };
        let bytes = if fits {
            builder.finish(group, self.salt)
        } else {
            builder.header(header).map_err(io::Error::other)?;
            let bytes = builder.finish(group, 0);
            self.rotate(bytes.len() as u64)?;
            bytes
        };
        let Some(current) = self.used.back_mut() else {
            return Err(io::Error::other("the log has no segment"));
        };
        let place = Place { file: Arc::clone(&current.file), offset: current.end };
        current.file.write_at(current.end, &bytes)?;
        current.file.sync()?;
        current.last = current.end;
        current.end += bytes.len() as u64;
        current.last_index = current.last_index.max(last_index);
        self.next_group += 1;
        Ok(place)
    }

    /// Goes on in a new segment with room for `bytes` at least.
    fn rotate(&mut self, bytes: u64) -> io::Result<()> {
        let mut segment = match self.spare.take() {
            Some(spare) => spare,
            None => self.make()?,
        };
        if bytes > segment.room {
            segment.file = Arc::new(self.disk.reserve(&segment.name, bytes)?);
            segment.room = bytes;
        }
        self.used.push_back(segment);
        Ok(())
    }

    fn make(&mut self) -> io::Result<Segment> {
        let name = self.lineage.segment_name(self.next_sequence);
        let room = self.disk.segment_bytes();
        let file = match self.disk.reserve(&name, room) {
            Ok(file) => Arc::new(file),
            Err(error) => {
                // Gives back what was reserved of it; the first error tells more than another.
                drop(self.disk.remove(&name));
                return Err(error);
            }
        };
        self.next_sequence += 1;
        Ok(Segment { name, file, room, last: 0, end: 0, last_index: None })
    }

    /// Makes what was read safe. A process that was killed may have written the last group and
    /// not synced it; the next one reads it all the same and may promise it to others. Written
    /// again, for after a sync that failed another one alone does nothing.
    pub(super) fn secure(&self) -> io::Result<()> {
        let Some(current) = self.used.back() else { return Ok(()) };
        let bytes = usize::try_from(current.end - current.last).map_err(io::Error::other)?;
        let mut group = vec![0; bytes];
        current.file.read_at(current.last, &mut group)?;
        current.file.write_at(current.last, &group)?;
        current.file.sync()
    }

    /// Removes segments of nothing but entries up to `purged`, makes the spare and says whether
    /// there is room. Not needed for what was written: nobody waits for it.
    pub(super) fn tidy(&mut self, purged: Option<u64>, before: Space) -> Space {
        if let Err(error) = self.remove_purged(purged) {
            tracing::warn!(%error, "purged segments of the raft log cannot be removed");
        }
        if self.failed.is_some() {
            return Space::Low;
        }
        match self.look_ahead(before) {
            Ok(space) => space,
            Err(error) => {
                if before == Space::Enough {
                    tracing::error!(%error, "there is no room for the raft log to grow");
                }
                Space::Low
            }
        }
    }

    fn remove_purged(&mut self, purged: Option<u64>) -> io::Result<()> {
        while let [Some(old), Some(_)] = [self.used.front(), self.used.get(1)]
            && old.last_index <= purged
        {
            // Forgotten when it is gone: one that stays while a later one goes leaves a gap.
            self.disk.remove(&old.name)?;
            self.used.pop_front();
        }
        Ok(())
    }

    fn look_ahead(&mut self, before: Space) -> io::Result<Space> {
        let needed = match before {
            Space::Enough => limits::FREE_BYTES_LOW,
            Space::Low => limits::FREE_BYTES_ENOUGH,
        };
        if self.disk.free_bytes()? < needed {
            return Ok(Space::Low);
        }
        if self.spare.is_none() {
            self.spare = Some(self.make()?);
        }
        Ok(Space::Enough)
    }
}

impl Builder {
    /// Bytes of the frame, rounded to where the next may begin.
    pub(super) fn bytes(&self) -> usize {
        self.len().next_multiple_of(ALIGNMENT)
    }
}
