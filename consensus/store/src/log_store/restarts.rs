//! What a process finds of the log that another one left in the middle of something.

use std::sync::atomic::Ordering;

use openraft::{
    entry::RaftEntry,
    storage::{RaftLogStorageExt, RaftStateMachine},
};

use super::{
    tests::{SEGMENT, close, entry, entry_of, indexes, open},
    *,
};
use crate::{
    DiskAction, State, StateMachine,
    disk::MemoryDisk,
    raft::{SnapshotMeta, StoredMembership},
};

/// Fails the operations that `fails` names.
fn fail(memory: &MemoryDisk, fails: impl Fn(&str, DiskAction) -> bool + Send + Sync + 'static) {
    memory.set_fault(Some(Arc::new(move |operation| {
        fails(operation.file, operation.action).then_some(io::ErrorKind::Other)
    })));
}

#[tokio::test]
async fn what_the_next_process_reads_survives_a_power_cut_even_if_it_was_never_synced() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.blocking_append([entry(0, 10)]).await.unwrap();
    // Killed between the write and the sync.
    fail(&memory, |name, action| name == SEGMENT && action == DiskAction::Sync);
    log.blocking_append([entry(1, 10)]).await.unwrap_err();
    close((log, machine, closed)).await;
    memory.set_fault(None);

    let (mut log, machine, closed) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..9).await, [0, 1]);
    memory.crash(|_| 0);
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..9).await, [0, 1]);
}

#[tokio::test]
async fn a_segment_that_cannot_be_removed_leaves_no_gap_behind_it() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, mut machine, closed) = open(&disk).unwrap();
    for index in 0..40 {
        log.blocking_append([entry(index, 20_000)]).await.unwrap();
        machine.apply(futures::stream::iter([Ok((entry(index, 1), None))])).await.unwrap();
    }
    machine.0.checkpoint().await.unwrap();
    fail(&memory, |name, action| name == SEGMENT && action == DiskAction::Remove);
    log.purge(entry(29, 1).log_id()).await.unwrap();
    for _ in 0..3 {
        log.look_for_space().await.unwrap();
    }
    close((log, machine, closed)).await;
    memory.set_fault(None);
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..99).await, (30..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_entry_that_was_about_to_be_replaced_does_not_count_as_committed() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.blocking_append([entry(0, 10)]).await.unwrap();
    let beyond_one_group = limits::GROUP_BYTES + 1;
    log.append([entry(1, beyond_one_group)], IOFlushed::noop()).await.unwrap();
    log.truncate_after(Some(entry(0, 1).log_id())).await.unwrap();
    log.append([entry_of(2, 1, 10)], IOFlushed::noop()).await.unwrap();
    log.save_committed(Some(entry_of(2, 1, 1).log_id())).await.unwrap();
    // The power goes between the first group and the next.
    let (power, writes) = (memory.clone(), AtomicU64::new(0));
    fail(&memory, move |name, action| {
        let writes_next = matches!(action, DiskAction::Write { .. })
            && name.ends_with(".raft")
            && writes.fetch_add(1, Ordering::Relaxed) == 1;
        if writes_next {
            power.crash(|_| 0);
        }
        writes_next
    });
    close((log, machine, closed)).await;
    memory.set_fault(None);
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(log.get_log_state().await.unwrap().last_log_id, Some(entry(1, 1).log_id()));
    assert!(log.read_committed().await.unwrap() < Some(entry(1, 1).log_id()));
}

/// Installs a state that reflects the log up to an entry, as a leader sends it.
async fn install(machine: &mut StateMachine, last: LogId) {
    let meta =
        SnapshotMeta { last_log_id: Some(last), last_membership: StoredMembership::default() };
    machine.install_snapshot(&meta, State::default()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_does_not_lead_to_the_installed_state_begins_anew_after_it() {
    let installed = entry_of(2, 20, 1).log_id();
    // Too short; of another leader; of another leader and too short.
    for (term, count) in [(1, 10), (1, 30), (3, 30), (3, 10)] {
        let memory = MemoryDisk::new();
        let disk = Disk::Memory(memory.clone());
        let (mut log, mut machine, closed) = open(&disk).unwrap();
        log.save_vote(&Vote::new(4, 1)).await.unwrap();
        log.blocking_append((0..count).map(|index| entry_of(term, index, 10))).await.unwrap();
        install(&mut machine, installed).await;
        memory.crash(|_| 0);
        close((log, machine, closed)).await;
        let (mut log, machine, closed) = open(&disk).unwrap();
        let state = log.get_log_state().await.unwrap();
        let expected = (Some(installed), Some(installed));
        assert_eq!((state.last_purged_log_id, state.last_log_id), expected, "{term} {count}");
        log.blocking_append([entry_of(4, 21, 10)]).await.unwrap();
        close((log, machine, closed)).await;
        let (mut log, _machine, _) = open(&disk).unwrap();
        assert_eq!(indexes(&mut log, 0..99).await, [21]);
        assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(4, 1)));
    }
}

#[tokio::test]
async fn a_read_from_before_the_purged_entries_has_no_hole() {
    let (mut log, _machine, _) = open(&Disk::Memory(MemoryDisk::new())).unwrap();
    let count = 3 * limits::LOG_TAIL_BYTES as u64 / 500_000;
    for index in 0..count {
        log.blocking_append([entry(index, 500_000)]).await.unwrap();
    }
    log.purge(entry(2, 1).log_id()).await.unwrap();
    assert!(log.tail().first_index() > 5);
    assert_eq!(indexes(&mut log, 0..count).await, (3..count).collect::<Vec<_>>());
}

#[test]
fn a_log_that_was_purged_beyond_its_end_ends_there_whatever_the_terms() {
    let mut tail = Tail::default();
    tail.append(&[entry_of(5, 9, 1), entry_of(5, 10, 1)]);
    tail.truncate(Some(entry_of(5, 9, 1).log_id()));
    tail.purge(entry_of(5, 8, 1).log_id());
    assert_eq!(tail.last(), Some(entry_of(5, 9, 1).log_id()));
    let mut emptied = Tail::default();
    emptied.append(&[entry_of(5, 9, 1)]);
    emptied.truncate(Some(entry_of(5, 8, 1).log_id()));
    emptied.purge(entry_of(4, 20, 1).log_id());
    assert_eq!(emptied.last(), Some(entry_of(4, 20, 1).log_id()));
}
