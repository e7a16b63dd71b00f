//! Dual-mapped slots: small pieces of memory that is writable at one address and executable at another.
//!
//! The one idea: a slot has a size class; a freed slot goes to its class's list and is the first to be used again,
//! so that sealing is a copy. Slots start at multiples of a cache line and share none, because writing beside code
//! that runs makes a processor flush its pipeline. The books are outside the memory; freed code becomes traps.
//!
//! A fork shares this memory with the child, so neither side may write to it any more: chunks from before a fork are
//! retired. Their code stays callable on both sides, freed slots are not used again, and a chunk is unmapped when its
//! last slot is free.
//!
//! It does not know what is in a slot. It is the weaker mode by design: see `Mode::DualMapped`.

use std::ptr::NonNull;

use super::mapping::DualMapping;
use super::{LINE, Place, SealError, sys};

/// The first chunk in bytes; each one is twice as large as the one before, up to the largest.
const FIRST_CHUNK: usize = 64 << 10;
const LARGEST_CHUNK: usize = 16 << 20;

/// The store of an arena in dual-mapped mode.
pub(super) struct Slots {
    page: usize,
    chunks: Vec<Option<Chunk>>,
    /// Per size class, the freed slots: chunk and offset.
    free: Vec<Vec<(u32, u32)>>,
    /// The chunk that new slots are cut from.
    current: Option<usize>,
    /// How many forks had been seen when the current chunks were made.
    generation: u64,
    next_chunk: usize,
}

/// One mapped file.
struct Chunk {
    views: DualMapping,
    /// Slots were cut up to here.
    cut: usize,
    live: usize,
    /// Whether another process may have it mapped, so that it must not be written.
    retired: bool,
}

impl Slots {
    /// An empty store.
    pub(super) fn new(page: usize) -> Slots {
        let generation = sys::fork_generation();
        Slots { page, chunks: Vec::new(), free: Vec::new(), current: None, generation, next_chunk: FIRST_CHUNK }
    }

    /// How much address space it holds, both views counted.
    pub(super) fn reserved_bytes(&self) -> usize {
        self.chunks.iter().flatten().map(|chunk| chunk.views.writable.len() + chunk.views.executable.len()).sum()
    }

    /// Copies code to a slot and says where it can be run.
    pub(super) fn seal(&mut self, code: &[u8]) -> Result<(NonNull<u8>, Place), SealError> {
        self.retire_after_fork();
        let (class, size) = class_of(code.len());
        let (index, offset) = match self.free.get_mut(class).and_then(Vec::pop) {
            Some((index, offset)) => (index as usize, offset as usize),
            None => self.cut(size)?,
        };
        let chunk = chunk(&mut self.chunks, index);
        let bytes = offset..offset + size;
        let start = chunk.views.executable.at(&bytes);
        // SAFETY: needs writable bytes without live code. The slot is free or new, so no `Sealed` has it, and its
        // chunk is not retired, so no other process has it either. A slot given out twice would fail
        // `mem_seal::what_is_live_stays_callable`, a retired one `mem_fork`.
        unsafe { chunk.views.writable.write(bytes, code) };
        chunk.live += 1;
        Ok((start, Place { chunk: narrow(index), first: narrow(offset), extent: narrow(class) }))
    }

    /// Takes a slot back.
    pub(super) fn free(&mut self, place: Place) {
        self.retire_after_fork();
        let (index, offset, class) = (place.chunk as usize, place.first as usize, place.extent as usize);
        let chunk = chunk(&mut self.chunks, index);
        chunk.live -= 1;
        if !chunk.retired {
            let bytes = offset..offset + size_of_class(class);
            // SAFETY: needs writable bytes without live code: the last `Sealed` of the slot is being dropped, and
            // its chunk is not retired.
            unsafe { chunk.views.writable.write(bytes, &[]) };
            if self.free.len() <= class {
                self.free.resize_with(class + 1, Vec::new);
            }
            if let Some(list) = self.free.get_mut(class) {
                list.push((place.chunk, place.first));
            }
        }
        if chunk.live == 0 && self.current != Some(index) {
            self.release(index);
        }
    }

