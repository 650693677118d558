//! Frames and their bytes.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};

use crate::{Codec, Frame, Headers, SpdyError, dictionary::DICTIONARY, limits};

fn codec() -> Codec {
    Codec::new().unwrap()
}

fn decode(bytes: &[u8]) -> Result<Vec<Frame>, SpdyError> {
    let (mut codec, mut bytes) = (codec(), BytesMut::from(bytes));
    let mut frames = Vec::new();
    while let Some(frame) = codec.decode(&mut bytes)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().copied().collect()
}

/// A control frame of version 3.
fn control(kind: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u16(0x8003);
    bytes.put_u16(kind);
    bytes.put_u32(u32::try_from(payload.len()).unwrap() | u32::from(flags) << 24);
    bytes.put_slice(payload);
    bytes
}

#[test]
fn the_dictionary_is_the_drafts() {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in DICTIONARY.iter() {
        low = (low + u32::from(*byte)) % 65521;
        high = (high + low) % 65521;
    }
    assert_eq!((DICTIONARY.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
}

/// Two frames as another implementation of zlib compresses their headers; the second block refers
/// to the first.
#[test]
fn header_blocks_of_others_are_read_in_order() {
    let recorded = include_bytes!("syn_streams.bin");
    let pod = |kind| headers(&[("streamtype", kind), ("port", "8080"), ("requestid", "0")]);
    let expected = [
        Frame::SynStream { id: 1, fin: false, headers: pod("error") },
        Frame::SynStream { id: 3, fin: true, headers: pod("data") },
    ];
    assert_eq!(decode(recorded).unwrap(), expected);
}

#[test]
fn frames_of_bad_bytes_are_refused() {
    let id = [0, 0, 0, 1];
    let cases: [(&str, Vec<u8>); 10] = [
        ("another version", vec![0x80, 2, 0, 1, 0, 0, 0, 0]),
        ("a long control frame", vec![0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff]),
        ("a short SYN_STREAM", control(1, 0, &id)),
        ("a SYN_STREAM without headers", control(1, 0, &[0; 10])),
        ("a reply that is not compressed", control(2, 0, &[&id[..], b"plain text"].concat())),
        ("a reset without a status", control(3, 0, &id)),
        ("a long ping", control(6, 0, &[0; 5])),
        ("an empty goaway", control(7, 0, &[])),
        ("a short window update", control(9, 0, &id)),
        ("headers of no stream", control(8, 0, &[0, 0])),
    ];
    for (what, bytes) in cases {
        assert!(decode(&bytes).is_err(), "{what}");
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let bytes = [control(99, 0, b"?"), control(4, 0, &[0; 4]), control(6, 0, &[0, 0, 0, 7])];
    assert_eq!(decode(&bytes.concat()).unwrap(), [Frame::Settings, Frame::Ping { id: 7 }]);
}

#[test]
fn a_large_data_frame_comes_in_parts_as_its_bytes_do() {
    let length = limits::CHUNK_BYTES + 10;
    let (mut codec, mut bytes) = (codec(), BytesMut::new());
    bytes.put_u32(5);
    bytes.put_u32(u32::try_from(length).unwrap() | 1 << 24);
    assert_eq!(codec.decode(&mut bytes).unwrap(), None);
    bytes.put_slice(&[7; 3]);
    let data = |count, fin| Frame::Data { id: 5, fin, data: Bytes::from(vec![7; count]) };
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(data(3, false)));
    bytes.put_slice(&vec![7; length - 3]);
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(data(limits::CHUNK_BYTES, false)));
    assert_eq!(codec.decode(&mut bytes).unwrap(), Some(data(7, true)));
    assert_eq!(codec.decode(&mut bytes).unwrap(), None);
}

#[test]
fn headers_that_inflate_beyond_measure_are_refused() {
    let long = "x".repeat(limits::HEADER_BYTES);
    let frame = Frame::SynReply { id: 1, fin: false, headers: headers(&[("a", &long)]) };
    let mut bytes = BytesMut::new();
    codec().encode(frame, &mut bytes).unwrap();
    assert!(bytes.len() < 1024);
    assert!(matches!(decode(&bytes), Err(SpdyError::HeadersTooLong)));
    let many = Frame::SynReply {
        id: 1,
        fin: false,
        headers: (0..=limits::HEADERS).map(|number| (number.to_string(), "")).collect(),
    };
    let mut bytes = BytesMut::new();
    codec().encode(many, &mut bytes).unwrap();
    assert!(matches!(decode(&bytes), Err(SpdyError::TooManyHeaders(_))));
}

#[test]
fn many_values_of_a_long_name_are_refused() {
    let (name, values) = ("n".repeat(limits::HEADER_BYTES / 2), "\0".repeat(200));
    let frame = Frame::SynReply { id: 1, fin: false, headers: headers(&[(&name, &values)]) };
    let mut bytes = BytesMut::new();
    codec().encode(frame, &mut bytes).unwrap();
    assert!(matches!(decode(&bytes), Err(SpdyError::HeadersTooLong)));
}

#[test]
fn any_number_of_unknown_frames_is_passed_over() {
    let bytes = control(99, 0, &[]).repeat(20_000);
    assert_eq!(decode(&bytes).unwrap(), []);
}

#[test]
fn names_are_found_whatever_their_case_and_may_have_several_values() {
    let sent = headers(&[("streamType", "data"), ("Accept", "a"), ("accept", "b")]);
    assert_eq!(sent.get("StreamType"), Some("data"));
    let mut bytes = BytesMut::new();
    codec().encode(Frame::SynReply { id: 1, fin: false, headers: sent }, &mut bytes).unwrap();
    let read = headers(&[("streamtype", "data"), ("accept", "a"), ("accept", "b")]);
    let expected = Frame::SynReply { id: 1, fin: false, headers: read };
    assert_eq!(decode(&bytes).unwrap(), [expected]);
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let id = 0..0x8000_0000_u32;
    let headers = proptest::collection::btree_map("[a-z:-]{1,12}", "[ -~]{0,40}", 0..8)
        .prop_map(|pairs| pairs.into_iter().collect::<Headers>());
    let data = proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    prop_oneof![
        (id.clone(), any::<bool>(), headers.clone())
            .prop_map(|(id, fin, headers)| Frame::SynStream { id, fin, headers }),
        (id.clone(), any::<bool>(), headers.clone())
            .prop_map(|(id, fin, headers)| Frame::SynReply { id, fin, headers }),
        (id.clone(), any::<bool>(), headers).prop_map(|(id, fin, headers)| Frame::Headers {
            id,
            fin,
            headers
        }),
        (id.clone(), any::<u32>()).prop_map(|(id, status)| Frame::RstStream { id, status }),
        any::<u32>().prop_map(|id| Frame::Ping { id }),
        (id.clone(), any::<u32>())
            .prop_map(|(last_good, status)| Frame::GoAway { last_good, status }),
        (id.clone(), id.clone()).prop_map(|(id, delta)| Frame::WindowUpdate { id, delta }),
        (id, any::<bool>(), data).prop_map(|(id, fin, data)| Frame::Data { id, fin, data }),
    ]
}

/// The frames with the data of each run of data frames of one stream in one piece.
fn whole(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    for frame in frames {
        match (all.last_mut(), frame) {
            (
                Some(Frame::Data { id, fin: fin @ false, data }),
                Frame::Data { id: same, fin: last, data: more },
            ) if *id == same => {
                *data = [&data[..], &more[..]].concat().into();
                *fin = last;
            }
            (_, frame) => all.push(frame),
        }
    }
    all
}

proptest! {
    #[test]
    fn frames_read_back_however_their_bytes_arrive(
        frames in proptest::collection::vec(any_frame(), 1..12),
        step in 1..40_usize,
    ) {
        let (mut writer, mut bytes) = (codec(), BytesMut::new());
        for frame in &frames {
            writer.encode(frame.clone(), &mut bytes).unwrap();
        }
        let (mut reader, mut arrived, mut read) = (codec(), BytesMut::new(), Vec::new());
        for part in bytes.chunks(step) {
            arrived.put_slice(part);
            while let Some(frame) = reader.decode(&mut arrived).unwrap() {
                read.push(frame);
            }
        }
        prop_assert!(arrived.is_empty());
        prop_assert_eq!(whole(read), whole(frames));
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _whatever = decode(&bytes);
        // Behind a head that is believed.
        for kind in 1..10 {
            let _whatever = decode(&control(kind, 0, &bytes));
        }
    }
}
