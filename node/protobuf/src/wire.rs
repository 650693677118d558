//! The wire format of protobuf, as <https://protobuf.dev/programming-guides/encoding/> has it.
//!
//! Reads what there is; what it means is not known here. Groups, which are obsolete and which
//! Kubernetes never writes, are refused.

use crate::error::Problem;

/// Highest number a field can have.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// What a field holds, by how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// A variable-length number: integers and booleans.
    Number(u64),
    /// Bytes with a length: text, messages, packed lists.
    Bytes(&'a [u8]),
    /// Four or eight bytes: floats and fixed integers, which no field of the schema is.
    Fixed,
}

impl<'a> Payload<'a> {
    /// The number of a field that is `what`.
    pub(crate) fn number(self, what: &'static str) -> Result<u64, Problem> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Problem::NotA(what)),
        }
    }

    /// The bytes of a field that is `what`.
    pub(crate) fn bytes(self, what: &'static str) -> Result<&'a [u8], Problem> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Problem::NotA(what)),
        }
    }

    /// The text of a field that is a string.
    pub(crate) fn text(self) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.bytes("a string")?).map_err(|_| Problem::NotUtf8)
    }
}

/// The fields of a message, one after the other. Ends after the first error.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u32, Payload<'a>), Problem> {
        let key = number(&mut self.rest)?;
        let field = key >> 3;
        let field = u32::try_from(field)
            .ok()
            .filter(|_| (1..=MAX_FIELD_NUMBER).contains(&field))
            .ok_or(Problem::FieldNumber(field))?;
        let payload = match (key & 7) as u8 {
            0 => Payload::Number(number(&mut self.rest)?),
            1 => self.take(8).map(|_| Payload::Fixed)?,
            2 => {
                let length = number(&mut self.rest)?;
                Payload::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Payload::Fixed)?,
            other => return Err(Problem::WireType(other)),
        };
        Ok((field, payload))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Problem> {
        let length = usize::try_from(length).map_err(|_| Problem::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Problem::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Payload<'a>), Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes a variable-length number off the front of `bytes`.
pub(crate) fn number(bytes: &mut &[u8]) -> Result<u64, Problem> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Problem::Truncated)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(Problem::LongNumber);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Problem::LongNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_wire_type() {
        let message = [
            0x08, 0x96, 0x01, // 1: 150
            0x12, 0x02, b'h', b'i', // 2: "hi"
            0x1d, 1, 2, 3, 4, // 3: four bytes
            0x21, 1, 2, 3, 4, 5, 6, 7, 8, // 4: eight bytes
        ];
        let fields: Result<Vec<_>, _> = Fields::of(&message).collect();
        let expected = vec![
            (1, Payload::Number(150)),
            (2, Payload::Bytes(b"hi")),
            (3, Payload::Fixed),
            (4, Payload::Fixed),
        ];
        assert_eq!(fields, Ok(expected));
    }

    #[test]
    fn broken_messages_say_how() {
        let cases: [(&[u8], Problem); 8] = [
            (&[0x08], Problem::Truncated),
            (&[0x08, 0x80], Problem::Truncated),
            (&[0x12, 0x05, b'h'], Problem::Truncated),
            (&[0x1d, 1, 2], Problem::Truncated),
            (&[0x00, 0x00], Problem::FieldNumber(0)),
            (&[0x0b], Problem::WireType(3)),
            (&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], Problem::LongNumber),
            (&[0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], Problem::Truncated),
        ];
        for (message, problem) in cases {
            let fields: Result<Vec<_>, _> = Fields::of(message).collect();
            assert_eq!(fields, Err(problem), "{message:?}");
        }
    }
}