    /// Cuts a new slot, from the current chunk or from a new one.
    fn cut(&mut self, size: usize) -> Result<(usize, usize), SealError> {
        let fits = |index: &usize| {
            let chunk = self.chunks.get(*index).and_then(Option::as_ref);
            chunk.is_some_and(|chunk| chunk.views.writable.len() - chunk.cut >= size)
        };
        let index = match self.current.filter(fits) {
            Some(index) => index,
            None => self.grow(size)?,
        };
        let chunk = chunk(&mut self.chunks, index);
        let offset = chunk.cut;
        chunk.cut += size;
        Ok((index, offset))
    }

    /// Takes a new chunk and makes it the current one.
    fn grow(&mut self, size: usize) -> Result<usize, SealError> {
        let least = size.next_multiple_of(self.page);
        let mut bytes = self.next_chunk.max(least);
        let views = loop {
            match DualMapping::reserve(bytes) {
                Ok(views) => break views,
                Err(SealError::OutOfMemory) if bytes > least => {
                    bytes = (bytes / 2).next_multiple_of(self.page).max(least);
                }
                Err(error) => return Err(error),
            }
        };
        self.next_chunk = (bytes * 2).min(LARGEST_CHUNK);
        let index = self.chunks.iter().position(Option::is_none).unwrap_or(self.chunks.len());
        let chunk = Chunk { views, cut: 0, live: 0, retired: false };
        match self.chunks.get_mut(index) {
            Some(entry) => *entry = Some(chunk),
            None => self.chunks.push(Some(chunk)),
        }
        if let Some(old) = self.current.replace(index)
            && self.chunks.get(old).is_some_and(|chunk| chunk.as_ref().is_some_and(|chunk| chunk.live == 0))
        {
            self.release(old);
        }
        Ok(index)
    }

    /// If there was a fork since, leaves all chunks as they are for good.
    fn retire_after_fork(&mut self) {
        let generation = sys::fork_generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        self.free.clear();
        self.current = None;
        self.next_chunk = FIRST_CHUNK;
        for entry in &mut self.chunks {
            if let Some(chunk) = entry {
                chunk.retired = true;
            }
            entry.take_if(|chunk| chunk.live == 0);
        }
    }

    /// Gives a chunk without live slots back to the system, and forgets its slots.
    fn release(&mut self, index: usize) {
        for list in &mut self.free {
            list.retain(|&(chunk, _)| chunk as usize != index);
        }
        if let Some(entry) = self.chunks.get_mut(index) {
            *entry = None;
        }
    }
}

/// The chunk of a slot that is live or free: those are never released before the slot is forgotten.
fn chunk(chunks: &mut [Option<Chunk>], index: usize) -> &mut Chunk {
    chunks.get_mut(index).and_then(Option::as_mut).expect("a slot keeps its chunk")
}

/// An index as a `Place` keeps it. Chunks have at most 2^31 bytes and there are fewer chunks than mappings.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("slots and chunks are counted in 32 bits")
}

/// The size class for this many bytes, and the size of its slots: the first eight are multiples of a line, then
/// there are four for each power of two, so that at most a fifth is wasted.
fn class_of(bytes: usize) -> (usize, usize) {
    let lines = bytes.div_ceil(LINE).max(1);
    let class = if lines <= 8 {
        lines - 1
    } else {
        let shift = (lines - 1).ilog2() as usize - 2;
        8 + (shift - 1) * 4 + lines.div_ceil(1 << shift) - 5
    };
    (class, size_of_class(class))
}

/// The size of the slots of a class.
fn size_of_class(class: usize) -> usize {
    if class < 8 { (class + 1) * LINE } else { ((class - 8) % 4 + 5) << ((class - 8) / 4 + 1) << LINE.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_smallest_that_fits() {
        for bytes in (0..200_000).chain([1 << 20, (1 << 24) + 1, 1 << 30]) {
            let (class, size) = class_of(bytes);
            assert!(size >= bytes && size % LINE == 0, "{bytes} bytes in {size}");
            assert!(class == 0 || size_of_class(class - 1) < bytes, "{bytes} bytes fit class {}", class - 1);
            assert!(bytes < 576 || size - bytes <= bytes / 4 + LINE, "{bytes} bytes waste {}", size - bytes);
        }
    }
}
