//! What the allocation checker knows at a place of the code: what every register and stack word holds.
//!
//! Owns the symbols, how stack words are read and written, and what is left where two paths meet. Knows no instruction
//! and no contract.

#![forbid(unsafe_code)]

use super::{FILES, ensure};
use crate::ir::Ref;
use std::collections::BTreeMap;

/// What a place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Unknown,
    /// Something that the instructions of this group made.
    Temp(u32),
    Value(Ref),
    /// A bool of which only the lowest byte is right.
    Raw(Ref),
    Bits(u64),
    /// What the register with this index held on entry.
    Saved(u8),
    /// The address at the bottom of the frame.
    Stack,
    /// An address in the frame, by distance from the stack pointer on entry.
    StackAt(i32),
    /// Constants from so many bytes of the pool, repeated over a register.
    Pool {
        at: u32,
        bytes: u8,
    },
    /// Where the addresses of the columns stand, and the address of one.
    List,
    Column(u32),
    /// A row: the first of the step or the one behind the last.
    Row,
}

/// A register's symbol, and the group in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) symbol: Symbol,
    pub(super) group: u32,
}

pub(super) const NOTHING: Held = Held { symbol: Symbol::Unknown, group: u32::MAX };
/// No group: the flags mean nothing.
pub(super) const NO_GROUP: u32 = u32::MAX;
/// What a fallible evaluation writes to its context: the node and the kind of error.
pub(super) const CONTEXT_WRITTEN: u8 = 3;

/// What is known at a place of the code.
#[derive(Clone, PartialEq)]
pub(super) struct State {
    pub(super) registers: [Held; FILES],
    /// Stack by distance from the stack pointer on entry: symbol and bytes.
    pub(super) stack: BTreeMap<i32, (Symbol, i32)>,
    pub(super) depth: i32,
    /// The group that wrote the flags.
    pub(super) flags: u32,
    pub(super) results: Vec<Symbol>,
    pub(super) context: u8,
    /// The lowest place that was touched ahead of the stack pointer.
    pub(super) touched: i32,
    /// Where the stack pointer was made a multiple of a register's bytes.
    pub(super) aligned: Option<i32>,
    /// Has the step at hand stored a row?
    pub(super) stored: bool,
}

/// Where in the caller's terms a slot lies.
pub(super) fn frame_place(state: &State, slot: u32) -> i32 {
    state.depth + 8 * slot as i32
}

/// What `bytes` bytes of the stack hold. An input's word may be read beyond the input.
pub(super) fn read_stack(state: &State, at: i32, bytes: i32) -> Symbol {
    match state.stack.get(&at) {
        Some(&(symbol, stored)) if bytes <= stored => symbol,
        _ => Symbol::Unknown,
    }
}

pub(super) fn write_stack(state: &mut State, at: i32, bytes: i32, symbol: Symbol) -> Result<(), String> {
    ensure(at >= state.depth && at + bytes <= 0, || format!("writes {bytes} bytes of the stack at {at}"))?;
    // Nothing is larger than a register.
    let from = at - 63;
    let overlaps = |(&place, &(_, size)): (&i32, &(Symbol, i32))| (place + size > at).then_some(place);
    let gone: Vec<i32> = state.stack.range(from..at + bytes).filter_map(overlaps).collect();
    for place in gone {
        state.stack.remove(&place);
    }
    state.stack.insert(at, (symbol, bytes));
    Ok(())
}

/// Keeps in `state` what is so in `other`, too.
pub(super) fn merge(state: &mut State, other: &State, group: u32) -> Result<(), String> {
    ensure(state.depth == other.depth, || "paths meet with different stack pointers".into())?;
    for (held, theirs) in state.registers.iter_mut().zip(&other.registers) {
        if held.symbol != theirs.symbol {
            let own = held.group == group && theirs.group == group;
            *held = if own { Held { symbol: Symbol::Temp(group), group } } else { NOTHING };
        } else if held.group != theirs.group {
            held.group = NO_GROUP;
        }
    }
    state.stack.retain(|at, held| other.stack.get(at) == Some(held));
    for (held, theirs) in state.results.iter_mut().zip(&other.results) {
        if held != theirs {
            *held = Symbol::Unknown;
        }
    }
    state.context &= other.context;
    state.stored |= other.stored;
    ensure(state.aligned == other.aligned, || "paths meet with different alignments".into())?;
    state.flags = NO_GROUP;
    Ok(())
}
