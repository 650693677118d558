//! Header blocks, compressed. Each block is flushed, and the next one refers to it.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{SpdyError, dictionary::DICTIONARY, limits};

/// Bytes by which an output grows.
const STEP: usize = 4096;

pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    /// The next block, whole.
    pub(super) fn inflate(&mut self, mut block: &[u8]) -> Result<Bytes, SpdyError> {
        let mut out = Vec::with_capacity(STEP);
        loop {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress_vec(block, &mut out, FlushDecompress::Sync);
            let consumed = usize::try_from(self.0.total_in() - read).unwrap_or(usize::MAX);
            block = block.get(consumed..).unwrap_or_default();
            match result {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
                Ok(Status::StreamEnd) => return Err(failed("the stream ends")),
                Ok(Status::Ok | Status::BufError) => {
                    if out.len() > limits::HEADER_BYTES {
                        return Err(SpdyError::HeadersTooLong);
                    }
                    if out.len() < out.capacity() {
                        if block.is_empty() {
                            return Ok(out.into());
                        }
                        if consumed == 0 && self.0.total_out() == written {
                            return Err(failed("it does not end where the frame does"));
                        }
                    }
                    out.reserve(STEP);
                }
            }
        }
    }
}

pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Result<Self, SpdyError> {
        let mut compress = Compress::new(Compression::fast(), true);
        compress.set_dictionary(&DICTIONARY).map_err(failed)?;
        Ok(Self(compress))
    }

    /// Puts a block behind what is in `out`.
    pub(super) fn deflate(&mut self, mut block: &[u8], out: &mut Vec<u8>) -> Result<(), SpdyError> {
        loop {
            out.reserve(STEP);
            let read = self.0.total_in();
            let result = self.0.compress_vec(block, out, FlushCompress::Sync);
            result.map_err(failed)?;
            let consumed = usize::try_from(self.0.total_in() - read).unwrap_or(usize::MAX);
            block = block.get(consumed..).unwrap_or_default();
            // With room left over, everything is flushed.
            if block.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
        }
    }
}

fn failed(error: impl ToString) -> SpdyError {
    SpdyError::Inflate(error.to_string())
}
