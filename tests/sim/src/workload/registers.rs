//! A client that writes and reads registers through one store, and notes each call.

use rand::{Rng, rngs::StdRng};
use skein_consensus::{
    Consistency, Key, Operation, Precondition, Revision, SharedStore, StoreError, Transaction,
};
use tokio::time::{Duration, sleep};

use crate::history::{Action, History, Seen};

/// Registers in use. Few, so that clients meet on them.
pub(crate) const REGISTERS: u32 = 24;

/// The resource of the registers.
pub(crate) const RESOURCE: &str = "registers";

/// Calls on a register kept free for the reads at the end.
const KEPT_FREE: usize = 16;

/// How often a write whose outcome is unknown is sent again under its id.
const RETRIES: u32 = 3;

/// Where a register is.
pub(crate) fn key(register: u32) -> Key {
    Key::new(RESOURCE, "default", register.to_string())
}

/// The register at a key, and the value in its bytes.
pub(crate) fn register_of(key: &Key) -> Option<u32> {
    key.name.parse().ok()
}

/// The value in a register's bytes.
pub(crate) fn value_of(bytes: &[u8]) -> Option<u32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Uses registers until dropped or until the history is complete.
pub(crate) async fn use_registers(store: SharedStore, history: History, mut luck: StdRng) {
    // What this client last saw of each register, to replace it.
    let mut last = std::collections::BTreeMap::<u32, (u32, Revision)>::new();
    let longest_pause = [8, 30, 120][luck.random_range(0..3)];
    while !history.is_complete() {
        sleep(Duration::from_millis(luck.random_range(1..longest_pause))).await;
        let register = luck.random_range(0..REGISTERS);
        if !history.has_room(register, KEPT_FREE) {
            continue;
        }
        let new = history.value();
        let write = |action, when| Write { register, action, new: Some(new), when };
        let write = match luck.random_range(0..10) {
            0..=2 => write(Action::Write(new), Precondition::Any),
            3 => write(Action::Create { new, done: true }, Precondition::Absent),
            4 => Write {
                register,
                action: Action::Delete { done: true },
                new: None,
                when: Precondition::Exists,
            },
            5 | 6 if last.contains_key(&register) => {
                let (old, revision) = last[&register];
                write(Action::Replace { old, new, done: true }, Precondition::Unchanged(revision))
            }
            other => {
                let consistency =
                    if other == 7 { Consistency::Any } else { Consistency::Linearizable };
                if let Ok(Some(found)) = read(&store, register, consistency, &history).await {
                    last.insert(register, found);
                }
                continue;
            }
        };
        write.perform(&store, &history, &mut luck).await;
    }
}

/// Reads one register and notes what was found.
pub(crate) async fn read(
    store: &SharedStore,
    register: u32,
    consistency: Consistency,
    history: &History,
) -> Result<Option<(u32, Revision)>, StoreError> {
    let called = history.now();
    let (found, at) = store.get(&key(register), consistency).await?;
    let found = found.and_then(|record| Some((value_of(&record.value)?, record.modified)));
    let linearizable = consistency == Consistency::Linearizable;
    let returned = history.now();
    history.read(Seen { called, returned, register, found, at, linearizable });
    Ok(found)
}

struct Write {
    register: u32,
    /// As if it succeeds.
    action: Action,
    new: Option<u32>,
    when: Precondition,
}

impl Write {
    fn operation(&self) -> Operation {
        let (key, when) = (key(self.register), self.when);
        match self.new {
            Some(value) => Operation::Put { key, value: value.to_string().into(), when },
            None => Operation::Delete { key, when },
        }
    }

    /// Sends it, again and again under the same id while its outcome is unknown, and sometimes
    /// once more after it is known: it must not apply a second time.
    async fn perform(self, store: &SharedStore, history: &History, luck: &mut StdRng) {
        let transaction = Transaction::new(vec![self.operation()]);
        let place = history.begin(self.register, self.action);
        for _ in 0..=luck.random_range(0..=RETRIES) {
            match store.write(transaction.clone()).await {
                Ok(revisions) => {
                    let written = revisions.first().map(|revision| (self.new, *revision));
                    history.end(self.register, place, self.action, written);
                    if luck.random_range(0..10) == 0 {
                        // The answer is the first one's; whoever hears another has a defect that
                        // the watchers see as a second change.
                        drop(store.write(transaction).await);
                    }
                    return;
                }
                Err(StoreError::PreconditionFailed { .. }) => {
                    history.end(self.register, place, refused(self.action), None);
                    return;
                }
                Err(_) => sleep(Duration::from_millis(luck.random_range(1..100))).await,
            }
        }
    }
}

/// The same action with the other outcome.
fn refused(action: Action) -> Action {
    match action {
        Action::Create { new, .. } => Action::Create { new, done: false },
        Action::Replace { old, new, .. } => Action::Replace { old, new, done: false },
        Action::Delete { .. } => Action::Delete { done: false },
        other @ (Action::Write(_) | Action::Read(_)) => other,
    }
}
