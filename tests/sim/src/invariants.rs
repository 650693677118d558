//! What must hold whatever goes wrong: a file each. Judged from what was noted during the run, by
//! pure functions.

mod acknowledged;
mod addresses;
mod deposed;
mod leaders;
mod linearizable;
mod logs;
mod once;
mod replicas;
mod revisions;
mod truth;
mod watches;

use std::fmt;

pub(crate) use addresses::judge as judge_addresses;
pub(crate) use leaders::Leaders;
pub(crate) use logs::Logs;
pub(crate) use replicas::{Live, difference};

use self::truth::Truth;
use crate::history::Notes;

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) invariant: &'static str,
    /// What was seen instead.
    pub(crate) detail: String,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// Judges everything the clients of the store noted.
pub(crate) fn judge(notes: &Notes) -> Vec<Violation> {
    let truth = Truth::of(notes);
    let mut found = truth.contradictions.clone();
    found.extend(linearizable::judge(notes));
    found.extend(acknowledged::judge(notes, &truth));
    found.extend(once::judge(&truth));
    found.extend(revisions::judge(notes));
    found.extend(watches::judge(notes, &truth));
    found
}
