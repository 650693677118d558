//! The replicated state and its deterministic transition.
//!
//! Pure: the same transactions in the same order give the same state, answers and changes on
//! every node. There is no clock, no randomness and no failure other than a refused transaction.

use crate::{
    Event, Operation, Revision, StoreError, Transaction,
    requests::{RequestMemory, Stamp},
    view::View,
};

/// Everything a log entry can change. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The objects.
    pub view: View,
    /// The requests applied lately.
    pub requests: RequestMemory,
}

/// The answer to one transaction: the revision of each operation.
pub type Answer = Result<Vec<Revision>, StoreError>;

impl State {
    /// Applies `transaction`, proposed at `stamp`, whole or not at all and appends what it changed
    /// to `changes`.
    pub fn apply(
        &mut self,
        transaction: &Transaction,
        stamp: Stamp,
        changes: &mut Vec<Event>,
    ) -> Answer {
        if let Some(answer) = self.requests.answer(transaction.id) {
            return answer;
        }
        transaction.validate()?;
        let answer = self.check(transaction).map(|()| {
            transaction.operations.iter().map(|step| self.perform(step, changes)).collect()
        });
        self.requests.remember(transaction.id, stamp, answer.clone());
        answer
    }

    fn check(&self, transaction: &Transaction) -> Result<(), StoreError> {
        for (index, operation) in transaction.operations.iter().enumerate() {
            let key = operation.key();
            let current = self.view.get(key).map(|record| record.modified);
            if !operation.when().holds(current) {
                return Err(StoreError::PreconditionFailed { index, key: key.clone(), current });
            }
        }
        Ok(())
    }

    fn perform(&mut self, operation: &Operation, changes: &mut Vec<Event>) -> Revision {
        let next = Revision(self.view.revision().0 + 1);
        match operation {
            Operation::Put { key, value, .. } => {
                let (record, previous) = self.view.put(key, value.clone(), next);
                changes.push(Event::Put { record, previous });
                next
            }
            Operation::Delete { key, .. } => match self.view.remove(key, next) {
                Some(previous) => {
                    changes.push(Event::Delete { previous, revision: next });
                    next
                }
                None => self.view.revision(),
            },
            Operation::Check { key, .. } => {
                self.view.get(key).map_or(self.view.revision(), |record| record.modified)
            }
        }
    }
}

#[cfg(test)]
mod tests;
