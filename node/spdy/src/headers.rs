//! The headers that open a stream.

use bytes::{Buf, BufMut, Bytes};

use crate::{SpdyError, limits};

/// Names and values in order. Names are compared without regard to case; SPDY sends them in lower
/// case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Reads a header block: the number of pairs, then names and values, each after its length.
    pub(crate) fn parse(mut block: Bytes) -> Result<Self, SpdyError> {
        let count = usize::try_from(number(&mut block)?).unwrap_or(usize::MAX);
        if count > limits::HEADERS {
            return Err(SpdyError::TooManyHeaders(count));
        }
        let mut headers = Vec::with_capacity(count);
        // Each value takes its name along: what stands in one pair may come to many times its size.
        let mut bytes = 0;
        for _ in 0..count {
            let (name, values) = (text(&mut block)?, text(&mut block)?);
            // Several values of one name stand in one, with a zero byte between.
            for value in values.split('\0') {
                bytes += name.len() + value.len();
                if bytes > limits::HEADER_BYTES {
                    return Err(SpdyError::HeadersTooLong);
                }
                if headers.len() == limits::HEADERS {
                    return Err(SpdyError::TooManyHeaders(headers.len() + 1));
                }
                headers.push((name.clone(), value.to_owned()));
            }
        }
        Ok(Self(headers))
    }

    /// The header block of these.
    pub(crate) fn write(&self, block: &mut Vec<u8>) {
        let mut merged: Vec<(String, String)> = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let name = name.to_ascii_lowercase();
            match merged.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => {
                    values.push('\0');
                    values.push_str(value);
                }
                None => merged.push((name, value.clone())),
            }
        }
        block.put_u32(length(merged.len()));
        for (name, values) in &merged {
            for text in [name, values] {
                block.put_u32(length(text.len()));
                block.put_slice(text.as_bytes());
            }
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What this process sends is far from the bound.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn number(block: &mut Bytes) -> Result<u32, SpdyError> {
    block.try_get_u32().map_err(|_| SpdyError::BrokenHeaders)
}

fn text(block: &mut Bytes) -> Result<String, SpdyError> {
    let length = usize::try_from(number(block)?).unwrap_or(usize::MAX);
    if length > block.len() {
        return Err(SpdyError::BrokenHeaders);
    }
    let bytes = block.split_to(length);
    String::from_utf8(bytes.into()).map_err(|_| SpdyError::BrokenHeaders)
}
