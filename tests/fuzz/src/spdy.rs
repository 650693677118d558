//! SPDY frames.

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Compression, FlushCompress};
use skein_spdy::{Codec, Frame};
use tokio_util::codec::{Decoder, Encoder};

/// Bytes of a connection give the same frames however they arrive, and frames that are written are
/// read again.
pub(crate) fn spdy(bytes: &[u8]) {
    let (frames, is_broken) = read(bytes, bytes.len().max(1));
    for size in [1, 7] {
        let (in_pieces, breaks) = read(bytes, size);
        assert_eq!(breaks, is_broken, "in pieces of {size}");
        assert_eq!(in_pieces, frames, "in pieces of {size}");
    }
    // Headers of one name are written as one: what was written once stays as it is.
    let (once, _) = read(&write(&frames), usize::MAX);
    assert_eq!(once.len(), frames.len());
    let (twice, _) = read(&write(&once), usize::MAX);
    assert_eq!(twice, once, "what was written is read as something else");
}

/// The header block of a stream that is opened, before it is compressed, and of its answer: a byte
/// tells how long the first is.
pub(crate) fn spdy_headers(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (opening, answer) = rest.split_at(usize::from(*first).min(rest.len()));
    let mut compress = Compress::new(Compression::fast(), true);
    let mut connection = BytesMut::new();
    for (kind, head, block) in [(1, 10, opening), (2, 4, answer)] {
        let mut payload = vec![0; head];
        payload.reserve(block.len() * 2 + 1024);
        compress.compress_vec(block, &mut payload, FlushCompress::Sync).expect("it is compressed");
        connection.put_u32(0x8003_0000 | kind);
        connection.put_u32(u32::try_from(payload.len()).expect("a short block"));
        connection.put_slice(&payload);
    }
    spdy(&connection);
}

/// The frames in bytes that arrive in pieces, and whether the connection breaks with them. Pieces of
/// one data frame are one.
fn read(bytes: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let mut codec = Codec::new().expect("zlib takes the dictionary");
    let mut waiting = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        waiting.extend_from_slice(piece);
        loop {
            match codec.decode(&mut waiting) {
                Ok(Some(frame)) => add(&mut frames, frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, false)
}

fn add(frames: &mut Vec<Frame>, frame: Frame) {
    if let (Some(Frame::Data { id, fin, data }), Frame::Data { id: next, fin: last, data: more }) =
        (frames.last_mut(), &frame)
        && (*id, *fin) == (*next, false)
    {
        *data = [data.as_ref(), more].concat().into();
        *fin = *last;
        return;
    }
    frames.push(frame);
}

fn write(frames: &[Frame]) -> BytesMut {
    let mut codec = Codec::new().expect("zlib takes the dictionary");
    let mut bytes = BytesMut::new();
    for frame in frames {
        codec.encode(frame.clone(), &mut bytes).expect("what was read can be written");
    }
    bytes
}
