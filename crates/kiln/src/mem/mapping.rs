//! Owned address ranges: the one place where memory is written.
//!
//! The one idea: a `Mapping` knows where it starts and ends, so every offset is checked here, and what remains to be
//! proved by a caller is only whether a range is writable and dead. It is unmapped on drop.
//!
//! An adder of an operation checks its range through `at`. It does not know which pages are free: `pages.rs` and
//! `slots.rs` do.

use std::ops::Range;
use std::ptr::NonNull;

use super::sys;
use super::{SealError, TRAP};

/// What a range of private memory can be used for. There is no value that is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: address space only.
    Nothing,
    /// Reading and writing.
    Write,
    /// Reading and running.
    Execute,
}

/// A range of private memory.
pub(super) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a `Mapping` is the only owner of its range (system calls gave it out once, drop returns it once) and has no
// tie to a thread; the pointer is used through `&mut self` or for addresses only.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Takes `len` bytes of address space, a multiple of the page size, with this access.
    pub(super) fn reserve(len: usize, access: Access) -> Result<Mapping, SealError> {
        sys::reserve(len, access).map(|base| Mapping { base, len })
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The address at an offset, with `len` bytes behind it.
    pub(super) fn at(&self, range: &Range<usize>) -> NonNull<u8> {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} lies outside a mapping of {}", self.len);
        // SAFETY: needs the result to stay within the allocation: the line above.
        unsafe { self.base.add(range.start) }
    }

    /// Changes the access to a range of whole pages.
    ///
    /// # Safety
    /// No code in the range is live, unless the access is `Execute` and it already was.
    pub(super) unsafe fn protect(&mut self, range: Range<usize>, access: Access) -> Result<(), SealError> {
        let start = self.at(&range);
        // SAFETY: needs a range of ours (checked by `at`) without live code (the caller's promise).
        unsafe { sys::protect(start, range.len(), access) }
    }

    /// Asks that a writable range be backed by memory now. A hint: failure shows at the first touch.
    pub(super) fn populate(&mut self, range: Range<usize>) {
        let start = self.at(&range);
        // SAFETY: needs a range of ours (checked by `at`); the call changes no contents.
        unsafe { sys::populate(start, range.len()) }
    }

    /// Gives the memory behind a range back to the system and keeps the addresses and their access. A hint.
    ///
    /// # Safety
    /// No code in the range is live.
    pub(super) unsafe fn discard(&mut self, range: Range<usize>) {
        let start = self.at(&range);
        // SAFETY: needs a range of ours (checked by `at`) whose contents nobody needs (the caller's promise).
        unsafe { sys::discard(start, range.len()) }
    }

    /// Copies `code` to the start of `range` and fills the rest of it with traps.
    ///
    /// # Safety
    /// The range is writable and holds no live code.
    pub(super) unsafe fn write(&mut self, range: Range<usize>, code: &[u8]) {
        assert!(code.len() <= range.len(), "the code fits its place");
        let start = self.at(&range);
        let slack = self.at(&(range.start + code.len()..range.end));
        // SAFETY: needs `code.len()` writable bytes at `start` (within `range`: checked; writable: the caller's
        // promise) that do not overlap `code` (no reference to a dead range exists). A range that is not writable
        // is a fault in every test of `mem_seal`.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), start.as_ptr(), code.len()) }
        // SAFETY: needs that many writable bytes at `slack`: the rest of the same range.
        unsafe { slack.write_bytes(TRAP, range.len() - code.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: needs a whole range from `sys::reserve` or `sys::reserve_dual` that nobody uses afterwards: it is
        // ours alone, and `Pages` and `Slots` drop a mapping only when nothing in it is live. A drop with live code
        // in it is a fault in `mem_seal::what_is_live_stays_callable`.
        unsafe { sys::release(self.base, self.len) }
    }
}

/// The same memory at two addresses: one can be written, the other can be run.
pub(super) struct DualMapping {
    pub(super) writable: Mapping,
    pub(super) executable: Mapping,
}

impl DualMapping {
    /// Takes `len` bytes of memory, a multiple of the page size, and twice as much address space.
    pub(super) fn reserve(len: usize) -> Result<DualMapping, SealError> {
        let (writable, executable) = sys::reserve_dual(len)?;
        Ok(DualMapping { writable: Mapping { base: writable, len }, executable: Mapping { base: executable, len } })
    }
}
