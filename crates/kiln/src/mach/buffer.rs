//! Code bytes, labels, fixups and the constant pool.
//!
//! The one idea: code is first written in a draft layout in which every branch that is not certainly near has its
//! long form and every alignment its full padding; so a distance in the draft is never less than the final one.
//! [`CodeBuffer::finish`] then decides which branches become short, closes the gaps by moving bytes down once, places
//! the constant pool behind the code and fills in all displacements. Code without branches moves nothing.
//!
//! An encoder writes into [`CodeBuffer::window`], says how much with [`CodeBuffer::advance`], and reports each field
//! that depends on a final address. All vectors are kept between functions. Nothing here knows an instruction set:
//! a short branch is an opcode byte and a displacement byte, and padding is described by [`Padding`].

#![forbid(unsafe_code)]

use super::Label;

/// What fills the gaps.
pub(crate) struct Padding {
    /// Writes instructions that do nothing over the whole slice; for gaps that may be executed.
    pub(crate) nops: fn(&mut [u8]),
    /// A byte that traps; for the gap between the code and the pool.
    pub(crate) trap: u8,
}

/// Why code could not be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutError {
    /// Code and pool together exceed the buffer's limit.
    TooLarge,
    /// A label is used but never bound.
    UnboundLabel(Label),
    /// A branch that was demanded short does not reach its label.
    TooFar(Label),
}

/// Constants that the code addresses relative to itself, each stored once.
///
/// Equal means equal bits, so that the two zeros and all NaNs keep their identity. An entry is aligned to its size;
/// the pool as a whole is aligned to its largest entry.
#[derive(Default)]
pub(crate) struct Pool {
    bytes: Vec<u8>,
    /// Offset and size of every entry, in order of their creation.
    entries: Vec<(u32, u8)>,
    /// Open-addressed hash table of indices into `entries`, plus one; a power of two long.
    slots: Vec<u32>,
    /// Size of the largest entry.
    align: u32,
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new() -> Pool {
        Pool::default()
    }

