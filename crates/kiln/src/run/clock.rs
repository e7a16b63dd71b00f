//! How long a thread has run, for tests of growth: on a busy machine the clock on the wall says little.
//!
//! Owns one system call. Knows nothing else.

use std::time::Duration;

/// Processor time that `f` takes on this thread.
#[cfg(unix)]
pub(crate) fn time(f: impl FnOnce()) -> Duration {
    let start = thread_time();
    f();
    thread_time() - start
}

/// The time that `f` takes.
#[cfg(not(unix))]
pub(crate) fn time(f: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    f();
    start.elapsed()
}

#[cfg(unix)]
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec` to the address that it is given, which is that of a live local one. It is used
    // by tests alone, and a failure leaves the zeros.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
