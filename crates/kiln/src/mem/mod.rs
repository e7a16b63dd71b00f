//! Executable memory: a [`Draft`] of bytes becomes a [`Sealed`] that can be called, and is freed on drop.
//!
//! The one idea: there are two states and one step between them. A `Draft` has no address to call; `seal` copies it
//! into pages that are writable, turns them executable, and only then does an address exist. A `Sealed` has no way
//! to write. So no page is ever writable and executable at once, and code that somebody may run is never touched.
//!
//! - `mod.rs`: the public types and who owns what.
//! - `pages.rs`: [`Mode::Strict`], whole pages that are recycled only when nothing in them is live.
//! - `slots.rs`: [`Mode::DualMapped`], small slots behind two views of the same memory.
//! - `mapping.rs`: address ranges that are owned, bounds-checked and unmapped on drop.
//! - `unix.rs`, `windows.rs`: the system calls, under the same names; nothing above them names a system.
//!
//! Who adds a system writes one file with the functions of `unix.rs`. Who adds an unsafe block writes its proof and
//! adds it to `docs/safety.md`.
//!
//! Memory sees bytes only: it knows no instruction (but the byte that traps, for dead space), no function signature
//! and no formula. Calling is the business of `run`.

mod mapping;
mod pages;
mod slots;
#[cfg(unix)]
#[path = "unix.rs"]
mod sys;
#[cfg(windows)]
#[path = "windows.rs"]
mod sys;

use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pages::Pages;
use slots::Slots;

/// What fills the space in which there is no code: on x86 the one-byte trap `int3`, elsewhere zero (on AArch64 a
/// word of zeros is the permanently undefined instruction).
const TRAP: u8 = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) { 0xCC } else { 0 };

/// The largest code, or batch of codes, that is accepted.
const LARGEST: usize = 1 << 30;

/// The alignment of code that asks for none: a cache line, which is also the widest constant that code may hold.
const LINE: usize = 64;

/// How an [`Arena`] keeps its promise that nothing is writable and executable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Private pages. A page is writable while it is written and executable from then on; it is made writable again
    /// only when all the code in it has been dropped. No address of any page with live code can be written through
    /// by anyone. Code that is sealed alone takes whole pages; codes sealed in one [`Batch`] share them.
    #[default]
    Strict,
    /// A weaker promise, for those who seal many functions one at a time: the memory is mapped twice, once writable
    /// and once executable, so that sealing costs no system call. No *address* is writable and executable, but live
    /// code has a writable alias, so a host that is corrupted elsewhere could change it. Linux only.
    DualMapped,
}

/// Why code could not be made callable. The caller can still interpret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The system denied it: a policy such as SELinux, `MemoryDenyWriteExecute` or a seccomp filter.
    Refused {
        /// The system call that was denied.
        call: &'static str,
        /// The error number it gave.
        code: i32,
    },
    /// No memory, no address space, or no mapping is left.
    OutOfMemory,
    /// The code (or the batch) has this many bytes, more than the 2^30 that are accepted.
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// This system or processor has no such mode.
    Unsupported,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Refused { call, code } => {
                let reason = std::io::Error::from_raw_os_error(*code);
                write!(f, "the system refused executable memory: {call}: {reason}")
            }
            SealError::OutOfMemory => f.write_str("no memory or address space is left for code"),
            SealError::TooLarge { bytes } => write!(f, "code of {bytes} bytes exceeds the limit of {LARGEST}"),
            SealError::Unsupported => f.write_str("executable memory of this mode is not supported here"),
        }
    }
}

impl std::error::Error for SealError {}

/// Code that cannot be called: bytes without an address. Sealing is the only way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    bytes: Vec<u8>,
    align: usize,
}

impl Draft {
    /// A draft of these bytes, to start at a multiple of 64.
    pub fn from_bytes(bytes: Vec<u8>) -> Draft {
        Draft { bytes, align: LINE }
    }

    /// Asks that the code start at a multiple of `align` bytes. It is rounded up to a power of two and kept within
    /// 16 and 64; more alignment than asked for may be given.
    #[must_use]
    pub fn aligned(mut self, align: usize) -> Draft {
        self.align = align.clamp(16, LINE).next_power_of_two();
        self
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes it callable in strict pages of its own. Who seals more than a few wants [`Draft::seal_in`], which
    /// shares mappings and recycles pages.
    pub fn seal(&self) -> Result<Sealed, SealError> {
        Arena::alone(self.bytes.len()).seal(&self.bytes)
    }

    /// Makes it callable in `arena`.
    pub fn seal_in(&self, arena: &Arena) -> Result<Sealed, SealError> {
        arena.seal(&self.bytes)
    }
}

impl From<Vec<u8>> for Draft {
    fn from(bytes: Vec<u8>) -> Draft {
        Draft::from_bytes(bytes)
    }
}

/// Many codes that are sealed together: in strict mode they share pages and pay for one system call.
///
/// They share a fate, too: the pages are recycled when the last [`Sealed`] of the batch is dropped.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    codes: Vec<(usize, usize)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds code and says its place in what [`Batch::seal_in`] returns.
    pub fn push(&mut self, draft: &Draft) -> usize {
        self.add(&draft.bytes, draft.align)
    }

