//! What a replica keeps when the power is cut before any of its operations: tests only.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use openraft::{
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    vote::RaftLeaderId,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use skein_net::NodeId;

use crate::{
    Disk, DiskAction, Entry, Key, LogId, LogStore, Machine, MemoryDisk, Operation, Owner,
    Precondition, Proposal, RequestId, Stamp, StateMachine, Transaction, Vote,
};

fn owner() -> Owner {
    Owner { cluster: "test".to_owned(), node: NodeId(1) }
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, voted_for: 1 }.to_committed(), index)
}

/// Every fifth entry is large, so that segments fill.
fn entry(term: u64, index: u64) -> Entry {
    let bytes = if index.is_multiple_of(5) { 50_000 } else { 200 };
    let put = Operation::Put {
        key: Key::new("pods", "default", format!("p{}", index % 7)),
        value: vec![b'v'; bytes].into(),
        when: Precondition::Any,
    };
    let request = RequestId((u128::from(term) << 64) | u128::from(index));
    let transaction = Transaction { id: request, operations: vec![put] };
    Entry::new_normal(id(term, index), Proposal::stamped(&[transaction], Stamp(1)).unwrap())
}

/// What the replica has promised to keep.
#[derive(Debug, Default)]
struct Promised {
    vote: Option<Vote>,
    /// The term of each entry that was acknowledged.
    entries: BTreeMap<u64, u64>,
    /// Entries before this may be purged.
    purged: u64,
}

/// Makes the power go before operation `count` that changes something.
fn cut_before(memory: &MemoryDisk, count: u64) {
    let (power, done, off) = (memory.clone(), AtomicU64::new(0), AtomicBool::new(false));
    let luck = Mutex::new(StdRng::seed_from_u64(count));
    memory.set_fault(Some(Arc::new(move |operation| {
        let changes = !matches!(operation.action, DiskAction::Read { .. });
        if changes && done.fetch_add(1, Ordering::Relaxed) == count {
            off.store(true, Ordering::Relaxed);
            power.crash(|bytes| luck.lock().unwrap().random_range(0..=bytes));
        }
        off.load(Ordering::Relaxed).then_some(io::ErrorKind::Other)
    })));
}

/// Votes, appends, truncates, applies, writes the state down and purges, until something fails.
async fn work(memory: &MemoryDisk, promised: &mut Promised) -> io::Result<()> {
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner()).map_err(io::Error::other)?;
    let (mut log, closed) =
        LogStore::open(&disk, &owner(), Arc::clone(&machine)).map_err(io::Error::other)?;
    let mut state = StateMachine(Arc::clone(&machine));
    let mut next = 0;
    for term in 1..=8 {
        let vote = Vote::new(term, 1);
        log.save_vote(&vote).await?;
        promised.vote = Some(vote);
        let applied = next;
        for _ in 0..5 {
            log.blocking_append([entry(term, next)]).await?;
            promised.entries.insert(next, term);
            next += 1;
        }
        // The last two are written anew by the leader of the next term.
        next -= 2;
        let settled = (applied..next).map(|index| Ok((entry(term, index), None)));
        state.apply(futures::stream::iter(settled)).await?;
        promised.entries.retain(|index, _| *index < next);
        log.truncate_after(Some(id(term, next - 1))).await?;
        if term % 3 == 0 {
            machine.checkpoint().await?;
            promised.purged = next - 4;
            log.purge(id(term, next - 5)).await?;
        }
    }
    drop((log, state, machine));
    // Ends by an error when the files are closed.
    closed.await.map_or_else(|_| Ok(()), Ok)
}

async fn assert_kept(memory: &MemoryDisk, promised: &Promised, cut: u64) {
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner()).unwrap_or_else(|error| panic!("{cut}: {error}"));
    let (mut log, _) = LogStore::open(&disk, &owner(), Arc::clone(&machine))
        .unwrap_or_else(|error| panic!("cut before {cut}: {error}"));
    assert!(log.read_vote().await.unwrap() >= promised.vote, "cut before {cut}");
    let entries = log.try_get_log_entries(0..1_000).await.unwrap();
    let found: BTreeMap<u64, u64> = entries
        .iter()
        .map(|entry| (entry.index(), entry.log_id().committed_leader_id().term))
        .collect();
    let applied = machine.applied().last.map_or(0, |last| last.index + 1);
    for (index, term) in &promised.entries {
        let kept = found.get(index) == Some(term) || (*index < promised.purged && *index < applied);
        assert!(kept, "cut before {cut}: entry {index} of term {term} is lost: {found:?}");
    }
    let first = found.keys().next().copied().unwrap_or(applied);
    assert!(first <= applied, "cut before {cut}: between {applied} and {first} all is lost");
}

#[tokio::test]
async fn what_was_acknowledged_is_kept_wherever_the_power_is_cut() {
    let mut cut = 0;
    loop {
        let memory = MemoryDisk::new();
        let mut promised = Promised::default();
        cut_before(&memory, cut);
        let finished = work(&memory, &mut promised).await.is_ok();
        memory.set_fault(None);
        memory.crash(|_| 0);
        assert_kept(&memory, &promised, cut).await;
        if finished {
            break;
        }
        cut += 1;
    }
    assert!(cut > 100, "only {cut} operations were cut");
}
