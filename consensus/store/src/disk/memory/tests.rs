use redb::StorageBackend;

use super::*;

fn written(disk: &MemoryDisk, bytes: usize) -> OpenFile {
    let file = disk.open("file");
    file.write(0, &vec![1; 600]).unwrap();
    file.sync_data().unwrap();
    file.write(100, &vec![2; bytes]).unwrap();
    file
}

#[test]
fn a_torn_write_ends_at_a_sector_and_leaves_the_rest_as_it_was() {
    for (kept, expected) in [(0, 0), (300, 0), (412, 412), (600, 412), (1_000, 1_000)] {
        let disk = MemoryDisk::new();
        written(&disk, 1_000);
        disk.crash(|bytes| {
            assert_eq!(bytes, 1_000);
            kept
        });
        let content = disk.content("file").unwrap();
        let new = content.iter().filter(|byte| **byte == 2).count();
        assert_eq!(new, expected, "{kept} bytes reached the disk");
    }
}

#[test]
fn a_sync_that_fails_makes_nothing_safe() {
    let disk = MemoryDisk::new();
    let file = written(&disk, 10);
    disk.set_fault(Some(Arc::new(|operation| {
        (operation.action == DiskAction::Sync).then_some(io::ErrorKind::Other)
    })));
    assert!(file.sync_data().is_err());
    disk.crash(|_| 0);
    assert!(disk.content("file").unwrap().iter().all(|byte| *byte == 1));
}

#[test]
fn a_fault_may_cut_the_power_exactly_before_an_operation() {
    let disk = MemoryDisk::new();
    let file = disk.open("file");
    let power = disk.clone();
    disk.set_fault(Some(Arc::new(move |operation| {
        if operation.action == DiskAction::Sync {
            power.crash(|_| 0);
        }
        None
    })));
    file.write(0, b"lost").unwrap();
    assert!(file.sync_data().is_err());
    assert_eq!(disk.content("file").unwrap(), b"");
}

#[test]
fn a_fork_holds_what_is_safe_and_goes_its_own_way() {
    let disk = MemoryDisk::new();
    let file = written(&disk, 10);
    let fork = disk.fork();
    file.sync_data().unwrap();
    assert!(fork.content("file").unwrap().iter().all(|byte| *byte == 1));
}

#[test]
fn a_full_disk_lets_no_file_grow_but_reads_overwrites_and_removes() {
    let disk = MemoryDisk::new();
    let file = written(&disk, 10);
    disk.set_full(true);
    let error = file.write(600, b"x").unwrap_err();
    file.write(599, b"x").unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.read(0, &mut [0; 10]).unwrap();
    file.sync_data().unwrap();
    disk.remove("file").unwrap();
    assert_eq!(disk.names(), Vec::<String>::new());
}
