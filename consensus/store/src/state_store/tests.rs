use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use openraft::{impls::leader_id_std::LeaderId, vote::RaftLeaderId};
use skein_net::NodeId;

use super::*;
use crate::{DiskAction, Key, MemoryDisk, Operation, Precondition, Stamp, Transaction};

const NAME: &str = "state-0.redb";

fn owner() -> Owner {
    Owner { cluster: "test".to_owned(), node: NodeId(1) }
}

/// `before` and as many objects more.
fn with_objects(before: &Applied, count: u64) -> Applied {
    let mut applied = before.clone();
    let first = before.last.map_or(0, |last| last.index + 1);
    for index in first..first + count {
        let put = Operation::Put {
            key: Key::new("pods", "default", format!("p{index}")),
            value: vec![b'v'; 1_000].into(),
            when: Precondition::Any,
        };
        let transaction = Transaction::new(vec![put]);
        applied.state.apply(&transaction, Stamp(1), &mut Vec::new()).unwrap();
        let leader = LeaderId { term: 1, voted_for: 1 }.to_committed();
        applied.last = Some(LogId::new(leader, index));
    }
    applied
}

fn assert_same(found: &Applied, expected: &Applied) {
    assert_eq!(found.last, expected.last);
    assert!(found.state.view.records().eq(expected.state.view.records()));
    assert!(found.state.requests.since(0).eq(expected.state.requests.since(0)));
}

/// Opens the file on `memory` and returns what it holds and how many bytes that read.
fn read_by_opening(memory: &MemoryDisk) -> (Applied, usize) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    memory.set_fault(Some(Arc::new(move |operation| {
        if let DiskAction::Read { bytes, .. } = operation.action {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
        None
    })));
    let (_store, found) = StateStore::open(&Disk::Memory(memory.clone()), &owner()).unwrap();
    (found, read.load(Ordering::Relaxed))
}

#[test]
fn a_file_whose_process_was_killed_opens_with_no_more_reading_than_one_that_was_closed() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let applied = with_objects(&Applied::default(), 6_000);
    let open = StateStore::write(None, &disk, &owner(), &applied).unwrap();
    let killed = memory.fork();
    drop(open);
    let closed = memory.fork();
    assert!(closed.content(NAME).unwrap().len() > crate::limits::DATABASE_CACHE_BYTES);
    let ((found, after_kill), (_, after_close)) =
        (read_by_opening(&killed), read_by_opening(&closed));
    assert!(after_kill <= after_close + after_close / 20, "{after_kill} of {after_close}");
    assert_same(&found, &applied);
}

#[test]
fn a_file_that_is_damaged_while_it_is_in_use_is_written_anew() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let first = with_objects(&Applied::default(), 500);
    drop(StateStore::write(None, &disk, &owner(), &first).unwrap());
    let opened = StateStore::open(&disk, &owner()).unwrap();
    let object = memory.find(NAME, &[b'v'; 1_000]).unwrap();
    assert!(memory.flip(NAME, object + 500));
    let second = with_objects(&first, 10);
    let store = StateStore::write(Some(opened), &disk, &owner(), &second).unwrap();
    let third = with_objects(&second, 10);
    drop(StateStore::write(Some((store, second)), &disk, &owner(), &third).unwrap());
    let (_store, found) = StateStore::open(&disk, &owner()).unwrap();
    assert_same(&found, &third);
    assert_eq!(memory.names(), [NAME]);
}
