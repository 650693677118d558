//! Panics of simulated processes: each is a violation, whoever caught it.

use std::{cell::RefCell, panic};

use crate::invariants::Violation;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on panics are noted rather than printed.
pub(crate) fn note_all() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        SEEN.with(|seen| {
            // A panic while another one is noted stays with the first.
            if let Ok(mut seen) = seen.try_borrow_mut() {
                seen.push(text);
            }
        });
    }));
}

/// The panics since the last call.
pub(crate) fn take() -> Vec<Violation> {
    let seen = SEEN.with(RefCell::take);
    seen.into_iter().map(|text| Violation::new("nothing panics", text)).collect()
}
