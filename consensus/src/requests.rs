//! The bounded memory of applied request ids.
//!
//! Part of the replicated state: every node forgets the same request at the same log entry, so a
//! retry has the same outcome everywhere. Only writes that took effect are remembered; a refused
//! one changed nothing and may be judged anew.

use imbl::{HashMap, Vector};

use crate::{RequestId, Revision};

/// What each of the last requests answered, oldest first. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    answers: HashMap<RequestId, std::sync::Arc<[Revision]>>,
    order: Vector<RequestId>,
    capacity: usize,
}

impl RequestMemory {
    /// An empty memory of `capacity` requests.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { answers: HashMap::new(), order: Vector::new(), capacity }
    }

    /// What the request answered when it was applied, if it is remembered.
    pub(crate) fn answer(&self, id: RequestId) -> Option<&[Revision]> {
        self.answers.get(&id).map(AsRef::as_ref)
    }

    /// Remembers a new request and forgets the oldest beyond the capacity.
    pub(crate) fn remember(&mut self, id: RequestId, revisions: &[Revision]) {
        if self.answers.insert(id, revisions.into()).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_request_is_forgotten_first() {
        let mut memory = RequestMemory::new(2);
        for id in 1..=3 {
            memory.remember(RequestId(id), &[Revision(id as u64)]);
        }
        assert_eq!(memory.answer(RequestId(1)), None);
        assert_eq!(memory.answer(RequestId(2)), Some(&[Revision(2)][..]));
        assert_eq!(memory.answer(RequestId(3)), Some(&[Revision(3)][..]));
    }
}
