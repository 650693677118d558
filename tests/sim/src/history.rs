//! What the clients of the store did and saw, for the invariants to judge.
//!
//! The simulation runs on one thread, so a counter orders everything that is noted: what returned
//! before something else was called has the smaller number.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use skein_consensus::Revision;

use crate::limits::CALLS;

/// One operation on a register. Values are written once, so a value names its write.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// When it began.
    pub(crate) called: u64,
    /// When it returned; never, if its outcome is unknown: it may have happened or not.
    pub(crate) returned: Option<u64>,
    pub(crate) action: Action,
}

/// What was done, and what came of it where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Set the value, whatever it was.
    Write(u32),
    /// Found this value.
    Read(Option<u32>),
    /// Set the value if there was none; `false` if there was one.
    Create { new: u32, done: bool },
    /// Replaced `old`; `false` if the value was another.
    Replace { old: u32, new: u32, done: bool },
    /// Removed the value; `false` if there was none.
    Delete { done: bool },
}

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) called: u64,
    pub(crate) returned: u64,
    pub(crate) register: u32,
    /// What was written; nothing for a deletion.
    pub(crate) value: Option<u32>,
    pub(crate) revision: Revision,
}

/// A read, and what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) called: u64,
    pub(crate) returned: u64,
    pub(crate) register: u32,
    /// The value and the revision that wrote it.
    pub(crate) found: Option<(u32, Revision)>,
    /// The revision of the store it was read at.
    pub(crate) at: Revision,
    /// Whether it had to see every write acknowledged before it.
    pub(crate) linearizable: bool,
}

/// A change as a watcher was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) revision: Revision,
    pub(crate) register: u32,
    /// The new value; nothing for a deletion.
    pub(crate) value: Option<u32>,
}

/// What one watcher was given, in order.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// A list: everything there is at this revision. Begins anew.
    Listed { at: Revision, values: BTreeMap<u32, (u32, Revision)> },
    /// A batch of changes that reaches this far.
    Batch { changes: Vec<Change>, upto: Revision },
}

/// Everything noted in a run. Clones are handles to the same history.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Notes>>);

/// The notes themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) clock: u64,
    pub(crate) values: u32,
    pub(crate) calls: BTreeMap<u32, Vec<Call>>,
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) complete: bool,
    /// By watcher.
    pub(crate) watched: BTreeMap<u64, Vec<Given>>,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The notes so far.
    pub(crate) fn notes(&self) -> Notes {
        self.lock().clone()
    }

    /// The next moment.
    pub(crate) fn now(&self) -> u64 {
        self.lock().tick()
    }

    /// A value nobody has written yet.
    pub(crate) fn value(&self) -> u32 {
        let mut notes = self.lock();
        notes.values += 1;
        notes.values
    }

    /// Whether the register's calls can still be searched when one more is noted.
    pub(crate) fn has_room(&self, register: u32, kept_free: usize) -> bool {
        self.lock().calls.get(&register).is_none_or(|calls| calls.len() + kept_free < CALLS)
    }

    /// Notes that an operation begins; it may happen although its outcome is never known.
    pub(crate) fn begin(&self, register: u32, action: Action) -> usize {
        let mut notes = self.lock();
        let call = Call { called: notes.tick(), returned: None, action };
        let calls = notes.calls.entry(register).or_default();
        calls.push(call);
        calls.len() - 1
    }

    /// Notes that it returned, and what came of it. `written` is what it changed, at which
    /// revision.
    pub(crate) fn end(
        &self,
        register: u32,
        place: usize,
        action: Action,
        written: Option<(Option<u32>, Revision)>,
    ) {
        let mut notes = self.lock();
        let returned = notes.tick();
        let Some(call) = notes.calls.get_mut(&register).and_then(|calls| calls.get_mut(place))
        else {
            return;
        };
        (call.returned, call.action) = (Some(returned), action);
        let called = call.called;
        if let Some((value, revision)) = written {
            notes.acknowledged.push(Acknowledged { called, returned, register, value, revision });
        }
    }

    /// Notes a read; one without an answer says nothing.
    pub(crate) fn read(&self, seen: Seen) {
        let mut notes = self.lock();
        if seen.linearizable {
            let action = Action::Read(seen.found.map(|(value, _)| value));
            let call = Call { called: seen.called, returned: Some(seen.returned), action };
            notes.calls.entry(seen.register).or_default().push(call);
        }
        notes.seen.push(seen);
    }

    /// A number for a new watcher.
    pub(crate) fn watcher(&self) -> u64 {
        let mut notes = self.lock();
        let number = notes.watched.len() as u64;
        notes.watched.insert(number, Vec::new());
        number
    }

    /// How far a watcher was served.
    pub(crate) fn served(&self, watcher: u64) -> Option<Revision> {
        match self.lock().watched.get(&watcher)?.last()? {
            Given::Listed { at, .. } => Some(*at),
            Given::Batch { upto, .. } => Some(*upto),
        }
    }

    /// No client begins anything new from now on.
    pub(crate) fn complete(&self) {
        self.lock().complete = true;
    }

    /// Whether clients may begin nothing new.
    pub(crate) fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// Notes what a watcher was given.
    pub(crate) fn given(&self, watcher: u64, given: Given) {
        self.lock().watched.entry(watcher).or_default().push(given);
    }
}

impl Notes {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}
