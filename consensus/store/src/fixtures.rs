//! Data directories as earlier versions wrote them must be read by this one: tests only.
//!
//! `fixtures/format-N` holds a replica as the last version with format N wrote it. When the
//! format changes, record the new one with the version that introduces it, and keep the others
//! for as long as they are read:
//!
//!     cargo test -p skein-store record_a_fixture -- --ignored
//!
//! Each file is packed: its length, then every sector that is not empty with its number.

use std::{fs, path::PathBuf, sync::Arc};

use openraft::{
    EntryPayload, Membership,
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    vote::RaftLeaderId,
};
use skein_net::NodeId;

use crate::{
    Disk, Entry, Epoch, Key, LogId, LogStore, Machine, MemoryDisk, Operation, Owner, Precondition,
    Proposal, RequestId, Revision, SECTOR_BYTES, Stamp, StateMachine, StoreError, Transaction,
    Vote, owner::FORMAT, recovery,
};

const NEWER: Epoch = Epoch { number: 9, founder: NodeId(3) };

fn directory(format: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/format-{format}"))
}

fn owner() -> Owner {
    Owner { cluster: "fixture".to_owned(), node: NodeId(1) }
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, voted_for: 1 }.to_committed(), index)
}

fn key(name: &str) -> Key {
    Key::new("pods", "default", name)
}

fn write(term: u64, index: u64, operation: Operation) -> Entry {
    let transaction = Transaction { id: RequestId(index.into()), operations: vec![operation] };
    Entry::new_normal(id(term, index), Proposal::stamped(&[transaction], Stamp(1)).unwrap())
}

fn put(term: u64, index: u64, name: &str, when: Precondition) -> Entry {
    let value = format!("value {index}").into();
    write(term, index, Operation::Put { key: key(name), value, when })
}

fn entries() -> Vec<Entry> {
    let members = Membership::new_with_defaults(vec![[1, 2, 3].into()], [4]);
    vec![
        Entry::new_membership(id(1, 0), members),
        put(1, 1, "a", Precondition::Absent),
        put(1, 2, "b", Precondition::Any),
        put(1, 3, "a", Precondition::Absent),
        write(1, 4, Operation::Delete { key: key("b"), when: Precondition::Exists }),
        Entry::new_blank(id(2, 5)),
        put(2, 6, "c", Precondition::Any),
        put(2, 7, "d", Precondition::Unchanged(Revision(0))),
    ]
}

async fn recorded() -> MemoryDisk {
    let memory = MemoryDisk::new();
    let disk = Disk::Memory(memory.clone());
    let machine = Machine::open(&disk, &owner()).unwrap();
    let (mut log, closed) = LogStore::open(&disk, &owner(), Arc::clone(&machine)).unwrap();
    log.save_vote(&Vote::new(1, 1)).await.unwrap();
    log.blocking_append([entries(), vec![put(2, 8, "cut", Precondition::Any)]].concat())
        .await
        .unwrap();
    log.truncate_after(Some(id(2, 7))).await.unwrap();
    log.save_committed(Some(id(2, 6))).await.unwrap();
    let mut state = StateMachine(Arc::clone(&machine));
    let applied = entries().into_iter().take(7).map(|entry| Ok((entry, None)));
    state.apply(futures::stream::iter(applied)).await.unwrap();
    machine.checkpoint().await.unwrap();
    log.purge(id(1, 2)).await.unwrap();
    log.save_vote(&Vote::new_committed(3, 2)).await.unwrap();
    drop((log, state, machine));
    closed.await.unwrap_err();
    recovery::mark_outdated(&disk, NEWER).unwrap();
    memory
}

fn pack(content: &[u8]) -> Vec<u8> {
    let mut packed = (content.len() as u64).to_le_bytes().to_vec();
    for (number, sector) in content.chunks(SECTOR_BYTES).enumerate() {
        if sector.iter().any(|byte| *byte != 0) {
            packed.extend((number as u32).to_le_bytes());
            packed.extend(sector);
        }
    }
    packed
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let (length, mut rest) = packed.split_first_chunk().unwrap();
    let mut content = vec![0; u64::from_le_bytes(*length) as usize];
    while let Some((number, after)) = rest.split_first_chunk() {
        let start = u32::from_le_bytes(*number) as usize * SECTOR_BYTES;
        let end = content.len().min(start + SECTOR_BYTES);
        let (sector, after) = after.split_at(end - start);
        content[start..end].copy_from_slice(sector);
        rest = after;
    }
    content
}

fn read(format: u32) -> MemoryDisk {
    let memory = MemoryDisk::new();
    for file in fs::read_dir(directory(format)).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        memory.insert(name, unpack(&fs::read(&path).unwrap()));
    }
    memory
}

#[test]
#[ignore = "records a fixture; to be run once for each format"]
fn record_a_fixture() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let memory = runtime.block_on(recorded());
    let directory = directory(FORMAT);
    fs::create_dir_all(&directory).unwrap();
    for name in memory.names() {
        fs::write(directory.join(&name), pack(&memory.content(&name).unwrap())).unwrap();
    }
}

#[tokio::test]
async fn data_of_format_2_is_read() {
    let memory = read(2);
    let disk = Disk::Memory(memory.clone());
    assert_eq!(recovery::outdated(&disk).unwrap(), Some(NEWER));
    assert_eq!(recovery::carry_out(&disk, &owner()).unwrap(), Epoch::FIRST);
    let machine = Machine::open(&disk, &owner()).unwrap();
    let (mut log, _) = LogStore::open(&disk, &owner(), Arc::clone(&machine)).unwrap();

    let applied = machine.applied();
    assert_eq!(applied.last, Some(id(2, 6)));
    let EntryPayload::Membership(members) = entries()[0].payload.clone() else { panic!() };
    assert_eq!(applied.membership.membership(), &members);
    let view = &applied.state.view;
    let objects: Vec<_> = view.records().map(|r| (&*r.key.name, &r.value[..])).collect();
    assert_eq!(objects, [("a", b"value 1".as_slice()), ("c", b"value 6".as_slice())]);
    assert_eq!(view.revision(), Revision(4));
    let requests = &applied.state.requests;
    assert_eq!(requests.answer(RequestId(1)), Some(Ok(vec![Revision(1)])));
    let refused = requests.answer(RequestId(3)).unwrap();
    assert!(matches!(refused, Err(StoreError::PreconditionFailed { index: 0, .. })), "{refused:?}");

    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new_committed(3, 2)));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(2, 6)));
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(1, 2)));
    let kept = log.try_get_log_entries(0..99).await.unwrap();
    assert_eq!(kept, entries()[3..]);
}

#[tokio::test]
async fn what_this_version_writes_is_what_the_fixture_of_its_format_holds() {
    let (written, fixture) = (recorded().await, read(FORMAT));
    assert_eq!(written.names(), fixture.names());
    for name in written.names().iter().filter(|name| !name.ends_with(".redb")) {
        let (written, fixture) = (written.content(name), fixture.content(name));
        assert!(written == fixture, "{name} is written in another way without a new format");
    }
}
