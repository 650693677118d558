use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    Key, LogStore, Machine, MemoryDisk, Operation, Precondition, Proposal, StateMachine,
    StoreError, Transaction, disk::DiskAction,
};

const NODE: NodeId = NodeId(7);
const SECOND: Epoch = Epoch { number: 2, founder: NODE };

fn owner() -> Owner {
    Owner { cluster: "test".to_owned(), node: NODE }
}

fn entry(term: u64, index: u64, name: &str) -> crate::Entry {
    let put = Operation::Put {
        key: Key::new("pods", "default", name),
        value: vec![b'x'; 100].into(),
        when: Precondition::Any,
    };
    let proposal = Proposal::encode(&[Transaction::new(vec![put])]).unwrap();
    let leader = LeaderId { term, voted_for: 3 }.to_committed();
    crate::Entry::new_normal(LogId::new(leader, index), proposal)
}

/// A replica with `stored` entries in its state and `logged` more in its log only, the last of
/// which were never known to be committed.
async fn replica(stored: u64, logged: u64) -> MemoryDisk {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner()).unwrap();
    let (mut log, closed) = LogStore::open(&disk, &owner(), Arc::clone(&machine)).unwrap();
    log.save_vote(&Vote::new(5, 3)).await.unwrap();
    for index in 0..stored + logged {
        log.blocking_append([entry(4, index, &format!("p{index}"))]).await.unwrap();
    }
    let mut state_machine = StateMachine(Arc::clone(&machine));
    for index in 0..stored {
        let item = Ok((entry(4, index, &format!("p{index}")), None));
        state_machine.apply(futures::stream::iter([item])).await.unwrap();
    }
    machine.checkpoint().await.unwrap();
    drop((log, state_machine, machine));
    closed.await.unwrap_err();
    memory
}

struct Opened {
    machine: Arc<Machine>,
    log: LogStore,
    epoch: Epoch,
}

fn open(memory: &MemoryDisk) -> Result<Opened, StartError> {
    let disk = Disk::Memory(memory.clone());
    let epoch = carry_out(&disk, &owner())?;
    let machine = Machine::open(&disk, &owner())?;
    let (log, _) = LogStore::open(&disk, &owner(), Arc::clone(&machine))?;
    Ok(Opened { machine, log, epoch })
}

/// What a replica of five entries must be after it was ordered to lead.
async fn assert_leads(mut opened: Opened) {
    let applied = opened.machine.applied();
    assert_eq!(opened.epoch, SECOND);
    assert_eq!(applied.state.view.len(), 5);
    assert_eq!(applied.state.view.revision(), Revision(5 + REVISION_JUMP));
    assert_eq!(applied.membership.membership().voter_ids().collect::<Vec<_>>(), [NODE.0]);
    let last = LogId::new(LeaderId { term: 6, voted_for: NODE.0 }.to_committed(), 5);
    assert_eq!(applied.last, Some(last));
    let state = opened.log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(last), Some(last)));
    assert_eq!(opened.log.read_vote().await.unwrap(), Some(Vote::new(6, NODE.0)));
}

#[tokio::test]
async fn the_leader_of_a_new_epoch_keeps_every_entry_of_its_log_and_is_alone() {
    let memory = replica(3, 2).await;
    let disk = Disk::Memory(memory.clone());
    order(&disk, &Order::Lead { epoch: SECOND }).unwrap();
    assert_eq!(epoch(&disk).unwrap(), Epoch::FIRST);
    let opened = open(&memory).unwrap();
    let range = crate::KeyRange::all("pods");
    for lost in [Revision(5), Revision(1_000_000)] {
        let refused = opened.machine.published().watch(&range, lost).err();
        assert!(matches!(refused, Some(StoreError::Compacted { .. })), "{refused:?}");
    }
    assert_leads(opened).await;
    assert_eq!(epoch(&disk).unwrap(), SECOND);
    assert_leads(open(&memory).unwrap()).await;
}

#[tokio::test]
async fn a_follower_of_a_new_epoch_starts_empty_and_its_old_files_are_kept_once() {
    let memory = replica(3, 2).await;
    let disk = Disk::Memory(memory.clone());
    mark_outdated(&disk, SECOND).unwrap();
    assert_eq!(outdated(&disk).unwrap(), Some(SECOND));
    order(&disk, &Order::Follow { epoch: SECOND }).unwrap();
    let mut opened = open(&memory).unwrap();
    assert_eq!((opened.epoch, outdated(&disk).unwrap()), (SECOND, None));
    assert!(opened.machine.applied().state.view.is_empty());
    assert_eq!(opened.log.read_vote().await.unwrap(), None);
    let aside = disk.names("before-epoch-2").unwrap();
    assert!(aside.contains(&"before-epoch-2/state-0.redb".to_owned()), "{aside:?}");
    assert!(aside.contains(&"before-epoch-2/log-0-0000000001.raft".to_owned()), "{aside:?}");

    drop(opened);
    let third = SECOND.next(NODE);
    order(&disk, &Order::Follow { epoch: third }).unwrap();
    assert_eq!(open(&memory).unwrap().epoch, third);
    assert_eq!(disk.names("before-epoch-2").unwrap(), Vec::<String>::new());
    assert!(disk.names("before-epoch-3").unwrap().len() >= 2);
}

#[tokio::test]
async fn a_damaged_replica_starts_anew_in_the_same_epoch_and_cannot_lead_one() {
    let memory = replica(3, 2).await;
    let disk = Disk::Memory(memory.clone());
    for name in memory.names() {
        memory.truncate(&name, 3_000);
    }
    order(&disk, &Order::Lead { epoch: SECOND }).unwrap();
    assert!(open(&memory).is_err());
    order(&disk, &Order::Follow { epoch: Epoch::FIRST }).unwrap();
    let opened = open(&memory).unwrap();
    assert_eq!(opened.epoch, Epoch::FIRST);
    assert!(opened.machine.applied().state.view.is_empty());
}

/// Cuts the power before operation `count` on `memory`; whatever comes later fails too.
fn cut_before(memory: &MemoryDisk, count: u64, mut luck: StdRng) {
    let (power, done, off) = (memory.clone(), AtomicU64::new(0), AtomicBool::new(false));
    let torn = std::sync::Mutex::new(move |bytes: usize| luck.random_range(0..=bytes));
    memory.set_fault(Some(Arc::new(move |operation| {
        if matches!(operation.action, DiskAction::Read { .. }) {
            return off.load(Ordering::Relaxed).then_some(io::ErrorKind::Other);
        }
        if done.fetch_add(1, Ordering::Relaxed) == count {
            off.store(true, Ordering::Relaxed);
            power.crash(&mut *torn.lock().unwrap());
        }
        off.load(Ordering::Relaxed).then_some(io::ErrorKind::Other)
    })));
}

#[tokio::test]
async fn an_order_is_carried_out_whole_wherever_the_power_is_cut() {
    let original = replica(3, 2).await;
    order(&Disk::Memory(original.clone()), &Order::Lead { epoch: SECOND }).unwrap();
    let mut cuts = 0;
    loop {
        let memory = original.fork();
        cut_before(&memory, cuts, StdRng::seed_from_u64(cuts));
        let finished = carry_out(&Disk::Memory(memory.clone()), &owner()).is_ok();
        memory.set_fault(None);
        let opened = open(&memory).unwrap_or_else(|error| panic!("cut before {cuts}: {error}"));
        assert_leads(opened).await;
        if finished {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 20, "only {cuts} operations were cut");
}
