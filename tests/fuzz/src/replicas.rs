//! What a replica keeps: the transactions of its log, and its files.

use std::sync::LazyLock;

use skein_net::{NodeId, codec};
use skein_store::{
    Disk, Machine, MemoryDisk, Owner, Revision, SECTOR_BYTES, Stamp, State, Transaction, inspect,
    recovery,
};

/// A replica as the last version with this format wrote it, in the packed form of the fixtures of
/// `skein-store`.
const FILES: [(&str, &[u8]); 4] = [
    ("epoch", include_bytes!("../../../consensus/store/fixtures/format-2/epoch")),
    (
        "log-0-0000000001.raft",
        include_bytes!("../../../consensus/store/fixtures/format-2/log-0-0000000001.raft"),
    ),
    (
        "log-0-0000000002.raft",
        include_bytes!("../../../consensus/store/fixtures/format-2/log-0-0000000002.raft"),
    ),
    ("state-0.redb", include_bytes!("../../../consensus/store/fixtures/format-2/state-0.redb")),
];

/// How much of a file is damaged at most: the log's files are long, and empty beyond.
const DAMAGED_BYTES: usize = 64 * 1024;

/// Transactions of a log: the same do the same, whole or not at all.
pub(crate) fn transactions(bytes: &[u8]) {
    let Ok(transactions) = codec::decode::<Vec<Transaction>>(bytes) else { return };
    let (mut one, mut other) = (State::default(), State::default());
    for transaction in &transactions {
        let before = one.view.revision();
        let (mut changes, mut again) = (Vec::new(), Vec::new());
        let answer = one.apply(transaction, Stamp(1), &mut changes);
        assert_eq!(other.apply(transaction, Stamp(1), &mut again), answer);
        assert_eq!(again, changes);
        let (Revision(before), Revision(after)) = (before, one.view.revision());
        assert!(answer.is_ok() || changes.is_empty(), "a refused transaction changes something");
        assert_eq!(after - before, changes.len() as u64, "each change has a revision");
        assert_eq!(one.apply(transaction, Stamp(2), &mut changes), answer, "it applies once");
        assert_eq!(one.view.revision(), Revision(after));
    }
    assert!(one.view.records().eq(other.view.records()));
}

/// Files with bytes changed, after a first byte 0; or an `epoch` (1) or `order` (2) with a right
/// checksum. They are read, or it is said what is wrong with them.
pub(crate) fn replica(bytes: &[u8]) {
    static REPLICA: LazyLock<MemoryDisk> = LazyLock::new(|| {
        let disk = MemoryDisk::new();
        for (name, packed) in FILES {
            disk.insert(name, unpacked(packed));
        }
        disk
    });
    let Some((what, rest)) = bytes.split_first() else { return };
    let memory = REPLICA.fork();
    match what % 3 {
        0 => damage(&memory, rest),
        1 => memory.insert("epoch", sealed(rest)),
        _ => memory.insert("order", sealed(rest)),
    }
    let disk = Disk::Memory(memory.fork());
    if let Ok(found) = inspect(&disk) {
        assert_eq!(inspect(&disk).ok(), Some(found), "it is read as something else");
    }
    let disk = Disk::Memory(memory);
    let owner = Owner { cluster: "fixture".to_owned(), node: NodeId(1) };
    if recovery::carry_out(&disk, &owner).is_ok() {
        let epoch = recovery::carry_out(&disk, &owner);
        assert_eq!(epoch.ok(), recovery::epoch(&disk).ok(), "an order is carried out once");
        drop(Machine::open(&disk, &owner));
    }
}

/// Changes bytes: a file, a place and a value each. Not in the last file: where that is damaged,
/// redb may panic, which `skein-store` contains and libFuzzer does not; its tests damage it.
fn damage(memory: &MemoryDisk, bytes: &[u8]) {
    for change in bytes.chunks_exact(4) {
        let [file, high, low, value] = [change[0], change[1], change[2], change[3]];
        let (name, _) = FILES[usize::from(file) % (FILES.len() - 1)];
        let Some(mut content) = memory.content(name) else { continue };
        let at = usize::from(u16::from_be_bytes([high, low])) % DAMAGED_BYTES;
        if let Some(byte) = content.get_mut(at) {
            *byte = value;
            memory.insert(name, content);
        }
    }
}

/// A frame behind its checksum.
fn sealed(frame: &[u8]) -> Vec<u8> {
    [&crc32fast::hash(frame).to_le_bytes()[..], frame].concat()
}

/// The content of a packed file: its length, then every sector that is not empty with its number.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let (length, mut rest) = packed.split_first_chunk::<8>().expect("a length");
    let length = usize::try_from(u64::from_le_bytes(*length)).expect("a short file");
    let mut content = vec![0; length];
    while let Some((number, after)) = rest.split_first_chunk::<4>() {
        let start = u32::from_le_bytes(*number) as usize * SECTOR_BYTES;
        let end = content.len().min(start + SECTOR_BYTES);
        let (sector, after) = after.split_at(end - start);
        content[start..end].copy_from_slice(sector);
        rest = after;
    }
    content
}
