use std::sync::Arc;

use openraft::{
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    storage::{RaftLogStorageExt, RaftStateMachine},
    testing::log::{StoreBuilder, Suite},
    vote::RaftLeaderId,
};
use skein_net::NodeId;

use super::*;
use crate::{disk::MemoryDisk, raft::Proposal, state_machine::StateMachine};

/// The first file of the log.
pub(super) const SEGMENT: &str = "log-0-0000000001.raft";

fn owner() -> Owner {
    Owner { cluster: "test".to_owned(), node: NodeId(1) }
}

pub(super) type Closed = oneshot::Receiver<()>;

pub(super) fn open(disk: &Disk) -> Result<(LogStore, StateMachine, Closed), StartError> {
    let machine = Machine::open(disk, &owner())?;
    let (log, closed) = LogStore::open(disk, &owner(), Arc::clone(&machine))?;
    Ok((log, StateMachine(machine), closed))
}

/// Closes the files and waits until they are.
pub(super) async fn close((log, machine, closed): (LogStore, StateMachine, Closed)) {
    drop((log, machine));
    closed.await.unwrap_err();
}

struct InMemory;

impl StoreBuilder<Group, LogStore, StateMachine> for InMemory {
    async fn build(&self) -> Result<((), LogStore, StateMachine), openraft::StorageError<Group>> {
        let (log, machine, _) = open(&Disk::Memory(MemoryDisk::new())).unwrap();
        Ok(((), log, machine))
    }
}

struct InDirectory;

impl StoreBuilder<Group, LogStore, StateMachine, tempfile::TempDir> for InDirectory {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, StateMachine), openraft::StorageError<Group>> {
        let directory = tempfile::tempdir().unwrap();
        let (log, machine, _) = open(&Disk::Directory(directory.path().to_owned())).unwrap();
        Ok((directory, log, machine))
    }
}

#[tokio::test]
async fn openraft_accepts_the_store_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_accepts_the_store_in_a_directory() {
    Suite::test_all(InDirectory).await.unwrap();
}

pub(super) fn entry(index: u64, bytes: usize) -> Entry {
    entry_of(1, index, bytes)
}

pub(super) fn entry_of(term: u64, index: u64, bytes: usize) -> Entry {
    let put = crate::Operation::Put {
        key: crate::Key::new("pods", "default", "x"),
        value: vec![b'x'; bytes].into(),
        when: crate::Precondition::Any,
    };
    let proposal = Proposal::encode(&[crate::Transaction::new(vec![put])]).unwrap();
    let leader = LeaderId { term, voted_for: 1 }.to_committed();
    Entry::new_normal(openraft::LogId::new(leader, index), proposal)
}

pub(super) async fn indexes(log: &mut LogStore, range: std::ops::Range<u64>) -> Vec<u64> {
    let entries = log.try_get_log_entries(range).await.unwrap();
    entries.iter().map(RaftEntry::index).collect()
}

#[tokio::test]
async fn acknowledged_entries_and_votes_survive_a_power_cut_that_loses_the_rest() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    let vote = Vote::new(3, 1);
    log.save_vote(&vote).await.unwrap();
    for index in 0..50 {
        log.blocking_append([entry(index, 100)]).await.unwrap();
    }
    let mut flips = 0u32;
    memory.crash(|bytes| {
        flips += 1;
        if flips.is_multiple_of(2) { bytes } else { 0 }
    });
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    assert_eq!(indexes(&mut log, 0..100).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_commit_noted_before_its_entries_were_written_counts_up_to_the_last_written() {
    let disk = Disk::Memory(MemoryDisk::new());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.save_committed(Some(entry(9, 1).log_id())).await.unwrap();
    log.save_vote(&Vote::new(1, 1)).await.unwrap();
    close((log, machine, closed)).await;
    let (mut log, machine, closed) = open(&disk).unwrap();
    assert_eq!(log.read_committed().await.unwrap(), None);
    log.save_committed(Some(entry(9, 1).log_id())).await.unwrap();
    log.blocking_append([entry(0, 1), entry(1, 1)]).await.unwrap();
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(entry(1, 1).log_id()));
}

#[tokio::test]
async fn entries_beyond_the_tail_in_memory_are_read_from_disk() {
    let (mut log, _machine, _) = open(&Disk::Memory(MemoryDisk::new())).unwrap();
    let count = 3 * limits::LOG_TAIL_BYTES as u64 / 500_000;
    for index in 0..count {
        log.blocking_append([entry(index, 500_000)]).await.unwrap();
    }
    assert!(log.tail().first_index() > 0);
    assert_eq!(indexes(&mut log, 0..count).await, (0..count).collect::<Vec<_>>());
    let limited = log.limited_get_log_entries(0, count).await.unwrap();
    assert_eq!(limited.len(), limits::APPEND_BYTES / 500_000);
    let limited = log.limited_get_log_entries(count - 1, count).await.unwrap();
    assert_eq!(limited.len(), 1);
}

