//! Which events were written lately, so that repetitions count up instead of piling up.

use std::collections::HashMap;

use super::{EventType, Occurrence};
use crate::limits::RECORDER_MEMORY;

/// What makes two occurrences the same event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sameness {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    field_path: Option<String>,
    event_type: EventType,
    reason: String,
    message: String,
}

impl From<&Occurrence> for Sameness {
    fn from(occurrence: &Occurrence) -> Self {
        let about = &occurrence.about;
        Self {
            kind: about.kind.clone(),
            namespace: about.namespace.clone(),
            name: about.name.clone(),
            uid: about.uid.clone(),
            field_path: about.field_path.clone(),
            event_type: occurrence.event_type,
            reason: occurrence.reason.clone(),
            message: occurrence.message.clone(),
        }
    }
}

/// The `Event` object that tells of an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Recent events; starts afresh when full, which only costs some repetition.
#[derive(Default)]
pub(super) struct Memory {
    seen: HashMap<Sameness, Seen>,
}

impl Memory {
    pub(super) fn recall(&self, occurrence: &Occurrence) -> Option<Seen> {
        self.seen.get(&Sameness::from(occurrence)).cloned()
    }

    pub(super) fn remember(&mut self, occurrence: &Occurrence, seen: Seen) {
        if self.seen.len() >= RECORDER_MEMORY {
            self.seen.clear();
        }
        self.seen.insert(Sameness::from(occurrence), seen);
    }
}
