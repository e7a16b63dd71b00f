//! Strict private pages: code is kept in whole pages that are writable before they are executable, never again
//! while anything in them is live.
//!
//! The one idea: a chunk of address space is, from its start, executable pages (live or free), then pages that were
//! never used. In all of an arena there is one *window* of writable pages, and sealing takes its front: the border
//! between writable and executable moves by some pages in one system call. So an arena of any size is a handful of
//! mappings to the kernel, and a free page costs a system call only as its share of the window that recycles it.
//!
//! Who adds to it keeps these, which `mem_maps` and `mem_seal` check:
//! - outside the window, pages below `used` are executable and pages from `used` on are without access;
//! - a page is in exactly one of: live, free (a bit in `free`), in the window, never used;
//! - the books change after the system call has succeeded, so a refusal leaves them true.
//!
//! It does not know what is in a page, nor how many handles share it: it hands out page ranges and takes them back.

use std::ops::Range;
use std::ptr::NonNull;

use super::mapping::{Access, Mapping};
use super::{Place, SealError};

/// The first chunk of an arena, in bytes, and how much the next one grows, up to the largest.
const FIRST_CHUNK: usize = 64 << 10;
const CHUNK_GROWTH: usize = 4;
const LARGEST_CHUNK: usize = 64 << 20;

/// The largest window, in pages: the memory that an arena may hold ready is what a system call is shared by.
const LARGEST_WINDOW: usize = 32;

/// How many free pages with memory behind them a chunk may keep, at least.
const SPARE_PAGES: usize = 256;

/// The store of an arena in strict mode.
pub(super) struct Pages {
    page: usize,
    chunks: Vec<Option<Chunk>>,
    window: Option<Window>,
    /// How many pages the next window and the next chunk should have.
    next_window: usize,
    next_chunk: usize,
}

/// The writable pages: `pages` of the chunk `chunk`.
#[derive(Clone)]
struct Window {
    chunk: usize,
    pages: Range<usize>,
}

/// One reservation of address space.
struct Chunk {
    mapping: Mapping,
    pages: usize,
    /// Pages from here on were never used.
    used: usize,
    live: usize,
    /// How many pages were freed since memory was last given back.
    spare: usize,
    free: FreePages,
}

impl Pages {
    /// An empty store that grows.
    pub(super) fn new(page: usize) -> Pages {
        let next_chunk = (FIRST_CHUNK / page).max(1);
        Pages { page, chunks: Vec::new(), window: None, next_window: 4, next_chunk }
    }

    /// An empty store whose first chunk holds one code of `bytes`.
    pub(super) fn alone(page: usize, bytes: usize) -> Pages {
        let next_chunk = bytes.div_ceil(page).max(1);
        Pages { page, chunks: Vec::new(), window: None, next_window: 1, next_chunk }
    }

    /// How much address space it holds.
    pub(super) fn reserved_bytes(&self) -> usize {
        self.chunks.iter().flatten().map(|chunk| chunk.mapping.len()).sum()
    }

    /// Copies code to pages of its own and makes them executable.
    pub(super) fn seal(&mut self, code: &[u8]) -> Result<(NonNull<u8>, Place), SealError> {
        let count = code.len().div_ceil(self.page).max(1);
        let window = self.window_of(count)?;
        let pages = window.pages.start..window.pages.start + count;
        let bytes = pages.start * self.page..pages.end * self.page;
        let chunk = chunk(&mut self.chunks, window.chunk);
        let start = chunk.mapping.at(&bytes);
        // SAFETY: needs writable bytes without live code: pages of the window are.
        unsafe { chunk.mapping.write(bytes.clone(), code) };
        // SAFETY: needs a range without live code: nobody has an address in it yet. Sealing more than these pages
        // would make the next `write` a fault in `mem_seal`.
        unsafe { chunk.mapping.protect(bytes, Access::Execute) }?;
        chunk.live += count;
        let place = Place { chunk: narrow(window.chunk), first: narrow(pages.start), extent: narrow(count) };
        self.window = Some(Window { chunk: window.chunk, pages: pages.end..window.pages.end });
        Ok((start, place))
    }

