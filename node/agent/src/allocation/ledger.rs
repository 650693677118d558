//! Which pod holds how much of the host, and whether there is room for more. Pure.

use std::collections::BTreeMap;

use super::Amounts;

/// Why a pod is not given what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Other pods hold too much of it now.
    Deferred,
    /// The host never has so much.
    Infeasible,
}

impl Shortage {
    /// As the pod's condition has it.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Deferred => "Deferred",
            Self::Infeasible => "Infeasible",
        }
    }
}

/// A shortage, in the words that autoscalers read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) shortage: Shortage,
    /// Of what, and the figures.
    pub(crate) message: String,
}

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is given.
    Given {
        /// Whether that leaves more to others.
        frees: bool,
    },
    /// It is not.
    Refused(Refusal),
    /// What the host has is not known yet.
    Unknown,
}

/// Who holds how much.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What there is; unknown until the runtime has answered.
    allocatable: Option<Amounts>,
    /// By the pods' uids.
    held: BTreeMap<String, Amounts>,
}

impl Ledger {
    /// Notes what there is; true if that is news.
    pub(super) fn set_allocatable(&mut self, amounts: Amounts) -> bool {
        self.allocatable.replace(amounts) != Some(amounts)
    }

    /// Notes what a pod holds, whatever room there is: it runs.
    pub(super) fn hold(&mut self, uid: &str, amounts: Amounts) {
        self.held.insert(uid.to_owned(), amounts);
    }

    /// Takes back what a pod holds; true if it held something.
    pub(super) fn release(&mut self, uid: &str) -> bool {
        self.held.remove(uid).is_some_and(|held| held != Amounts::default())
    }

    /// Gives a pod this instead of what it holds, if there is room. What does not grow always has.
    pub(super) fn claim(&mut self, uid: &str, wanted: Amounts) -> Answer {
        let held = self.held.get(uid).copied().unwrap_or_default();
        let grows = wanted.cpu_millis > held.cpu_millis || wanted.memory_bytes > held.memory_bytes;
        match self.allocatable {
            None if grows => return Answer::Unknown,
            Some(capacity) if grows => {
                if let Some(refusal) = self.refusal(uid, wanted, capacity) {
                    return Answer::Refused(refusal);
                }
            }
            _ => {}
        }
        self.hold(uid, wanted);
        let frees = wanted.cpu_millis < held.cpu_millis || wanted.memory_bytes < held.memory_bytes;
        Answer::Given { frees }
    }

    /// What keeps a pod from holding so much; what can never be comes before what cannot be now.
    fn refusal(&self, uid: &str, wanted: Amounts, capacity: Amounts) -> Option<Refusal> {
        let held = self.held.get(uid).copied().unwrap_or_default();
        let others = self.held.iter().filter(|(other, _)| *other != uid);
        let used = others.fold(Amounts::default(), |sum, (_, held)| sum.plus(*held));
        let of = |name, amount: fn(Amounts) -> u64| {
            let grows = amount(wanted) > amount(held);
            grows.then(|| shortage(name, amount(wanted), amount(used), amount(capacity))).flatten()
        };
        let short = [of("memory", |all| all.memory_bytes), of("cpu", |all| all.cpu_millis)];
        let mut short: Vec<Refusal> = short.into_iter().flatten().collect();
        short.sort_by_key(|refusal| refusal.shortage == Shortage::Deferred);
        short.into_iter().next()
    }
}

/// What keeps a pod from so much of one resource, in the kubelet's words.
fn shortage(name: &str, wanted: u64, used: u64, capacity: u64) -> Option<Refusal> {
    if wanted > capacity {
        let message = format!(
            "Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {capacity}"
        );
        return Some(Refusal { shortage: Shortage::Infeasible, message });
    }
    (used.saturating_add(wanted) > capacity).then(|| Refusal {
        shortage: Shortage::Deferred,
        message: format!(
            "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
        ),
    })
}
