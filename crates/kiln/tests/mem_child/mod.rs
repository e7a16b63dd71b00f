//! What the memory tests share: code to seal, and children, because limits, filters and forks are for life.
//!
//! A child runs one closure and ends with it. It must not touch the test harness, so a check that fails says where
//! on the error stream and is seen by its parent as status 1.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(unreachable_pub, reason = "it is a module of several programs")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use kiln::mem::Sealed;

/// `mov eax, value; ret`
pub fn returning(value: u32) -> [u8; 6] {
    let [a, b, c, d] = value.to_le_bytes();
    [0xB8, a, b, c, d, 0xC3]
}

/// Calls code made by `returning`.
pub fn call(code: &Sealed) -> u32 {
    // SAFETY: the memory tests call nothing but `returning`, a function without arguments that returns a `u32`.
    let function: extern "C" fn() -> u32 = unsafe { std::mem::transmute(code.as_ptr()) };
    function()
}

/// Runs `body` in a child process and gives back its wait status: 0 if it returned, 256 if it panicked, else the
/// number of the signal that ended it.
pub fn in_child(body: impl FnOnce()) -> i32 {
    // SAFETY: the child runs only the closure, which takes no lock of another test (the allocator's are reset by
    // the C library), and then ends without returning to the harness.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        end_in_a_minute();
        let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
        // SAFETY: ends the process; nothing runs afterwards.
        unsafe { libc::_exit(i32::from(failed)) }
    }
    let mut status = 0;
    // SAFETY: waits for our own child and writes to a local.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status
}

/// Has a signal end this process if it hangs, which its parent sees as a failure.
pub fn end_in_a_minute() {
    // SAFETY: no precondition.
    unsafe { libc::alarm(60) };
}

/// The lines of the memory map of this process.
pub fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").unwrap()
}

/// How many bytes of memory are resident.
pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The next of a sequence of numbers that look random.
pub fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}