#[tokio::test]
async fn a_damaged_entry_is_named_by_its_index() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.blocking_append([entry(0, 10), entry(1, 3000), entry(2, 10)]).await.unwrap();
    close((log, machine, closed)).await;
    let offset = memory.find(SEGMENT, &[b'x'; 2500]).unwrap();
    assert!(memory.flip(SEGMENT, offset));
    let error = open(&disk).unwrap_err();
    let StartError::Damaged { file, what, .. } = error else { panic!("{error}") };
    assert_eq!((file, what.as_str()), (FILE, "log entry 1"));
}

#[tokio::test]
async fn a_segment_that_was_cut_is_named() {
    for length in [5_000, 101_000] {
        let memory = MemoryDisk::new();
        let disk = Disk::Memory(memory.clone());
        let (mut log, machine, closed) = open(&disk).unwrap();
        log.blocking_append([entry(0, 100_000)]).await.unwrap();
        log.blocking_append([entry(1, 10)]).await.unwrap();
        close((log, machine, closed)).await;
        memory.truncate(SEGMENT, length);
        let error = open(&disk).unwrap_err();
        assert!(matches!(error, StartError::Damaged { file: FILE, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_shows_before_the_log_cannot_grow_and_passes_without_a_restart() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    let space = log.space();
    log.blocking_append([entry(0, 10)]).await.unwrap();
    assert_eq!(*space.borrow(), Space::Enough);
    memory.set_full(true);
    log.look_for_space().await.unwrap();
    log.look_for_space().await.unwrap();
    assert_eq!(*space.borrow(), Space::Low);
    for index in 1..200 {
        log.blocking_append([entry(index, 10)]).await.unwrap();
    }
    log.save_vote(&Vote::new(2, 1)).await.unwrap();
    memory.set_full(false);
    log.look_for_space().await.unwrap();
    log.look_for_space().await.unwrap();
    assert_eq!(*space.borrow(), Space::Enough);
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..300).await, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_whose_reserve_is_used_up_refuses_the_append_and_keeps_what_was_there() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.blocking_append([entry(0, 10)]).await.unwrap();
    memory.set_full(true);
    let large = limits::MEMORY_SEGMENT_BYTES as usize;
    let refused = log.blocking_append([entry(1, large)]).await.unwrap_err();
    let reason = io::Error::from(io::ErrorKind::StorageFull).to_string();
    assert!(refused.to_string().contains(&reason), "{refused}");
    let again = log.blocking_append([entry(1, 10)]).await.unwrap_err();
    assert!(again.to_string().contains(&reason), "{again}");
    memory.set_full(false);
    memory.crash(|_| 0);
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..10).await, [0]);
}

#[tokio::test]
async fn purged_segments_leave_the_disk_when_the_state_has_them_and_not_before() {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let (mut log, mut machine, closed) = open(&disk).unwrap();
    for index in 0..40 {
        log.blocking_append([entry(index, 20_000)]).await.unwrap();
    }
    let segments = memory.names().len();
    log.purge(entry(29, 1).log_id()).await.unwrap();
    log.save_vote(&Vote::new(2, 1)).await.unwrap();
    assert_eq!(memory.names().len(), segments);
    assert_eq!(indexes(&mut log, 30..99).await, (30..40).collect::<Vec<_>>());
    for index in 0..40 {
        let item = Ok((entry(index, 20_000), None));
        machine.apply(futures::stream::iter([item])).await.unwrap();
    }
    machine.0.checkpoint().await.unwrap();
    log.look_for_space().await.unwrap();
    log.look_for_space().await.unwrap();
    assert!(memory.names().len() < segments - 2, "{:?}", memory.names());
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 30..99).await, (30..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_written_over_a_truncated_end_are_the_ones_read() {
    let disk = Disk::Memory(MemoryDisk::new());
    let (mut log, machine, closed) = open(&disk).unwrap();
    log.blocking_append((0..10).map(|index| entry(index, 10))).await.unwrap();
    log.truncate_after(Some(entry(3, 1).log_id())).await.unwrap();
    log.blocking_append((4..6).map(|index| entry(index, 99))).await.unwrap();
    assert_eq!(indexes(&mut log, 0..20).await, (0..6).collect::<Vec<_>>());
    close((log, machine, closed)).await;
    let (mut log, _machine, _) = open(&disk).unwrap();
    assert_eq!(indexes(&mut log, 0..20).await, (0..6).collect::<Vec<_>>());
}
