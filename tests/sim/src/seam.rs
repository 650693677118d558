//! Where the simulation meets the operating system: the two symbols of libc through which every
//! crate of the process gets the time and its randomness.
//!
//! The executable's own definitions come before those of the shared libc, so `std`, `tokio`,
//! `rand`, `uuid` and whoever else reads a clock or asks for random bytes is answered here, none
//! of them changed. On a thread that simulates the answers follow from the seed and from virtual
//! time; on any other thread they are the kernel's.

use std::{cell::Cell, ffi::c_void, time::Duration};

/// The monotonic clock when a simulation begins. Not zero: code may ask for an instant before.
const BOOTED: Duration = Duration::from_secs(1_000_000);

/// The wall clock when a simulation begins: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

#[derive(Clone, Copy)]
struct Simulated {
    monotonic: Duration,
    wall: Duration,
    entropy: u64,
}

thread_local! {
    static SIMULATED: Cell<Option<Simulated>> = const { Cell::new(None) };
}

/// From now on this thread lives in virtual time and draws its randomness from `seed`.
pub(crate) fn enter(seed: u64) {
    SIMULATED.set(Some(Simulated { monotonic: BOOTED, wall: EPOCH, entropy: seed }));
}

/// Shows the time `now` after the beginning, on a wall clock that is off by `skew_ms`.
pub(crate) fn show(now: Duration, skew_ms: i64) {
    let skew = Duration::from_millis(skew_ms.unsigned_abs());
    let wall = if skew_ms < 0 { (EPOCH + now).saturating_sub(skew) } else { EPOCH + now + skew };
    SIMULATED.set(SIMULATED.get().map(|before| Simulated {
        monotonic: BOOTED + now,
        wall,
        ..before
    }));
}

/// The next number of the generator (SplitMix64: any state will do, and no call into libc).
fn next(simulated: &mut Simulated) -> u64 {
    simulated.entropy = simulated.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = simulated.entropy;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Fills `bytes` from the seed; false where the kernel must.
fn fill(bytes: &mut [u8]) -> bool {
    let Some(mut simulated) = SIMULATED.get() else { return false };
    for part in bytes.chunks_mut(8) {
        let word = next(&mut simulated).to_le_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
    SIMULATED.set(Some(simulated));
    true
}

/// What a clock shows in the simulation.
fn shown(clock: libc::clockid_t) -> Option<Duration> {
    let simulated = SIMULATED.get()?;
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(simulated.wall),
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_BOOTTIME => Some(simulated.monotonic),
        _ => None,
    }
}

#[allow(unsafe_code, reason = "interposes libc's symbols; only this module may")]
mod symbols {
    use super::{c_void, fill, shown};

    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_gettime(
        clock: libc::clockid_t,
        time: *mut libc::timespec,
    ) -> libc::c_int {
        let Some(shown) = shown(clock) else {
            // SAFETY: the caller's own arguments, passed on to the kernel.
            return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
        };
        let seconds = i64::try_from(shown.as_secs()).unwrap_or(i64::MAX);
        let shown = libc::timespec { tv_sec: seconds, tv_nsec: shown.subsec_nanos().into() };
        // SAFETY: clock_gettime(2) demands a valid pointer of its callers.
        unsafe { time.write(shown) };
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(
        buffer: *mut c_void,
        length: libc::size_t,
        flags: libc::c_uint,
    ) -> libc::ssize_t {
        // A probe for the system call's existence passes no buffer.
        if length == 0 {
            return 0;
        }
        // SAFETY: getrandom(2) demands a buffer of this length of its callers.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        if fill(bytes) {
            return libc::ssize_t::try_from(length).unwrap_or(libc::ssize_t::MAX);
        }
        // SAFETY: the caller's own arguments, passed on to the kernel.
        unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as libc::ssize_t }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn getentropy(buffer: *mut c_void, length: libc::size_t) -> libc::c_int {
        // SAFETY: as for `getrandom`, whose contract is the same.
        let filled = unsafe { getrandom(buffer, length, 0) };
        if usize::try_from(filled) == Ok(length) { 0 } else { -1 }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        hash::{BuildHasher, RandomState},
        time::{Instant, SystemTime, UNIX_EPOCH},
    };

    use super::*;

    /// What the process gets from its randomness on a fresh thread that simulates `seed`.
    fn drawn(seed: u64) -> (u64, u64, u128) {
        let thread = std::thread::spawn(move || {
            enter(seed);
            (
                rand::random(),
                RandomState::new().hash_one(1),
                u128::from_le_bytes(std::array::from_fn(|_| rand::random())),
            )
        });
        thread.join().unwrap()
    }

    #[test]
    fn randomness_follows_from_the_seed() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn both_clocks_stand_still_until_they_are_moved() {
        enter(1);
        let (began, wall) = (Instant::now(), SystemTime::now());
        assert_eq!(
            (began.elapsed(), wall.duration_since(UNIX_EPOCH).unwrap()),
            (Duration::ZERO, EPOCH)
        );
        show(Duration::from_secs(3), -1_000);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert_eq!(wall.elapsed().unwrap(), Duration::from_secs(2));
    }

    #[test]
    fn other_threads_have_the_kernels_time() {
        enter(1);
        let other = std::thread::spawn(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        assert_ne!(other.join().unwrap(), EPOCH);
    }
}
