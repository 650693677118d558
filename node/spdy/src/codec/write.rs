//! Frames as their bytes.

use bytes::{BufMut, BytesMut};

use super::{FIN, Frame, SpdyError, deflate::Deflater, parse};
use crate::Headers;

const VERSION: u16 = 3;

/// Writes a frame behind what is in `out`.
pub(super) fn frame(
    frame: &Frame,
    deflater: &mut Deflater,
    out: &mut BytesMut,
) -> Result<(), SpdyError> {
    let fin = |fin: bool| if fin { FIN } else { 0 };
    let mut payload = Vec::new();
    let mut flags = 0;
    let mut block = |headers: &Headers, payload: &mut Vec<u8>| {
        let mut block = Vec::new();
        headers.write(&mut block);
        deflater.deflate(&block, payload)
    };
    let kind = match frame {
        Frame::Data { id, fin: last, data } => {
            out.put_u32(id & 0x7fff_ffff);
            put_length(fin(*last), data.len(), parse::SETTINGS, out)?;
            out.put_slice(data);
            return Ok(());
        }
        Frame::SynStream { id, fin: last, headers } => {
            payload.put_u32(*id);
            payload.put_u32(0);
            payload.put_u16(0);
            block(headers, &mut payload)?;
            flags = fin(*last);
            parse::SYN_STREAM
        }
        Frame::SynReply { id, fin: last, headers } => {
            payload.put_u32(*id);
            block(headers, &mut payload)?;
            flags = fin(*last);
            parse::SYN_REPLY
        }
        Frame::Headers { id, fin: last, headers } => {
            payload.put_u32(*id);
            block(headers, &mut payload)?;
            flags = fin(*last);
            parse::HEADERS
        }
        Frame::RstStream { id, status } => {
            payload.put_u32(*id);
            payload.put_u32(*status);
            parse::RST_STREAM
        }
        // None in particular.
        Frame::Settings => {
            payload.put_u32(0);
            parse::SETTINGS
        }
        Frame::Ping { id } => {
            payload.put_u32(*id);
            parse::PING
        }
        Frame::GoAway { last_good, status } => {
            payload.put_u32(*last_good);
            payload.put_u32(*status);
            parse::GOAWAY
        }
        Frame::WindowUpdate { id, delta } => {
            payload.put_u32(*id);
            payload.put_u32(*delta);
            parse::WINDOW_UPDATE
        }
    };
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    put_length(flags, payload.len(), kind, out)?;
    out.put_slice(&payload);
    Ok(())
}

/// The flags and 24 bits of length.
fn put_length(flags: u8, length: usize, kind: u16, out: &mut BytesMut) -> Result<(), SpdyError> {
    let short = u32::try_from(length).ok().filter(|length| *length < 1 << 24);
    let short = short.ok_or(SpdyError::BrokenFrame { kind, length })?;
    out.put_u32(short | u32::from(flags) << 24);
    Ok(())
}
