//! Executable memory through `VirtualAlloc` and `VirtualProtect`.
//!
//! It owns the system calls and what their errors mean; its functions are those of `unix.rs`. Memory is committed
//! when it is first made writable. There is no dual mapping here yet, and no fork.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use super::SealError;
use super::mapping::Access;

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_RELEASE: u32 = 0x8000;
const PAGE_NOACCESS: u32 = 0x01;
const PAGE_READWRITE: u32 = 0x04;
const PAGE_EXECUTE_READ: u32 = 0x20;
const ERROR_NOT_ENOUGH_MEMORY: i32 = 8;
const ERROR_COMMITMENT_LIMIT: i32 = 1455;

#[link(name = "kernel32")]
unsafe extern "system" {
    fn VirtualAlloc(address: *mut c_void, size: usize, kind: u32, protection: u32) -> *mut c_void;
    fn VirtualProtect(address: *mut c_void, size: usize, protection: u32, old: *mut u32) -> i32;
    fn VirtualFree(address: *mut c_void, size: usize, kind: u32) -> i32;
}

/// The size of a page in bytes, on every processor that Windows runs on today.
pub(super) fn page_size() -> usize {
    4096
}

/// What a failed call means to who wanted to seal.
fn failure(call: &'static str) -> SealError {
    match std::io::Error::last_os_error().raw_os_error() {
        Some(ERROR_NOT_ENOUGH_MEMORY | ERROR_COMMITMENT_LIMIT) => SealError::OutOfMemory,
        code => SealError::Refused { call, code: code.unwrap_or(0) },
    }
}

/// The only place where access becomes protection bits: there is no row that writes and executes.
fn protection(access: Access) -> u32 {
    match access {
        Access::Nothing => PAGE_NOACCESS,
        Access::Write => PAGE_READWRITE,
        Access::Execute => PAGE_EXECUTE_READ,
    }
}

/// Takes private, zeroed memory.
pub(super) fn reserve(len: usize, access: Access) -> Result<NonNull<u8>, SealError> {
    let kind = if access == Access::Nothing { MEM_RESERVE } else { MEM_RESERVE | MEM_COMMIT };
    // SAFETY: without an address the call takes addresses that nobody has; a bad length is an error.
    let start = unsafe { VirtualAlloc(ptr::null_mut(), len, kind, protection(access)) };
    NonNull::new(start.cast()).ok_or_else(|| failure("VirtualAlloc"))
}

/// Changes the access to whole pages, committing them if they become writable.
///
/// # Safety
/// The range is the caller's, and nobody relies on the access that it loses.
pub(super) unsafe fn protect(start: NonNull<u8>, len: usize, access: Access) -> Result<(), SealError> {
    if access == Access::Write {
        // SAFETY: needs a range that is the caller's: the promise above. Committing again changes no contents.
        let committed = unsafe { VirtualAlloc(start.as_ptr().cast(), len, MEM_COMMIT, PAGE_READWRITE) };
        if committed.is_null() {
            return Err(failure("VirtualAlloc"));
        }
    }
    let mut old = 0;
    // SAFETY: needs a committed range that is the caller's to change: the promise above.
    let status = unsafe { VirtualProtect(start.as_ptr().cast(), len, protection(access), &mut old) };
    if status != 0 { Ok(()) } else { Err(failure("VirtualProtect")) }
}

/// Backs a writable range with memory now. A hint, which is not taken.
///
/// # Safety
/// The range is the caller's.
pub(super) unsafe fn populate(_: NonNull<u8>, _: usize) {}

/// Gives back the memory behind a range. A hint, which is not taken: decommitting would lose the access.
///
/// # Safety
/// The range is the caller's, and nobody needs its contents.
pub(super) unsafe fn discard(_: NonNull<u8>, _: usize) {}

/// Unmaps a whole range.
///
/// # Safety
/// The range is the caller's, and nobody uses it afterwards.
pub(super) unsafe fn release(start: NonNull<u8>, _: usize) {
    // SAFETY: needs the start of a reservation that nobody uses afterwards: the promise above.
    let _ = unsafe { VirtualFree(start.as_ptr().cast(), 0, MEM_RELEASE) };
}

/// There is no fork.
pub(super) fn fork_generation() -> u64 {
    0
}

/// Takes memory that is mapped twice: not on this system.
pub(super) fn reserve_dual(_: usize) -> Result<(NonNull<u8>, NonNull<u8>), SealError> {
    Err(SealError::Unsupported)
}
