//! A library to be loaded in front of the system's (`LD_PRELOAD`), with a wall clock that jumps with every reading.
//!
//! `ARMILLARY_CLOCK_SEED` draws the jumps: up to ten years forwards or back. Each reading adds a byte to the file
//! `ARMILLARY_CLOCK_READINGS`. All other clocks are the system's.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ten years, in seconds.
const TEN_YEARS_S: i64 = 315_576_000;

/// Readings so far.
static READINGS: AtomicU64 = AtomicU64::new(0);

/// The system's `clock_gettime`, but for the wall clock.
///
/// # Safety
/// As for the system's: `to` is null or points to a place for a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut libc::timespec) -> c_int {
    // SAFETY: the system checks the place by itself, since this is a system call.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, to) } as c_int;
    let is_wall = clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE;
    if result == 0 && is_wall && !to.is_null() {
        let reading = READINGS.fetch_add(1, Ordering::Relaxed);
        tell();
        // SAFETY: the system has just written a time there.
        unsafe { (*to).tv_sec += shift_s(seed().wrapping_add(reading)) };
    }
    result
}

/// A shift between plus and minus ten years, and neither near none.
fn shift_s(number: u64) -> i64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = (mixed >> 33) as i64 % (TEN_YEARS_S / 10);
    let sign = if mixed & 1 == 0 { 1 } else { -1 };
    sign * (TEN_YEARS_S - part)
}

fn variable(name: &std::ffi::CStr) -> Option<*const c_char> {
    // SAFETY: the name ends with a zero; nobody changes the environment while a test's program runs.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    (!value.is_null()).then_some(value.cast_const())
}

fn seed() -> u64 {
    // SAFETY: what the environment gives ends with a zero.
    variable(c"ARMILLARY_CLOCK_SEED").map_or(0, |text| unsafe {
        libc::strtoull(text, std::ptr::null_mut(), 10)
    })
}

/// Adds a byte to the file of readings. Nothing here may read a clock, or allocate.
fn tell() {
    let Some(path) = variable(c"ARMILLARY_CLOCK_READINGS") else {
        return;
    };
    // SAFETY: the path ends with a zero; the descriptor is closed again; one byte is written of one.
    unsafe {
        let file = libc::open(
            path,
            libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC,
            0o600,
        );
        if file >= 0 {
            libc::write(file, b"x".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}