    /// Takes pages back. They stay executable, with what they hold, until a window recycles them or their memory
    /// goes back to the system.
    pub(super) fn free(&mut self, place: Place) {
        let (index, first, count) = (place.chunk as usize, place.first as usize, place.extent as usize);
        let chunk = chunk(&mut self.chunks, index);
        chunk.live -= count;
        chunk.put_back(first..first + count);
        if chunk.live == 0 && self.window.as_ref().is_none_or(|window| window.chunk != index) {
            self.release(index);
        } else if chunk.spare > SPARE_PAGES.max(chunk.live) {
            chunk.give_back_memory(self.page);
        }
    }

    /// A window with at least `count` pages.
    fn window_of(&mut self, count: usize) -> Result<Window, SealError> {
        if let Some(window) = &self.window
            && window.pages.len() >= count
        {
            return Ok(window.clone());
        }
        let old = self.close_window();
        let want = count.max(self.next_window);
        let window = match self.find(count, want) {
            Some(window) => {
                self.open(&window)?;
                window
            }
            None => self.grow(count, want)?,
        };
        self.next_window = (self.next_window * 2).min(LARGEST_WINDOW);
        if let Some(old) = old
            && old != window.chunk
            && self.chunks.get(old).is_some_and(|chunk| chunk.as_ref().is_some_and(|chunk| chunk.live == 0))
        {
            self.release(old);
        }
        self.window = Some(window.clone());
        Ok(window)
    }

    /// Seals what is left of the window, as free pages, and says in which chunk it was.
    fn close_window(&mut self) -> Option<usize> {
        let window = self.window.take()?;
        let chunk = chunk(&mut self.chunks, window.chunk);
        if !window.pages.is_empty() {
            let bytes = window.pages.start * self.page..window.pages.end * self.page;
            // SAFETY: needs a range without live code: pages of the window have none. A refusal leaves free pages
            // writable, which no promise forbids, and the next window takes them as they are.
            let _ = unsafe { chunk.mapping.protect(bytes, Access::Execute) };
            chunk.put_back(window.pages);
        }
        Some(window.chunk)
    }

    /// Where `count` pages (up to `want`) are free: recycled ones at the lowest address, else some never used.
    fn find(&self, count: usize, want: usize) -> Option<Window> {
        let chunks = || self.chunks.iter().enumerate().filter_map(|(index, chunk)| Some((index, chunk.as_ref()?)));
        chunks().find_map(|(chunk, it)| Some(Window { chunk, pages: it.free.run(count, want)? })).or_else(|| {
            let (chunk, it) = chunks().find(|(_, it)| it.pages - it.used >= count)?;
            Some(Window { chunk, pages: it.used..it.pages.min(it.used + want) })
        })
    }

    /// Makes pages that `find` has found writable, and takes them from the free ones.
    fn open(&mut self, window: &Window) -> Result<(), SealError> {
        let chunk = chunk(&mut self.chunks, window.chunk);
        let bytes = window.pages.start * self.page..window.pages.end * self.page;
        // SAFETY: needs a range without live code: every `Sealed` of a free page is gone, and its drop came before
        // the lock that we hold, so nobody is inside. A live page in it is a fault in
        // `mem_seal::what_is_live_stays_callable`.
        unsafe { chunk.mapping.protect(bytes.clone(), Access::Write) }?;
        if window.pages.len() > 1 {
            chunk.mapping.populate(bytes);
        }
        chunk.used = chunk.used.max(window.pages.end);
        chunk.spare = chunk.spare.saturating_sub(window.pages.len());
        chunk.free.remove(window.pages.clone());
        Ok(())
    }

    /// Takes a new chunk and opens a window at its start. Less address space is taken when the system has no more.
    fn grow(&mut self, count: usize, want: usize) -> Result<Window, SealError> {
        let mut pages = self.next_chunk.max(count);
        // A small chunk is one window from the start, which saves a system call.
        let small = FIRST_CHUNK / self.page;
        let mapping = loop {
            let access = if pages <= small.max(count) { Access::Write } else { Access::Nothing };
            match Mapping::reserve(pages * self.page, access) {
                Ok(mapping) => break mapping,
                Err(SealError::OutOfMemory) if pages > count => pages = (pages / 2).max(count),
                Err(error) => return Err(error),
            }
        };
        self.next_chunk = (pages * CHUNK_GROWTH).min(LARGEST_CHUNK / self.page).max(1);
        let index = self.chunks.iter().position(Option::is_none).unwrap_or(self.chunks.len());
        let chunk = Chunk { mapping, pages, used: 0, live: 0, spare: 0, free: FreePages::new(pages) };
        match self.chunks.get_mut(index) {
            Some(entry) => *entry = Some(chunk),
            None => self.chunks.push(Some(chunk)),
        }
        if pages <= small.max(count) {
            let chunk = self::chunk(&mut self.chunks, index);
            chunk.used = pages;
            if pages > 1 {
                chunk.mapping.populate(0..want.min(pages) * self.page);
            }
            return Ok(Window { chunk: index, pages: 0..pages });
        }
        let window = Window { chunk: index, pages: 0..want.min(pages) };
        self.open(&window)?;
        Ok(window)
    }