    /// Adds code given as a slice, to start at a multiple of 64, and says its place in what [`Batch::seal_in`]
    /// returns.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> usize {
        self.add(bytes, LINE)
    }

    fn add(&mut self, bytes: &[u8], align: usize) -> usize {
        let start = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(start, TRAP);
        self.bytes.extend_from_slice(bytes);
        self.codes.push((start, bytes.len()));
        self.codes.len() - 1
    }

    /// How many codes it holds.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Empties it, and keeps its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.codes.clear();
    }

    /// Makes all of them callable, in the order in which they were added: all or none.
    pub fn seal_in(&self, arena: &Arena) -> Result<Vec<Sealed>, SealError> {
        if self.codes.is_empty() {
            return Ok(Vec::new());
        }
        let code = |&(start, len): &(usize, usize)| self.bytes.get(start..start + len).unwrap_or_default();
        match arena.inner.mode {
            Mode::DualMapped => self.codes.iter().map(|place| arena.seal(code(place))).collect(),
            Mode::Strict => {
                let whole = arena.seal(&self.bytes)?;
                Ok(self.codes.iter().map(|&(start, len)| whole.part(start, len)).collect())
            }
        }
    }
}

/// Where sealed code lives. A handle: clones share the same memory, which lasts as long as any clone or any
/// [`Sealed`] made in it. It can be used from any thread.
#[derive(Clone)]
pub struct Arena {
    inner: Arc<Inner>,
}

/// What an arena's handles and its sealed codes own together.
struct Inner {
    mode: Mode,
    store: Mutex<Store>,
}

/// The two ways to keep code; an arena has one for life.
enum Store {
    Pages(Pages),
    Slots(Slots),
}

/// Where a code (or a batch) is kept, in the terms of its store.
#[derive(Clone, Copy, Debug)]
struct Place {
    chunk: u32,
    /// Pages: the first page and how many. Slots: the offset in bytes and the size class.
    first: u32,
    extent: u32,
}

impl Arena {
    /// An arena without memory; it takes address space in growing steps when code is sealed.
    pub fn new(mode: Mode) -> Arena {
        let store = match mode {
            Mode::Strict => Store::Pages(Pages::new(sys::page_size())),
            Mode::DualMapped => Store::Slots(Slots::new(sys::page_size())),
        };
        Arena::of(mode, store)
    }

    /// An arena for one code of this size.
    fn alone(bytes: usize) -> Arena {
        Arena::of(Mode::Strict, Store::Pages(Pages::alone(sys::page_size(), bytes.min(LARGEST))))
    }

    fn of(mode: Mode, store: Store) -> Arena {
        Arena { inner: Arc::new(Inner { mode, store: Mutex::new(store) }) }
    }

    /// How this arena keeps its promise.
    pub fn mode(&self) -> Mode {
        self.inner.mode
    }

    /// How much address space the arena holds, in bytes, the second view of a dual mapping included.
    pub fn reserved_bytes(&self) -> usize {
        match &*self.inner.lock() {
            Store::Pages(pages) => pages.reserved_bytes(),
            Store::Slots(slots) => slots.reserved_bytes(),
        }
    }

    /// Copies `code` into the arena and makes it callable. It starts at a multiple of 64.
    pub fn seal(&self, code: &[u8]) -> Result<Sealed, SealError> {
        if code.len() > LARGEST {
            return Err(SealError::TooLarge { bytes: code.len() });
        }
        if !cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
            // Other processors want their instruction caches told; none is supported yet.
            return Err(SealError::Unsupported);
        }
        let (start, place) = match &mut *self.inner.lock() {
            Store::Pages(pages) => pages.seal(code)?,
            Store::Slots(slots) => slots.seal(code)?,
        };
        let region = Arc::new(Region { arena: Arc::clone(&self.inner), place });
        Ok(Sealed { start, len: code.len(), _region: region })
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("mode", &self.inner.mode).field("reserved_bytes", &self.reserved_bytes()).finish()
    }
}

impl Inner {
    /// The store. A panic elsewhere while it was held cannot have left it half changed: every change to the books
    /// follows the system call that it records, so a poisoned lock is taken as it is.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of one code or one batch; its drop gives it back.
struct Region {
    arena: Arc<Inner>,
    place: Place,
}

impl Drop for Region {
    fn drop(&mut self) {
        match &mut *self.arena.lock() {
            Store::Pages(pages) => pages.free(self.place),
            Store::Slots(slots) => slots.free(self.place),
        }
    }
}

/// Callable code: executable, never writable, at an address that stays until the last clone is dropped.
///
/// It says where the code is and nothing about how to call it; whoever calls must keep a clone until the call
/// returns.
#[derive(Clone)]
pub struct Sealed {
    start: NonNull<u8>,
    len: usize,
    _region: Arc<Region>,
}

// SAFETY: `start` points at bytes that no one writes while a `Sealed` of their region lives (`Pages` and `Slots`
// write only to what `free` has given back), so it may be read and run from any thread. The region is behind an
// `Arc` and its arena behind a `Mutex`. A store that wrote to live code would fail `mem_threads`.
unsafe impl Send for Sealed {}
// SAFETY: as for `Send`: all that `&Sealed` gives is reading bytes that do not change.
unsafe impl Sync for Sealed {}

impl Sealed {
    /// Where the code starts.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// How many bytes of code there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no code at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The code, for reading.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: needs `len` readable bytes at `start` that nobody writes during the borrow. `seal` returned this
        // range after copying `len` bytes to it, executable pages are mapped readable, and `_region` keeps them
        // from being recycled or unmapped. A wrong range would fail `mem_seal::bytes_are_what_was_sealed`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// A part of it with the same owner.
    fn part(&self, offset: usize, len: usize) -> Sealed {
        assert!(offset <= self.len && len <= self.len - offset, "a part lies within its whole");
        // SAFETY: needs `offset` to stay within one allocation: the line above.
        let start = unsafe { self.start.add(offset) };
        Sealed { start, len, _region: Arc::clone(&self._region) }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("start", &self.start).field("len", &self.len).finish()
    }
}
