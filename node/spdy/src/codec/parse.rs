//! Control frames from their bytes.

use bytes::{Buf, Bytes};

use super::{FIN, Frame, SpdyError, deflate::Inflater};
use crate::Headers;

pub(super) const SYN_STREAM: u16 = 1;
pub(super) const SYN_REPLY: u16 = 2;
pub(super) const RST_STREAM: u16 = 3;
pub(super) const SETTINGS: u16 = 4;
pub(super) const PING: u16 = 6;
pub(super) const GOAWAY: u16 = 7;
pub(super) const HEADERS: u16 = 8;
pub(super) const WINDOW_UPDATE: u16 = 9;

/// What every frame begins with.
pub(super) enum Head {
    Control { version: u16, kind: u16, flags: u8, length: usize },
    Data { id: u32, flags: u8, length: usize },
}

impl Head {
    pub(super) fn read(bytes: [u8; 8]) -> Self {
        let [a, b, c, d, flags, e, f, g] = bytes;
        let length = usize::try_from(u32::from_be_bytes([0, e, f, g])).unwrap_or(usize::MAX);
        if a & 0x80 == 0 {
            return Self::Data { id: u32::from_be_bytes([a, b, c, d]), flags, length };
        }
        let (version, kind) = (u16::from_be_bytes([a & 0x7f, b]), u16::from_be_bytes([c, d]));
        Self::Control { version, kind, flags, length }
    }
}

/// Reads a control frame; `None` for a type that is not known.
pub(super) fn control(
    kind: u16,
    flags: u8,
    mut payload: Bytes,
    inflater: &mut Inflater,
) -> Result<Option<Frame>, SpdyError> {
    let length = payload.len();
    let broken = move || SpdyError::BrokenFrame { kind, length };
    let fin = flags & FIN != 0;
    let number = |payload: &mut Bytes| payload.try_get_u32().map_err(|_| broken());
    let mut headers = |block: Bytes| Headers::parse(inflater.inflate(&block)?);
    let frame = match kind {
        SYN_STREAM => {
            let id = stream_id(number(&mut payload)?);
            // The associated stream, the priority and the slot of a certificate.
            number(&mut payload)?;
            payload.try_get_u16().map_err(|_| broken())?;
            Frame::SynStream { id, fin, headers: headers(payload)? }
        }
        SYN_REPLY => {
            let id = stream_id(number(&mut payload)?);
            Frame::SynReply { id, fin, headers: headers(payload)? }
        }
        HEADERS => {
            let id = stream_id(number(&mut payload)?);
            Frame::Headers { id, fin, headers: headers(payload)? }
        }
        RST_STREAM if length == 8 => {
            let id = stream_id(number(&mut payload)?);
            Frame::RstStream { id, status: number(&mut payload)? }
        }
        SETTINGS => Frame::Settings,
        PING if length == 4 => Frame::Ping { id: number(&mut payload)? },
        GOAWAY if length == 8 => {
            let last_good = stream_id(number(&mut payload)?);
            Frame::GoAway { last_good, status: number(&mut payload)? }
        }
        WINDOW_UPDATE if length == 8 => {
            let id = stream_id(number(&mut payload)?);
            Frame::WindowUpdate { id, delta: stream_id(number(&mut payload)?) }
        }
        RST_STREAM | PING | GOAWAY | WINDOW_UPDATE => return Err(broken()),
        _ => return Ok(None),
    };
    Ok(Some(frame))
}

/// Without the bit that is reserved.
fn stream_id(number: u32) -> u32 {
    number & 0x7fff_ffff
}
