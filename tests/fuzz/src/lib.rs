//! What must hold of every parser that faces the network, whatever bytes it is given.
//!
//! A target is a function of bytes that panics where something does not hold: above all nothing
//! may panic, and where more is promised (what was written is read back the same, a patch applied
//! twice is applied once) it is checked. `fuzz/` wraps each for `cargo fuzz`, which looks for bytes
//! that break one; `seeds/TARGET/` keeps those that reach the most, and any that ever did, and a test
//! of this crate replays them. What is random about a run is in its bytes alone.
//!
//! `docs/fuzzing.md` tells how to run, and how to add a target or a seed.

#![allow(clippy::expect_used, reason = "a broken promise is what a target is there to tell of")]

mod applies;
mod bodies;
mod certificates;
mod definitions;
mod input;
mod objects;
mod patches;
mod peers;
mod replicas;
mod requests;
mod selectors;
mod spdy;

/// A name, and what must hold whatever the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. The names are those of `fuzz/fuzz_targets` and of the folders of `seeds`.
pub const TARGETS: [Target; 24] = [
    ("apply", applies::apply),
    ("certificate", certificates::certificate),
    ("certificate_request", certificates::certificate_request),
    ("definition", definitions::definition),
    ("field_selector", selectors::field_selector),
    ("gossip", peers::gossip),
    ("join", peers::join),
    ("json", bodies::json),
    ("json_patch", patches::json_patch),
    ("json_path", definitions::json_path),
    ("label_selector", selectors::label_selector),
    ("merge_patch", patches::merge_patch),
    ("peer", peers::peer),
    ("protobuf", bodies::protobuf),
    ("quantity", selectors::quantity),
    ("replica", replicas::replica),
    ("request", requests::request),
    ("snapshot", peers::snapshot),
    ("spdy", spdy::spdy),
    ("spdy_headers", spdy::spdy_headers),
    ("strategic_patch", patches::strategic_patch),
    ("token", certificates::token),
    ("transactions", replicas::transactions),
    ("yaml", bodies::yaml),
];

/// Runs the target of a name, for `fuzz/`.
///
/// # Panics
/// Where what must hold does not, or there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, holds) = target.expect("a target of this name");
    holds(bytes);
}
