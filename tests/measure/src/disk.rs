//! The raw speed of a disk, as the baseline of everything durable.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// What one append writes: a page.
const APPEND_BYTES: usize = 4_096;

/// How many appends of 4 KiB, each followed by fdatasync, one writer makes in a second on the
/// disk of `directory`, measured for `duration`.
///
/// # Errors
/// What the system says about the file.
pub fn syncs_per_second(directory: &Path, duration: Duration) -> io::Result<f64> {
    let path = directory.join("measure-fdatasync");
    let mut file = File::create(&path)?;
    let begun = Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed() < duration {
        file.write_all(&[0x5a; APPEND_BYTES])?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
