//! Executable memory through `mmap` and `mprotect`.
//!
//! It owns the system calls and what their errors mean. It knows no arena and no code. Its functions are the list
//! that another system must have: `page_size, reserve, protect, populate, discard, release, reserve_dual,
//! fork_generation`.

use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::SealError;
use super::mapping::Access;

/// The size of a page in bytes.
pub(super) fn page_size() -> usize {
    // SAFETY: `sysconf` has no precondition.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

/// What a failed call means to who wanted to seal.
fn failure(call: &'static str) -> SealError {
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ENOMEM | libc::EAGAIN | libc::EMFILE | libc::ENFILE) => SealError::OutOfMemory,
        Some(libc::ENOSYS) => SealError::Unsupported,
        code => SealError::Refused { call, code: code.unwrap_or(0) },
    }
}

/// The only place where access becomes protection bits: there is no row with `PROT_WRITE` and `PROT_EXEC`.
fn protection(access: Access) -> c_int {
    match access {
        Access::Nothing => libc::PROT_NONE,
        Access::Write => libc::PROT_READ | libc::PROT_WRITE,
        Access::Execute => libc::PROT_READ | libc::PROT_EXEC,
    }
}

/// `mmap` at an address of the system's choice.
fn map(len: usize, access: Access, flags: c_int, file: c_int) -> Result<NonNull<u8>, SealError> {
    // SAFETY: without `MAP_FIXED` the call takes addresses that nobody has; a bad length or file is an error.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, protection(access), flags, file, 0) };
    if start == libc::MAP_FAILED {
        return Err(failure("mmap"));
    }
    NonNull::new(start.cast()).ok_or(SealError::OutOfMemory)
}

/// Takes private, zeroed memory.
pub(super) fn reserve(len: usize, access: Access) -> Result<NonNull<u8>, SealError> {
    map(len, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1)
}

/// Changes the access to whole pages.
///
/// # Safety
/// The range is the caller's, and nobody relies on the access that it loses.
pub(super) unsafe fn protect(start: NonNull<u8>, len: usize, access: Access) -> Result<(), SealError> {
    // SAFETY: needs a range that is the caller's to change: the promise above.
    let status = unsafe { libc::mprotect(start.as_ptr().cast(), len, protection(access)) };
    if status == 0 { Ok(()) } else { Err(failure("mprotect")) }
}

/// Backs a writable range with memory in one call in place of a fault per page. A hint.
///
/// # Safety
/// The range is the caller's.
pub(super) unsafe fn populate(start: NonNull<u8>, len: usize) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        /// `MADV_POPULATE_WRITE`; a kernel that does not know it changes nothing.
        const POPULATE_WRITE: c_int = 23;
        // SAFETY: needs a range of the caller's; the advice changes no contents.
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), len, POPULATE_WRITE) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (start, len);
}

/// Gives back the memory behind a range; the addresses and their access stay. A hint.
///
/// # Safety
/// The range is the caller's, and nobody needs its contents.
pub(super) unsafe fn discard(start: NonNull<u8>, len: usize) {
    // SAFETY: needs a range whose contents may be lost: the promise above.
    let _ = unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTNEED) };
}

/// Unmaps a whole range.
///
/// # Safety
/// The range is the caller's, and nobody uses it afterwards.
pub(super) unsafe fn release(start: NonNull<u8>, len: usize) {
    // SAFETY: needs a range that nobody uses afterwards: the promise above. Failure leaves it mapped: a leak.
    let _ = unsafe { libc::munmap(start.as_ptr().cast(), len) };
}

/// How many times this process (or a parent before it) was about to fork, as far as this library was told.
///
/// The one piece of state outside an arena, because a fork happens to a process. It grows, and nothing else.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks have been seen. It only means something to compare it with an earlier answer.
pub(super) fn fork_generation() -> u64 {
    FORKS.load(Ordering::Acquire)
}

/// Takes memory that is mapped twice: first writable, then executable.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn reserve_dual(len: usize) -> Result<(NonNull<u8>, NonNull<u8>), SealError> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    watch_forks()?;
    // SAFETY: the name is a C string; the call has no other precondition.
    let file = unsafe { libc::memfd_create(c"kiln".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(failure("memfd_create"));
    }
    // SAFETY: needs a descriptor that nobody else owns: it is new.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    let size = libc::off_t::try_from(len).map_err(|_| SealError::OutOfMemory)?;
    // SAFETY: no precondition; the descriptor is open.
    if unsafe { libc::ftruncate(file.as_raw_fd(), size) } != 0 {
        return Err(failure("ftruncate"));
    }
    let writable = map(len, Access::Write, libc::MAP_SHARED, file.as_raw_fd())?;
    match map(len, Access::Execute, libc::MAP_SHARED, file.as_raw_fd()) {
        Ok(executable) => Ok((writable, executable)),
        Err(error) => {
            // SAFETY: needs a range that nobody uses afterwards: it was mapped above and given to nobody.
            unsafe { release(writable, len) };
            Err(error)
        }
    }
}

/// Takes memory that is mapped twice: not on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn reserve_dual(_: usize) -> Result<(NonNull<u8>, NonNull<u8>), SealError> {
    Err(SealError::Unsupported)
}

/// Has `FORKS` count from now on: shared memory must not be written once another process may run it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn watch_forks() -> Result<(), SealError> {
    use std::sync::OnceLock;

    static WATCHED: OnceLock<bool> = OnceLock::new();

    extern "C" fn before_fork() {
        FORKS.fetch_add(1, Ordering::AcqRel);
    }

    let watched = WATCHED.get_or_init(|| {
        // SAFETY: needs handlers that may run in `fork` at any time: `before_fork` is one atomic addition.
        let status = unsafe { libc::pthread_atfork(Some(before_fork), None, None) };
        status == 0
    });
    if *watched { Ok(()) } else { Err(SealError::OutOfMemory) }
}
