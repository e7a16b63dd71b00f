//! What the allocation checker must know of an instruction set and of a function's two ends.
//!
//! Owns the vocabulary alone: what an instruction reads, writes and moves ([`Effect`]), where calls and returns find their
//! values ([`Roles`]), and what holds on entry and must hold on return ([`Contract`]). `isa::*::effects` and
//! `isa::*::abi` speak it. Does not know how the checker uses it.

#![forbid(unsafe_code)]

use crate::ir::Ref;
use crate::mach::{Label, MInst, Reg, Sets};

/// What one instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Registers whose contents matter, by [`Reg::index`]; without those that form an address.
    pub(crate) reads: u128,
    pub(crate) writes: u128,
    /// Registers that form the address of memory that is read or written.
    pub(crate) address: u128,
    pub(crate) reads_flags: bool,
    pub(crate) writes_flags: bool,
    pub(crate) memory: Option<MemoryUse>,
    pub(crate) action: Action,
}

/// Memory that an instruction reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    pub(crate) read: bool,
    pub(crate) written: bool,
    pub(crate) base: Reg,
    pub(crate) bytes: i32,
}

/// The kinds of instruction whose effect on symbols is more than "reads, and writes something new".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Computes.
    Other,
    /// Copies the low bytes of a register.
    Copy { to: Reg, from: Reg, bytes: i32, zero_extends: bool },
    /// Loads from memory.
    Load { to: Reg, bytes: i32, zero_extends: bool },
    /// Stores to memory.
    Store { from: Reg, bytes: i32 },
    /// Stores an immediate.
    StoreImm,
    /// Puts these bits into a register.
    Constant { to: Reg, bits: u64 },
    /// Exchanges two registers.
    Exchange { a: Reg, b: Reg },
    /// Writes memory without changing it, so that its page exists.
    Touch,
    /// Pushes a register.
    Push { from: Reg },
    /// Pops a register.
    Pop { to: Reg },
    /// Changes the stack pointer.
    MoveStack { by: i32 },
    /// Lowers the stack pointer to a multiple of so many bytes.
    AlignStack { bytes: i32 },
    /// Puts the stack pointer so many bytes above an address in the frame.
    SetStack { base: Reg, disp: i32 },
    /// Calls what the memory operand points to.
    Call,
    /// Returns.
    Return,
    /// Goes to a label, always or on a condition.
    Jump { to: Label, always: bool },
}

/// Looks for an exchange in instructions of which the later ones may be missing.
pub(crate) type Exchange = fn([Option<&MInst>; 3]) -> Option<(Reg, Reg)>;

/// What the checker must know of an instruction set.
pub(crate) struct Roles {
    /// What an instruction, which is no pseudo instruction, does.
    pub(crate) describe: fn(&MInst) -> Effect,
    /// Do these instructions begin with an exchange of two registers by three of them?
    pub(crate) exchange: Exchange,
    pub(crate) stack: Reg,
    /// Where calls find the address of their arguments, their data, and the context.
    pub(crate) call_arguments: [Reg; 3],
    pub(crate) call_results: [Reg; 2],
    /// Where a status or an integer result is returned.
    pub(crate) status: Reg,
    /// What the distance of the stack pointer from its value on entry must be modulo 16 at a call.
    pub(crate) call_depth: i32,
    /// A frame of so many bytes or more is touched at every multiple of them.
    pub(crate) page: i32,
}

/// How a function is entered and left.
pub(crate) struct Contract {
    /// What registers hold on entry; a raw bool has only its lowest byte.
    pub(crate) registers: Vec<(Reg, Ref)>,
    /// What the caller's frame holds, by distance from the stack pointer on entry.
    pub(crate) stack: Vec<(i32, Ref)>,
    /// Do bools on entry have only their lowest byte?
    pub(crate) raw_bools: bool,
    /// Registers that must be given back as they were, by class.
    pub(crate) saved: Sets,
    /// How many bytes of such a vector register count.
    pub(crate) saved_vector_bytes: i32,
    /// Where the first result is returned; none: all are stored behind [`Hidden::Out`].
    pub(crate) result: Option<Reg>,
    /// For code over columns: how it goes through them. Its values are those of several rows.
    pub(crate) columns: Option<Columns>,
}

/// How code over columns goes through them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Where the addresses of the columns stand, and the number of steps, on entry.
    pub(crate) given: [Reg; 2],
    /// The first row of the step, and the row behind the last one.
    pub(crate) index: Reg,
    pub(crate) end: Reg,
    /// How many inputs there are, and all columns.
    pub(crate) inputs: usize,
    pub(crate) columns: usize,
    /// Rows that a register holds, and rows of a step.
    pub(crate) rows: i32,
    pub(crate) step: i32,
    /// Bytes of a register, and of the part of it that a value of each type fills.
    pub(crate) register: i32,
    pub(crate) widths: [i32; 5],
}
