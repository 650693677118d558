//! How long a node takes to open its store again, and the memory it takes: fills a store on disk,
//! then opens it in a process of its own and reads from it.
//!
//!     cargo bench -p skein-store --bench restart -- [OBJECTS] [BYTES]

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use openraft::{
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
    vote::RaftLeaderId,
};
use skein_net::NodeId;
use skein_store::{
    Disk, Entry, Key, KeyRange, ListOptions, LogId, LogStore, Machine, Operation, Owner,
    Precondition, Proposal, StateMachine, Transaction, Vote,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Transactions in one entry while the store is filled.
const BATCH: usize = 250;

/// Entries of one transaction each that the log keeps, as a busy node's does.
const KEPT: usize = 12_288;

/// The argument that makes the process the one that opens.
const OPEN: &str = "open";

#[tokio::main]
async fn main() -> Outcome<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [mode, directory] = &arguments[..]
        && mode == OPEN
    {
        return open(Path::new(directory)).await;
    }
    let number = |at: usize, default| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (objects, bytes) = (number(0, 150_000)?, number(1, 1_200)?);
    let parent = std::env::current_exe()?;
    let parent = parent.parent().ok_or("a binary lies in a directory")?;
    let directory = tempfile::Builder::new().prefix("restart-").tempdir_in(parent)?;
    let started = Instant::now();
    fill(directory.path(), objects, bytes).await?;
    println!("{objects} objects of {bytes} bytes written in {:.1?}", started.elapsed());
    for _ in 0..3 {
        let mut opener = std::process::Command::new(std::env::current_exe()?);
        opener.arg(OPEN).arg(directory.path()).status()?;
    }
    Ok(())
}

fn owner() -> Owner {
    Owner { cluster: "bench".to_owned(), node: NodeId(1) }
}

fn put(number: usize, bytes: usize) -> Transaction {
    let key = Key::new("pods", format!("team-{}", number % 100), format!("web-{number}"));
    let value = vec![b'a' + (number % 26) as u8; bytes].into();
    Transaction::new(vec![Operation::Put { key, value, when: Precondition::Any }])
}

async fn fill(directory: &Path, objects: usize, bytes: usize) -> Outcome<()> {
    let disk = Disk::Directory(directory.to_owned());
    let machine = Machine::open(&disk, &owner())?;
    let (mut log, closed) = LogStore::open(&disk, &owner(), Arc::clone(&machine))?;
    let mut state = StateMachine(Arc::clone(&machine));
    log.save_vote(&Vote::new(1, 1)).await?;
    let (mut number, mut index) = (0, 0);
    let mut purge = None;
    while number < objects {
        let count = if number + KEPT < objects { BATCH } else { 1 };
        let transactions: Vec<_> = (number..number + count).map(|n| put(n, bytes)).collect();
        let leader = LeaderId { term: 1, voted_for: 1 }.to_committed();
        let id = LogId::new(leader, index);
        let entry = Entry::new_normal(id, Proposal::encode(&transactions)?);
        log.blocking_append([entry.clone()]).await?;
        state.apply(futures::stream::iter([Ok((entry, None))])).await?;
        if count > 1 {
            purge = Some(id);
        } else if let Some(upto) = purge.take() {
            machine.checkpoint().await?;
            log.purge(upto).await?;
        }
        (number, index) = (number + count, index + 1);
    }
    machine.checkpoint().await?;
    drop((log, state, machine));
    // Ends by an error when the files are closed.
    drop(closed.await);
    Ok(())
}

async fn open(directory: &Path) -> Outcome<()> {
    let disk = Disk::Directory(directory.to_owned());
    let started = Instant::now();
    let machine = Machine::open(&disk, &owner())?;
    let state = started.elapsed();
    let (_log, _closed) = LogStore::open(&disk, &owner(), Arc::clone(&machine))?;
    let all = started.elapsed();
    let listing = machine
        .published()
        .view()
        .list(&KeyRange::all("pods"), &ListOptions { limit: 500, after: None, at: None });
    let served = started.elapsed();
    println!(
        "state {}, log {}, first page of {} served after {}; {} MB resident, {} MB at most",
        seconds(state),
        seconds(all - state),
        listing.records.len() + listing.remaining,
        seconds(served),
        status_mb("VmRSS")?,
        status_mb("VmHWM")?,
    );
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// A value of this process's status, in MB.
fn status_mb(name: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such value")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
    Ok(kib / 1_024)
}
