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

    /// Gives a pod this instead of what it holds, if there is room; true if that leaves more to
    /// others. What does not grow always has room.
    pub(super) fn claim(&mut self, uid: &str, wanted: Amounts) -> Result<bool, Refusal> {
        let held = self.held.get(uid).copied().unwrap_or_default();
        if let Some(refusal) = self.refusal(uid, held, wanted) {
            return Err(refusal);
        }
        self.hold(uid, wanted);
        Ok(wanted.cpu_millis < held.cpu_millis || wanted.memory_bytes < held.memory_bytes)
    }

    fn refusal(&self, uid: &str, held: Amounts, wanted: Amounts) -> Option<Refusal> {
        let others = self.held.iter().filter(|(other, _)| *other != uid);
        let used = others.fold(Amounts::default(), |sum, (_, held)| sum.plus(*held));
        let capacity = self.allocatable;
        let cpu = |amounts: Amounts| amounts.cpu_millis;
        let memory = |amounts: Amounts| amounts.memory_bytes;
        let of = |name, amount: fn(Amounts) -> u64| {
            let (wanted, used) = (amount(wanted), amount(used));
            if wanted <= amount(held) {
                return None;
            }
            shortage(name, wanted, used, capacity.map(amount))
        };
        let short: Vec<Refusal> =
            [of("memory", memory), of("cpu", cpu)].into_iter().flatten().collect();
        let never = short.iter().find(|refusal| refusal.shortage == Shortage::Infeasible);
        never.or(short.first()).cloned()
    }
}

/// What keeps a pod from so much of one resource, in the kubelet's words.
fn shortage(name: &str, wanted: u64, used: u64, capacity: Option<u64>) -> Option<Refusal> {
    let Some(capacity) = capacity else {
        let message = "the capacity of the node is not known yet".to_owned();
        return Some(Refusal { shortage: Shortage::Deferred, message });
    };
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
