//! Noticing that nobody listens at a peer's port: its host answers datagrams with ICMP "port
//! unreachable" (RFC 792), which Linux keeps in the error queue of the socket that sent them.
//!
//! Anybody can send such an ICMP message, so only one that quotes bytes this node really sent
//! there counts: the destination's connection id, which is random and encrypted from nobody but
//! unknown to whoever is not on the way, or the nonce of a knock. Even then it is a hint.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use nix::{
    libc,
    sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
        sockopt::{Ipv4RecvErr, Ipv6RecvErr},
    },
};
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::io::Interest;

use crate::limits::{MAX_MARKED_ADDRESSES, REMEMBERED_MARKS};

/// What tells one peer's datagrams from guesses.
type Mark = [u8; 8];

/// A knock: what QUIC takes for a packet that is cut off, then a nonce. Too short to be answered
/// even by a stateless reset (RFC 9000, 10.3).
const KNOCK_BYTES: usize = 1 + size_of::<Mark>();

/// The first bit of a QUIC packet says which kind of header follows (RFC 9000, 17).
const LONG_HEADER: u8 = 0x80;
/// Where the destination's connection id begins in a long header.
const LONG_HEADER_ID: usize = 6;
/// Where it begins in a short one, and a knock's nonce.
const SHORT_HEADER_ID: usize = 1;

/// Room for what comes with an error: its cause and sender, and whatever else quinn has switched on
/// for the socket (address, interface, class and segment size of a datagram).
const CONTROL_BYTES: usize = 512;

/// What of a datagram must be quoted for a refusal of it to count.
fn mark(datagram: &[u8]) -> Option<Mark> {
    let start = if datagram.first()? & LONG_HEADER == 0 { SHORT_HEADER_ID } else { LONG_HEADER_ID };
    datagram.get(start..)?.first_chunk().copied()
}

/// The marks of what was sent lately, by address.
#[derive(Default)]
pub(super) struct Sent(Mutex<BTreeMap<SocketAddr, VecDeque<Mark>>>);

impl Sent {
    fn note(&self, to: SocketAddr, datagram: &[u8]) {
        let Some(mark) = mark(datagram) else { return };
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let to = canonical(to);
        if sent.len() >= MAX_MARKED_ADDRESSES && !sent.contains_key(&to) {
            sent.clear();
        }
        let marks = sent.entry(to).or_default();
        if marks.contains(&mark) {
            return;
        }
        if marks.len() >= REMEMBERED_MARKS {
            marks.pop_front();
        }
        marks.push_back(mark);
    }

    /// Whether this node sent there what a refusal quotes.
    fn is_mine(&self, to: SocketAddr, quoted: &[u8]) -> bool {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = sent.get(&canonical(to));
        mark(quoted).is_some_and(|mark| marks.is_some_and(|marks| marks.contains(&mark)))
    }
}

/// A socket for both families names IPv4 addresses by IPv6 ones.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// quinn's socket, with a note of what goes where.
pub(super) struct NotedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    sent: Arc<Sent>,
}

impl NotedSocket {
    pub(super) fn new(inner: Arc<dyn AsyncUdpSocket>, sent: Arc<Sent>) -> Self {
        Self { inner, sent }
    }
}

impl fmt::Debug for NotedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl AsyncUdpSocket for NotedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.sent.note(transmit.destination, transmit.contents);
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// A second handle to the transport's socket: knocks, and its error queue.
pub(super) struct Door {
    socket: tokio::net::UdpSocket,
    /// IPv4 addresses are written as IPv6 ones on it.
    ipv6: bool,
    sent: Arc<Sent>,
}

impl Door {
    /// Switches the error queue of `socket` on.
    pub(super) fn open(socket: &UdpSocket, sent: Arc<Sent>) -> io::Result<Self> {
        let ipv6 = socket.local_addr()?.is_ipv6();
        if ipv6 {
            setsockopt(socket, Ipv6RecvErr, &true)?;
        }
        // For a socket of both families this covers what it sends by IPv4.
        setsockopt(socket, Ipv4RecvErr, &true)?;
        let socket = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Self { socket, ipv6, sent })
    }

    pub(super) fn knock(&self, to: SocketAddr) {
        let mut datagram = [0; KNOCK_BYTES];
        datagram[1..].copy_from_slice(&rand::random::<Mark>());
        self.sent.note(to, &datagram);
        let to = match to {
            SocketAddr::V4(v4) if self.ipv6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            other => other,
        };
        if let Err(error) = self.socket.try_send_to(&datagram, to) {
            tracing::trace!(%to, %error, "could not knock");
        }
    }

    /// The next address whose host says that nobody listens at the port.
    pub(super) async fn refused(&self) -> io::Result<SocketAddr> {
        loop {
            let next = self.socket.async_io(Interest::ERROR, || read_error(&self.socket)).await?;
            if let Some((to, quoted)) = next
                && self.sent.is_mine(to, &quoted)
            {
                return Ok(canonical(to));
            }
        }
    }
}

/// Takes one error from the queue; gives where the datagram went and what is quoted of it, if
/// the error is that nobody listens there.
fn read_error(socket: &impl AsRawFd) -> io::Result<Option<(SocketAddr, Vec<u8>)>> {
    let mut quoted = [0; LONG_HEADER_ID + size_of::<Mark>()];
    let mut control = [0; CONTROL_BYTES];
    let (length, address, refused) = {
        let mut buffers = [IoSliceMut::new(&mut quoted)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut buffers,
            Some(&mut control),
            flags,
        )?;
        let refused = message.cmsgs()?.any(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                error.ee_errno == libc::ECONNREFUSED as u32
            }
            _ => false,
        });
        (message.bytes, message.address, refused)
    };
    let to = address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    });
    let quoted = quoted[..length.min(quoted.len())].to_vec();
    Ok(to.filter(|_| refused).map(|to| (to, quoted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 7600);

    #[test]
    fn the_mark_is_the_connection_id_or_the_nonce() {
        let short = [&[0x5f][..], b"8 bytes.", b"number and data"].concat();
        let long = [&[0xc3, 0, 0, 0, 1, 8][..], b"8 bytes.", b"more"].concat();
        let knock = [&[0][..], b"8 bytes."].concat();
        for datagram in [short, long, knock] {
            assert_eq!(mark(&datagram), Some(*b"8 bytes."), "{datagram:?}");
        }
        assert_eq!(mark(b""), None);
        assert_eq!(mark(b"\x008 bytes"), None);
    }

    #[test]
    fn only_a_refusal_that_quotes_what_was_sent_there_counts() {
        let sent = Sent::default();
        sent.note(HERE, b"\x00one     ");
        assert!(sent.is_mine(HERE, b"\x00one     "));
        assert!(!sent.is_mine(HERE, b"\x00guessed "));
        assert!(!sent.is_mine(HERE, b"\x00"));
        assert!(!sent.is_mine(([10, 0, 0, 2], 7600).into(), b"\x00one     "));
    }

    #[test]
    fn what_was_sent_long_ago_is_forgotten() {
        let sent = Sent::default();
        for n in 0..=REMEMBERED_MARKS as u64 {
            sent.note(HERE, &[&[0][..], &n.to_be_bytes()].concat());
        }
        assert!(!sent.is_mine(HERE, &[0; 9]));
        assert!(sent.is_mine(HERE, b"\x00\x00\x00\x00\x00\x00\x00\x00\x01"));
    }
}
