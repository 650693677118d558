//! What becomes of a replica whose files were damaged, wherever that is: tests only.

use std::sync::Arc;

use openraft::{
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    vote::RaftLeaderId,
};
use skein_net::NodeId;

use crate::{
    Disk, Entry, Key, LogStore, Machine, MemoryDisk, Operation, Owner, Precondition, Proposal,
    RequestId, Stamp, StartError, StateMachine, Transaction, Vote,
};

/// Entries in the state; as many more are in the log only.
const STORED: u64 = 12;

fn owner() -> Owner {
    Owner { cluster: "test".to_owned(), node: NodeId(1) }
}

fn entry(index: u64) -> Entry {
    let put = Operation::Put {
        key: Key::new("pods", "default", format!("p{index}")),
        value: vec![b'v'; 300].into(),
        when: Precondition::Any,
    };
    let transaction = Transaction { id: RequestId(index.into()), operations: vec![put] };
    let proposal = Proposal::stamped(&[transaction], Stamp(1)).unwrap();
    let leader = LeaderId { term: 4, voted_for: 1 }.to_committed();
    Entry::new_normal(openraft::LogId::new(leader, index), proposal)
}

async fn replica() -> MemoryDisk {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner()).unwrap();
    let (mut log, closed) = LogStore::open(&disk, &owner(), Arc::clone(&machine)).unwrap();
    log.save_vote(&Vote::new(5, 1)).await.unwrap();
    for index in 0..2 * STORED {
        log.blocking_append([entry(index)]).await.unwrap();
    }
    let mut state_machine = StateMachine(Arc::clone(&machine));
    let stored = (0..STORED).map(|index| Ok((entry(index), None)));
    state_machine.apply(futures::stream::iter(stored)).await.unwrap();
    machine.checkpoint().await.unwrap();
    drop((log, state_machine, machine));
    closed.await.unwrap_err();
    memory
}

/// Opens the replica; whatever opens must be what was written, and must take what is written next.
async fn open(memory: &MemoryDisk) -> Result<(), StartError> {
    let written = reopened(memory).await?;
    memory.crash(|_| 0);
    let found = Machine::open(&Disk::Memory(memory.clone()), &owner())?;
    assert_eq!(found.applied().last, written.applied().last, "a write is lost");
    assert!(found.published().view().records().eq(written.published().view().records()));
    Ok(())
}

/// The replica, opened and with one entry more applied and written down.
async fn reopened(memory: &MemoryDisk) -> Result<Arc<Machine>, StartError> {
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner())?;
    let (mut log, _) = LogStore::open(&disk, &owner(), Arc::clone(&machine))?;
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(5, 1)), "another vote");
    let entries = log.try_get_log_entries(0..9_999).await.unwrap();
    assert_eq!(entries, (0..2 * STORED).map(entry).collect::<Vec<_>>(), "other entries");
    let view = machine.published().view();
    let applied = machine.applied().last.map_or(0, |last| last.index + 1);
    assert!(applied == STORED || applied == 0, "a state that never was");
    assert_eq!(view.len() as u64, applied, "other objects");
    assert_eq!(view.revision().0, applied, "another revision");
    for index in 0..applied {
        let record = view.get(&Key::new("pods", "default", format!("p{index}"))).unwrap();
        assert_eq!((record.value.len(), record.modified.0), (300, index + 1));
    }
    let next = futures::stream::iter([Ok((entry(applied), None))]);
    StateMachine(Arc::clone(&machine)).apply(next).await.unwrap();
    machine.checkpoint().await.unwrap();
    Ok(machine)
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_named_or_changes_nothing() {
    let original = replica().await;
    let (mut named, mut harmless) = (0, 0);
    for name in original.names() {
        let length = original.content(&name).unwrap().len();
        let meaningful = original.content(&name).unwrap();
        // Most of a reserved file is empty: what matters is looked at more closely.
        let positions = (0..length).filter(|at| {
            let step = if meaningful[*at] == 0 { 9_973 } else { 79 };
            at % step == 0
        });
        for position in positions {
            let memory = original.fork();
            assert!(memory.flip(&name, position));
            match open(&memory).await {
                Ok(()) => harmless += 1,
                Err(StartError::Damaged { .. }) => named += 1,
                // A flipped format or owner is named as what it seems to be.
                Err(StartError::NewerFormat { .. } | StartError::OlderFormat { .. }) => named += 1,
                Err(other) => panic!("byte {position} of {name}: {other:?}"),
            }
        }
    }
    assert!(named > 50 && harmless > 50, "{named} named, {harmless} harmless");
}

#[tokio::test]
async fn a_file_cut_anywhere_is_named_or_changes_nothing() {
    let original = replica().await;
    for name in original.names() {
        let length = original.content(&name).unwrap().len();
        for eighth in 1..8 {
            let memory = original.fork();
            memory.truncate(&name, length / 8 * eighth);
            if let Err(error) = open(&memory).await {
                assert!(
                    matches!(error, StartError::Damaged { .. } | StartError::Disk { .. }),
                    "{eighth} eighths of {name}: {error:?}"
                );
            }
        }
    }
}
