//! Every seed holds, and every target has some.

#![allow(clippy::unwrap_used, reason = "a test that finds no files has failed")]
#![allow(clippy::print_stderr, reason = "what a failed test has written names the seed")]

use std::{collections::BTreeSet, fs, path::Path};

use skein_fuzz::{TARGETS, run};

/// The names of what is in a folder beside this crate, without their ends.
fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let names = entries.map(|entry| entry.unwrap().path());
    names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn replay(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|one| one.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in seeds {
        // The last line of a test that fails names the seed.
        eprintln!("{}", seed.display());
        run(target, &fs::read(&seed).unwrap());
    }
}

#[test]
fn every_target_has_a_wrapper_and_seeds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    assert_eq!(names("../../fuzz/fuzz_targets"), targets);
}

macro_rules! replays {
    ($($target:ident)*) => {
        /// A test for each target, so that they run side by side.
        mod seeds_of {
            $(#[test]
            fn $target() {
                super::replay(stringify!($target));
            })*
        }

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert!(TARGETS.iter().map(|(name, _)| *name).eq(replayed));
        }
    };
}

replays! {
    apply certificate certificate_request definition field_selector gossip join json json_patch
    json_path label_selector merge_patch peer protobuf quantity replica request snapshot spdy
    spdy_headers strategic_patch token transactions yaml
}