    /// Gives a chunk without live pages back to the system.
    fn release(&mut self, index: usize) {
        if let Some(entry) = self.chunks.get_mut(index) {
            *entry = None;
        }
    }
}

/// The chunk at an index that a window or a live place names: those are never released.
fn chunk(chunks: &mut [Option<Chunk>], index: usize) -> &mut Chunk {
    chunks.get_mut(index).and_then(Option::as_mut).expect("a window or live code keeps its chunk")
}

/// An index as a `Place` keeps it. Chunks have at most 2^30 bytes and there are fewer chunks than mappings.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("pages and chunks are counted in 32 bits")
}

impl Chunk {
    /// Marks pages as free.
    fn put_back(&mut self, pages: Range<usize>) {
        self.spare += pages.len();
        self.free.insert(pages);
    }

    /// Gives the memory of all free pages back to the system, one call per run of them.
    fn give_back_memory(&mut self, page: usize) {
        let mut from = 0;
        while let Some(run) = self.free.next_run(from) {
            from = run.end;
            // SAFETY: needs a range without live code: its pages are free. A live one in it would hold zeros, a
            // fault in `mem_seal::what_is_live_stays_callable`.
            unsafe { self.mapping.discard(run.start * page..run.end * page) };
        }
        self.spare = 0;
    }
}

/// A set of pages, a bit each.
struct FreePages {
    words: Vec<u64>,
    count: usize,
    /// All words before this one are zero.
    lowest: usize,
}

impl FreePages {
    fn new(pages: usize) -> FreePages {
        FreePages { words: vec![0; pages.div_ceil(64)], count: 0, lowest: 0 }
    }

    fn insert(&mut self, pages: Range<usize>) {
        self.count += pages.len();
        self.lowest = self.lowest.min(pages.start / 64);
        for page in pages {
            if let Some(word) = self.words.get_mut(page / 64) {
                *word |= 1 << (page % 64);
            }
        }
    }

    /// Removes those of `pages` that are in the set.
    fn remove(&mut self, pages: Range<usize>) {
        for page in pages {
            if let Some(word) = self.words.get_mut(page / 64) {
                let bit = 1 << (page % 64);
                self.count -= usize::from(*word & bit != 0);
                *word &= !bit;
            }
        }
        while self.words.get(self.lowest) == Some(&0) {
            self.lowest += 1;
        }
    }

    /// The lowest run of at least `count` pages, cut to `want`.
    fn run(&self, count: usize, want: usize) -> Option<Range<usize>> {
        if self.count < count {
            return None;
        }
        let mut from = self.lowest * 64;
        loop {
            let run = self.next_run(from)?;
            if run.len() >= count {
                return Some(run.start..run.end.min(run.start + want));
            }
            from = run.end;
        }
    }

    /// The first run at or after `from`.
    fn next_run(&self, from: usize) -> Option<Range<usize>> {
        let start = self.next(from, false)?;
        let end = self.next(start, true).unwrap_or(self.words.len() * 64);
        Some(start..end)
    }

    /// The first page at or after `from` that is in the set, or, `inverted`, that is not.
    fn next(&self, from: usize, inverted: bool) -> Option<usize> {
        let mut skip = from % 64;
        for (index, &word) in self.words.iter().enumerate().skip(from / 64) {
            let word = if inverted { !word } else { word } & (u64::MAX << skip);
            if word != 0 {
                return Some(index * 64 + word.trailing_zeros() as usize);
            }
            skip = 0;
        }
        None
    }
}
