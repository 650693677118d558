//! Gives the pod what its spec asks for, as far as there is room.

use std::sync::Arc;

use futures::FutureExt;
use skein_runtime::{ContainerId, Resources};
use skein_storage::EventType;

use super::{
    Worker,
    outcome::Outcome,
    step::{Work, runtime_failed},
};
use crate::{
    allocation::{Amounts, Answer, Shortage},
    lifecycle::{Cause, Desired, Intent},
    status,
};

impl Worker {
    /// Decides whether the pod is given what its spec asks for now.
    pub(super) fn allocate(&mut self) {
        match self.desired.intent {
            Intent::Run => {}
            Intent::Finished => return self.place.clear(),
            Intent::Terminate { .. } | Intent::Gone { .. } => return,
        }
        if self.asked == self.allocation {
            self.memory.shortage = None;
            return self.tell_completion();
        }
        self.freed.borrow_and_update();
        match self.place.claim(Amounts::requested(&self.assigned)) {
            Answer::Unknown => {}
            Answer::Given { .. } => {
                self.memory.shortage = None;
                self.allocation.clone_from(&self.asked);
                self.take_pod();
                self.resizing = true;
                self.event(EventType::Normal, "ResizeStarted", "Pod resize started");
            }
            Answer::Refused(refusal) => {
                let known = self.memory.shortage.as_ref().map(|known| known.shortage);
                if known != Some(refusal.shortage) {
                    let reason = match refusal.shortage {
                        Shortage::Deferred => "ResizeDeferred",
                        Shortage::Infeasible => "ResizeInfeasible",
                    };
                    self.event(EventType::Warning, reason, refusal.message.clone());
                }
                self.memory.shortage = Some(refusal);
            }
        }
    }

    /// Takes what the pod was given in place of what its spec asks for.
    pub(super) fn take_pod(&mut self) {
        self.pod = self.allocation.applied_to(&self.assigned);
        self.desired = Desired::of(&self.pod);
        self.take_intent();
    }

    fn tell_completion(&mut self) {
        if self.resizing && !status::is_in_progress(&self.view()) {
            self.resizing = false;
            self.event(EventType::Normal, "ResizeCompleted", "Pod resize completed");
        }
    }

    /// Gives a running container what its pod was given.
    pub(super) fn update(&self, id: ContainerId, resources: Resources) -> Work {
        let host = Arc::clone(&self.host);
        async move {
            let updated = host.runtime.update_container(&id, &resources).await;
            updated.map_err(|error| runtime_failed(Cause::Resize, &error))?;
            Ok(Outcome::Updated { id, resources })
        }
        .boxed()
    }
}