    /// Forgets all entries and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.entries.len() {
            let (at, size) = self.entries[index];
            // Probing from the entry's home slot clears everything that a probe for it could meet.
            let mut slot = hash(&self.bytes[at as usize..][..size as usize]) as usize & (self.slots.len() - 1);
            while self.slots[slot] != 0 {
                self.slots[slot] = 0;
                slot = (slot + 1) & (self.slots.len() - 1);
            }
        }
        self.bytes.clear();
        self.entries.clear();
        self.align = 0;
    }

    /// The constants in their final order.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The alignment that the pool's start must have; 0 if it is empty.
    pub(crate) fn align(&self) -> u32 {
        self.align
    }

    /// The offset of the entry with these bits, which is made if there is none.
    ///
    /// # Panics
    /// Unless `bits` is 4, 8, 16, 32 or 64 bytes long.
    pub(crate) fn add(&mut self, bits: &[u8]) -> i32 {
        let size = bits.len();
        assert!(size.is_power_of_two() && (4..=64).contains(&size), "an entry of 4 to 64 bytes");
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mut slot = hash(bits) as usize & (self.slots.len() - 1);
        while self.slots[slot] != 0 {
            let (at, known) = self.entries[self.slots[slot] as usize - 1];
            if known as usize == size && &self.bytes[at as usize..][..size] == bits {
                return at as i32;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let at = self.bytes.len().next_multiple_of(size);
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(bits);
        self.entries.push((at as u32, size as u8));
        self.slots[slot] = self.entries.len() as u32;
        self.align = self.align.max(size as u32);
        at as i32
    }

    /// The offset of an entry of `size` bytes that repeats the low `lane` bytes of `bits`.
    pub(crate) fn splat(&mut self, bits: u64, lane: usize, size: usize) -> i32 {
        let mut entry = [0; 64];
        for place in entry[..size].chunks_exact_mut(lane) {
            place.copy_from_slice(&bits.to_le_bytes()[..lane]);
        }
        self.add(&entry[..size])
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(16);
        self.slots.clear();
        self.slots.resize(len, 0);
        for (index, &(at, size)) in self.entries.iter().enumerate() {
            let mut slot = hash(&self.bytes[at as usize..][..size as usize]) as usize & (len - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (len - 1);
            }
            self.slots[slot] = index as u32 + 1;
        }
    }
}

/// Mixes the bits of an entry, four bytes at a time.
fn hash(bits: &[u8]) -> u64 {
    let mut state = bits.len() as u64;
    for part in bits.as_chunks::<4>().0 {
        state = (state ^ u64::from(u32::from_le_bytes(*part))).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 32;
    }
    state
}

/// A field whose value depends on final addresses.
#[derive(Clone, Copy)]
struct Fixup {
    /// Draft offset of the field; of the instruction for branches and of the padding for alignment.
    at: u32,
    /// What the field refers to: a label, a pool offset, or an alignment in bytes.
    target: u32,
    kind: FixupKind,
}

#[derive(Clone, Copy)]
enum FixupKind {
    /// Four bytes, relative to the end of the instruction, which is `tail` bytes after the field, to a label.
    Label { tail: u8 },
    /// The same, to the constant pool.
    Pool { tail: u8 },
    /// One byte, relative to its own end, to a label.
    Near,
    /// A branch of `lead` bytes and a four-byte displacement that may become `opcode` and a one-byte one.
    Branch { lead: u8, opcode: u8, short: bool },
    /// Padding; `at` is its start and the draft holds `target - 1` bytes of it.
    Align,
}

/// A piece of the draft that the final layout leaves out.
#[derive(Clone, Copy)]
struct Cut {
    /// Its draft offset.
    at: u32,
    /// Bytes left out by this cut and the ones before it.
    total: u32,
}

const UNBOUND: u32 = u32::MAX;

/// Machine code in the making.
pub(crate) struct CodeBuffer {
    /// Bytes written so far, and room for the next instruction behind them.
    bytes: Vec<u8>,
    len: usize,
    /// Draft offset of each label.
    labels: Vec<u32>,
    fixups: Vec<Fixup>,
    cuts: Vec<Cut>,
    /// Offset of each noted instruction.
    marks: Vec<u32>,
    /// How many fixups can change the layout.
    movable: usize,
    padding: &'static Padding,
    limit: usize,
    /// The limit was exceeded and code has been lost.
    overflow: bool,
    code_len: usize,
    align: u32,
    /// Never choose the short form of a branch.
    pub(crate) force_long: bool,
}

impl CodeBuffer {
    /// Bytes that [`window`](CodeBuffer::window) gives at least: an instruction has at most 15.
    pub(crate) const WINDOW: usize = 32;

    /// An empty buffer that will hold at most `limit` bytes of code and constants.
    pub(crate) fn new(padding: &'static Padding, limit: usize) -> CodeBuffer {
        CodeBuffer {
            bytes: Vec::new(),
            len: 0,
            labels: Vec::new(),
            fixups: Vec::new(),
            cuts: Vec::new(),
            marks: Vec::new(),
            movable: 0,
            padding,
            limit: limit.min(i32::MAX as usize / 2),
            overflow: false,
            code_len: 0,
            align: 1,
            force_long: false,
        }
    }

    /// Forgets everything but the settings, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.labels.clear();
        self.fixups.clear();
        self.cuts.clear();
        self.marks.clear();
        self.movable = 0;
        self.overflow = false;
        self.code_len = 0;
        self.align = 1;
    }

    /// Bytes written so far.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Code and constants; only meaningful after [`finish`](CodeBuffer::finish).
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// How many of the bytes are code; the rest is padding and the constant pool.
    pub(crate) fn code_len(&self) -> usize {
        self.code_len
    }

    /// Offsets noted by [`mark`](CodeBuffer::mark), in that order; final after `finish`.
    pub(crate) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// A place for the next instruction, to be written from its start.
    #[inline]
    pub(crate) fn window(&mut self) -> &mut [u8; CodeBuffer::WINDOW] {
        if self.bytes.len() < self.len + CodeBuffer::WINDOW {
            self.grow();
        }
        self.bytes[self.len..].first_chunk_mut().expect("grow makes room")
    }

    #[cold]
    fn grow(&mut self) {
        if self.len > self.limit {
            // The code is lost already; what follows overwrites itself so that memory stays bounded.
            self.overflow = true;
            self.len = 0;
            self.fixups.clear();
            self.movable = 0;
            self.marks.clear();
        }
        let len = (self.bytes.len() * 2).max(1024).max(self.len + CodeBuffer::WINDOW);
        self.bytes.resize(len.min(self.limit + 2 * CodeBuffer::WINDOW), 0);
    }

    /// The first `count` bytes of the window are code now.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.len += count;
    }

    /// Appends bytes as they are.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(CodeBuffer::WINDOW) {
            self.window()[..part.len()].copy_from_slice(part);
            self.advance(part.len());
        }
    }

    /// A label that is not bound yet.
    pub(crate) fn new_label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds `label` to this place; labels made elsewhere, by number, are welcome.
    pub(crate) fn bind(&mut self, label: Label) {
        if self.labels.len() <= label.0 as usize {
            self.labels.resize(label.0 as usize + 1, UNBOUND);
        }
        self.labels[label.0 as usize] = self.len as u32;
    }

    /// Is this label bound?
    pub(crate) fn is_bound(&self, label: Label) -> bool {
        self.draft(label) != UNBOUND
    }

    /// Notes the present offset.
    pub(crate) fn mark(&mut self) {
        self.marks.push(self.len as u32);
    }

    /// The four bytes at `at` bytes into the window are relative to a label; the instruction ends `tail` bytes later.
    pub(crate) fn fix_label(&mut self, at: usize, tail: u8, label: Label) {
        self.fix(self.len + at, label.0, FixupKind::Label { tail });
    }

    /// The four bytes at `at` bytes into the window are relative to a pool entry.
    #[inline]
    pub(crate) fn fix_pool(&mut self, at: usize, tail: u8, offset: i32) {
        self.fix(self.len + at, offset as u32, FixupKind::Pool { tail });
    }

    /// The byte at `at` bytes into the window is relative to a label, and ends the instruction.
    pub(crate) fn fix_near(&mut self, at: usize, label: Label) {
        self.fix(self.len + at, label.0, FixupKind::Near);
    }

    /// Appends a branch: `lead` and four bytes, or `short` and one byte.
    pub(crate) fn branch(&mut self, lead: &[u8], short: u8, label: Label) {
        let target = self.draft(label);
        let here = self.len as i64 + 2;
        if target != UNBOUND && i64::from(target) - here >= -128 && !self.force_long {
            self.window()[0] = short;
            self.fix_near(1, label);
            self.advance(2);
            return;
        }
        let kind = FixupKind::Branch { lead: lead.len() as u8, opcode: short, short: false };
        self.fix(self.len, label.0, kind);
        self.movable += 1;
        self.window()[..lead.len()].copy_from_slice(lead);
        self.advance(lead.len() + 4);
    }

    /// Aligns what follows to `align` bytes, a power of two of at most 64, by instructions that do nothing.
    pub(crate) fn align_code(&mut self, align: u32) {
        debug_assert!(align.is_power_of_two() && align <= 64);
        self.fix(self.len, align, FixupKind::Align);
        self.movable += 1;
        self.align = self.align.max(align);
        self.extend(&[self.padding.trap; 64][..align as usize - 1]);
    }

    #[inline]
    fn fix(&mut self, at: usize, target: u32, kind: FixupKind) {
        self.fixups.push(Fixup { at: at as u32, target, kind });
    }

    fn draft(&self, label: Label) -> u32 {
        self.labels.get(label.0 as usize).copied().unwrap_or(UNBOUND)
    }

    /// Lays out the code, appends the pool and fills in all displacements.
    pub(crate) fn finish(&mut self, pool: &Pool) -> Result<(), LayoutError> {
        if self.overflow || self.len > self.limit {
            return Err(LayoutError::TooLarge);
        }
        if self.movable > 0 {
            if !self.force_long {
                self.shorten();
            }
            self.close_gaps();
        }
        self.code_len = self.len;
        let pool_at = self.append_pool(pool)?;
        for index in 0..self.fixups.len() {
            let Fixup { at, target, kind } = self.fixups[index];
            let from = i64::from(at);
            let label = || match self.draft(Label(target)) {
                UNBOUND => Err(LayoutError::UnboundLabel(Label(target))),
                offset => Ok(i64::from(offset)),
            };
            let (place, width, value) = match kind {
                FixupKind::Label { tail } => (from, 4, label()? - (from + 4 + i64::from(tail))),
                FixupKind::Pool { tail } => (from, 4, pool_at + i64::from(target) - (from + 4 + i64::from(tail))),
                FixupKind::Near => (from, 1, label()? - (from + 1)),
                FixupKind::Branch { short: true, .. } => (from + 1, 1, label()? - (from + 2)),
                FixupKind::Branch { lead, .. } => (from + i64::from(lead), 4, label()? - (from + i64::from(lead) + 4)),
                FixupKind::Align => continue,
            };
            if width == 1 && i64::from(value as i8) != value {
                return Err(LayoutError::TooFar(Label(target)));
            }
            self.bytes[place as usize..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        Ok(())
    }

    fn append_pool(&mut self, pool: &Pool) -> Result<i64, LayoutError> {
        if pool.bytes().is_empty() {
            return Ok(0);
        }
        let at = self.len.next_multiple_of(pool.align() as usize);
        let end = at + pool.bytes().len();
        if end > self.limit {
            return Err(LayoutError::TooLarge);
        }
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[self.len..at].fill(self.padding.trap);
        self.bytes[at..end].copy_from_slice(pool.bytes());
        self.len = end;
        self.align = self.align.max(pool.align());
        Ok(at as i64)
    }

    /// Marks the branches that can be short. Each round can only add to them, because distances only shrink; the
    /// rounds are few, and their number is bounded so that the work stays linear.
    fn shorten(&mut self) {
        for _ in 0..8 {
            let mut changed = false;
            for index in 0..self.fixups.len() {
                let fixup = self.fixups[index];
                let FixupKind::Branch { opcode, short: false, lead } = fixup.kind else { continue };
                let target = self.draft(Label(fixup.target));
                if target == UNBOUND {
                    continue;
                }
                // Forward, the four or more bytes that this branch itself would lose are not between.
                let from = if target > fixup.at { fixup.at + u32::from(lead) + 4 } else { fixup.at };
                let own = if target > fixup.at { 0 } else { 2 };
                let distance = i64::from(self.moved(target)) - i64::from(self.moved(from)) - own;
                if i64::from(distance as i8) == distance {
                    self.fixups[index].kind = FixupKind::Branch { lead, opcode, short: true };
                    changed = true;
                }
            }
            if !changed {
                return;
            }
            self.cut(false);
        }
    }

    /// Lists the cuts that follow from the short branches and, if `exact`, from the alignments.
    fn cut(&mut self, exact: bool) {
        self.cuts.clear();
        let mut total = 0;
        for fixup in &self.fixups {
            let (at, bytes) = match fixup.kind {
                FixupKind::Branch { lead, short: true, .. } => (fixup.at + 2, u32::from(lead) + 2),
                FixupKind::Align if exact => {
                    let keep = (fixup.at - total).next_multiple_of(fixup.target) - (fixup.at - total);
                    (fixup.at + keep, fixup.target - 1 - keep)
                }
                _ => continue,
            };
            if bytes > 0 {
                total += bytes;
                self.cuts.push(Cut { at, total });
            }
        }
    }

    /// Where a draft offset ends up under the present cuts.
    fn moved(&self, offset: u32) -> u32 {
        match self.cuts.partition_point(|cut| cut.at < offset) {
            0 => offset,
            count => offset - self.cuts[count - 1].total,
        }
    }

    /// Moves the code down over the cuts, and labels, marks and fixups with it.
    fn close_gaps(&mut self) {
        self.cut(true);
        for index in 0..self.fixups.len() {
            let Fixup { at, target, kind } = self.fixups[index];
            match kind {
                FixupKind::Branch { opcode, short: true, .. } => self.bytes[at as usize] = opcode,
                FixupKind::Align => {
                    let keep = self.moved(at + target - 1) - self.moved(at);
                    (self.padding.nops)(&mut self.bytes[at as usize..][..keep as usize]);
                }
                _ => {}
            }
            self.fixups[index].at = self.moved(at);
        }
        let mut to = self.cuts.first().map_or(self.len, |cut| cut.at as usize);
        let mut before = 0;
        for index in 0..self.cuts.len() {
            let Cut { at, total } = self.cuts[index];
            let from = (at + total - before) as usize;
            let end = self.cuts.get(index + 1).map_or(self.len, |next| next.at as usize);
            self.bytes.copy_within(from..end, to);
            to += end - from;
            before = total;
        }
        self.len = to;
        for index in 0..self.labels.len() {
            if self.labels[index] != UNBOUND {
                self.labels[index] = self.moved(self.labels[index]);
            }
        }
        for index in 0..self.marks.len() {
            self.marks[index] = self.moved(self.marks[index]);
        }
    }
}

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
