//! Machine code as data: registers, instructions and the list that the backward walk writes.
//!
//! The lowering walk produces [`MInst`]s in reverse order; everything after it (labels, branch sizes, the constant
//! pool, the listing, the allocation checker, the encoder) reads that list. Nothing here knows an instruction set:
//! an [`Inst`] is a row number in the table of `isa::*::insts`.

#![forbid(unsafe_code)]

mod branch;
pub(crate) mod buffer;
mod carry;
#[cfg(any(test, debug_assertions))]
pub(crate) mod check;
pub(crate) mod listing;
mod loops;
mod notes;
mod registers;
pub(crate) mod schedule;
pub(crate) mod walk;

/// A machine register: two bits of class, five of number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reg(u8);

/// A register file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum RegClass {
    /// General-purpose integer registers.
    Gpr,
    /// Floating-point and vector registers.
    Vec,
    /// Mask registers (AVX-512 `k`).
    Mask,
}

impl Reg {
    /// No register: an absent base, index, mask or operand.
    pub(crate) const NONE: Reg = Reg(0xff);

    /// General-purpose register `n`.
    pub(crate) const fn gpr(n: u8) -> Reg {
        Reg(n)
    }

    /// Vector register `n`.
    pub(crate) const fn vec(n: u8) -> Reg {
        Reg(32 + n)
    }

    /// Mask register `n`.
    pub(crate) const fn mask(n: u8) -> Reg {
        Reg(64 + n)
    }

    /// The register with this [`index`](Reg::index).
    pub(crate) const fn from_index(index: u8) -> Reg {
        Reg(index)
    }

    /// The register's number within its file.
    pub(crate) const fn number(self) -> u8 {
        self.0 & 31
    }

    /// The register's file; meaningless for [`Reg::NONE`].
    pub(crate) const fn class(self) -> RegClass {
        match self.0 >> 5 {
            0 => RegClass::Gpr,
            1 => RegClass::Vec,
            _ => RegClass::Mask,
        }
    }

    /// Is there a register at all?
    pub(crate) const fn is_some(self) -> bool {
        self.0 != 0xff
    }

    /// A small dense index over all files, for tables.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Registers as bits, by class.
pub(crate) type Sets = [u32; CLASSES];

/// How many register files there are; [`RegClass`] numbers them.
pub(crate) const CLASSES: usize = 3;

/// A row of the instruction table of the instruction set in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Inst(pub(crate) u16);

/// A place in the code, bound by [`Inst::BIND`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Label(pub(crate) u32);

impl Inst {
    /// Pseudo instruction: binds the label whose number is in `imm`.
    pub(crate) const BIND: Inst = Inst(u16::MAX);
    /// Pseudo instruction: aligns the next one to `imm` bytes, a power of two of at most 64.
    pub(crate) const ALIGN: Inst = Inst(u16::MAX - 1);
}

/// How the memory operand of an instruction, if it has one, is addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Mem {
    /// All operands are registers or immediates.
    None,
    /// `[base + index * scale + disp]`; the base stands in the memory operand's slot of `regs`.
    Base1,
    /// The same with scale 2.
    Base2,
    /// The same with scale 4.
    Base4,
    /// The same with scale 8.
    Base8,
    /// `disp` is a byte offset into the function's constant pool, addressed relative to the instruction pointer.
    Pool,
    /// `disp` is a [`Label`], addressed relative to the instruction pointer.
    Label,
}

/// One machine instruction, 16 bytes of plain data.
///
/// `regs` holds the register operands in the manual's order (destination first); an operand that is memory holds
/// its base register there (or [`Reg::NONE`]). A 64-bit immediate is split: low half in `imm`, high half in `disp`.
/// A branch or call target label stands in `imm`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MInst {
    /// Which instruction.
    pub(crate) inst: Inst,
    /// Register operands, destination first.
    pub(crate) regs: [Reg; 3],
    /// AVX-512 write mask, or the register that an `/is4` immediate names.
    pub(crate) mask: Reg,
    /// Index register of the memory operand.
    pub(crate) index: Reg,
    /// Addressing mode (low bits) and the EVEX zeroing and broadcast bits; see [`MInst::mem`].
    pub(crate) mode: u8,
    /// Displacement, pool offset or label of the memory operand.
    pub(crate) disp: i32,
    /// Immediate, or branch target label.
    pub(crate) imm: i32,
}

const _: () = assert!(size_of::<MInst>() == 16);

impl MInst {
    /// EVEX.z: masked-off lanes become zero instead of keeping the destination.
    pub(crate) const ZEROING: u8 = 0x80;
    /// EVEX.b. With a memory operand: one element is broadcast to all lanes. Without one: no exceptions are raised
    /// and, where the instruction rounds, it does so as [`MInst::ROUNDING`] says.
    pub(crate) const BROADCAST: u8 = 0x40;
    /// The two bits of the rounding mode that goes with `BROADCAST`: nearest, down, up, towards zero.
    pub(crate) const ROUNDING: u8 = 0x18;

    /// The instruction `inst` without operands.
    pub(crate) const fn new(inst: Inst) -> MInst {
        MInst { inst, regs: [Reg::NONE; 3], mask: Reg::NONE, index: Reg::NONE, mode: 0, disp: 0, imm: 0 }
    }

    /// The addressing mode of the memory operand.
    pub(crate) const fn mem(&self) -> Mem {
        match self.mode & 7 {
            0 => Mem::None,
            1 => Mem::Base1,
            2 => Mem::Base2,
            3 => Mem::Base4,
            4 => Mem::Base8,
            5 => Mem::Pool,
            _ => Mem::Label,
        }
    }
}
