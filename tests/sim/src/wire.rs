//! The network between the simulated hosts.
//!
//! A message leaves in one step of its sender and arrives in a later step of its receiver; in
//! between it belongs to the simulation, which delays, loses, doubles and reorders it. All luck
//! comes from the seed. Requests and their answers are harmed each on its own; a stream behaves as
//! QUIC's do: what is lost comes later, in order, and a path that stays broken resets it.

mod faults;
mod line;
mod stream;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use rand::rngs::StdRng;
use skein_net::{NodeId, Protocol, RpcError};

pub(crate) use faults::Weather;
pub(crate) use line::{Endpoint, Line, address_of};

use self::{
    faults::{Faults, Passage},
    stream::{Link, Pipe},
};
use crate::{
    limits::{RETRANSMIT_MS, STREAM_PATIENCE_MS, STREAM_SWEEP_MS},
    power::Power,
    trace::{Trace, digest},
};

/// The network. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<State>>);

struct State {
    now_ms: u64,
    faults: Faults,
    /// What is under way, by arrival and then by the order of sending.
    under_way: BTreeMap<(u64, u64), Packet>,
    /// Numbers packets, calls and runs.
    next: u64,
    links: Vec<Link>,
    /// The run of each host that is up.
    runs: BTreeMap<NodeId, u64>,
    trace: Trace,
}

/// Something on its way.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    message: Message,
}

#[derive(Clone)]
enum Message {
    /// Asks for an answer under this call.
    Request { call: u64, protocol: Protocol, body: Bytes },
    /// Finds out whether a process is there at all.
    Knock,
    /// None is, says the host that was knocked at.
    Refused,
    /// Asks who is there.
    Hello { call: u64 },
    /// Answers a call.
    Answer { call: u64, answer: Result<Bytes, RpcError> },
    /// Opens a stream of these two pipes, there and back.
    Open { call: u64, protocol: Protocol, header: Bytes, run: u64, pipes: [Arc<Pipe>; 2] },
    /// A part of a stream; an empty one is its end.
    Part { pipe: Arc<Pipe>, number: u64, bytes: Bytes, sent_ms: u64 },
}

impl Message {
    fn describe(&self) -> String {
        let mark = |bytes: &[u8]| format!("{} B {:08x}", bytes.len(), digest(0, bytes) as u32);
        match self {
            Self::Request { call, protocol, body } => {
                format!("{protocol:?} request {call}: {}", mark(body))
            }
            Self::Knock => "knock".to_owned(),
            Self::Refused => "refused".to_owned(),
            Self::Hello { call } => format!("hello {call}"),
            Self::Answer { call, answer: Ok(body) } => format!("answer {call}: {}", mark(body)),
            Self::Answer { call, answer: Err(error) } => format!("answer {call}: {error}"),
            Self::Open { call, protocol, .. } => format!("{protocol:?} stream {call}"),
            Self::Part { pipe, number, bytes, .. } => {
                format!("part {number} of {}: {}", pipe.name, mark(bytes))
            }
        }
    }
}

impl Wire {
    /// A network without faults whose luck is `luck`.
    pub(crate) fn new(luck: StdRng, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State {
            now_ms: 0,
            faults: Faults::new(luck),
            under_way: BTreeMap::new(),
            next: 1,
            links: Vec::new(),
            runs: BTreeMap::new(),
            trace,
        })))
    }

    /// Connects the process that `id` starts now. Its former one must have been cut off.
    pub(crate) fn connect(&self, id: NodeId, power: Power) -> Arc<Line> {
        let mut state = self.lock();
        let run = state.number();
        state.runs.insert(id, run);
        drop(state);
        Arc::new(Line::new(self.clone(), id, run, power))
    }

    /// The process of `id` is gone: nothing it sends from now on leaves.
    pub(crate) fn disconnect(&self, id: NodeId) {
        self.lock().runs.remove(&id);
    }

    /// Lets the messages of this and every later moment pass by these rules.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().faults.weather = weather;
    }

    /// Nothing passes from `from` to `to` any more.
    pub(crate) fn cut(&self, from: NodeId, to: NodeId) {
        self.lock().faults.cut.insert((from, to));
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        let mut state = self.lock();
        state.faults.cut.clear();
        state.faults.weather = Weather::default();
    }

    /// What arrives at `now_ms`, in order.
    pub(crate) fn arriving(&self, now_ms: u64) -> Vec<Packet> {
        let mut state = self.lock();
        state.now_ms = now_ms;
        if now_ms.is_multiple_of(STREAM_SWEEP_MS) {
            state.sweep();
        }
        let later = state.under_way.split_off(&(now_ms + 1, 0));
        let due = std::mem::replace(&mut state.under_way, later);
        let mut arriving = Vec::with_capacity(due.len());
        for packet in due.into_values() {
            let passes = state.faults.passes(packet.from, packet.to);
            let up = state.runs.contains_key(&packet.to);
            match &packet.message {
                Message::Part { sent_ms, .. }
                    if !passes && now_ms - sent_ms < STREAM_PATIENCE_MS =>
                {
                    let again = (now_ms + RETRANSMIT_MS, state.number());
                    state.under_way.insert(again, packet);
                }
                Message::Knock if passes && !up => {
                    let (from, to) = (packet.to, packet.from);
                    state.send(Packet { from, to, message: Message::Refused });
                }
                _ if passes && up => arriving.push(packet),
                _ => {}
            }
        }
        arriving
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message of the run `run` of its sender.
    fn send(&self, run: u64, packet: Packet) {
        let mut state = self.lock();
        if state.runs.get(&packet.from) == Some(&run) {
            state.send(packet);
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn send(&mut self, packet: Packet) {
        let Packet { from, to, message } = &packet;
        let Passage { mut delay_ms, mut lost, doubled } = self.faults.draw(*from, *to);
        if let Message::Part { .. } = message {
            // Sent again and again until it arrives or the stream is reset.
            delay_ms += if lost { RETRANSMIT_MS } else { 0 };
            lost = false;
        } else {
            lost |= !self.faults.passes(*from, *to);
        }
        let fate = if lost { ": lost" } else { "" };
        self.trace.note(format_args!("{from} -> {to} {}{fate}", message.describe()));
        if lost {
            return;
        }
        if doubled && matches!(message, Message::Request { .. }) {
            let twin = (self.now_ms + 2 * delay_ms, self.number());
            self.under_way.insert(twin, packet.clone());
        }
        let number = self.number();
        self.under_way.insert((self.now_ms + delay_ms, number), packet);
    }

    /// Resets the streams whose path has been broken for too long.
    fn sweep(&mut self) {
        let Self { links, faults, runs, now_ms, .. } = self;
        links.retain_mut(|link| {
            let [(a, a_run), (b, b_run)] = link.ends;
            let up = runs.get(&a) == Some(&a_run) && runs.get(&b) == Some(&b_run);
            let whole = up && faults.passes(a, b) && faults.passes(b, a);
            link.goes_on(whole, *now_ms, STREAM_PATIENCE_MS)
        });
    }
}
