//! The block engine: a function over some hundred rows at a time, one operation after the other.
//!
//! The one idea: the loop over rows stands inside each operation, so that what an interpreter costs is shared by all rows
//! of a block, and simple operations are vector code. Every operation is a [`RowsMeaning`] of the op table, so the bits are
//! those of the reference interpreter. Rows that go different ways are kept apart by a *mask* for each region: pure
//! operations run for all rows of a block, which is harmless, calls for the rows of the mask, and a region that no row enters is
//! skipped. A loop runs until no row is in it; a row that has left keeps what it carried.
//!
//! A block in which a row stops is given up: the caller evaluates it row by row, and finds out which one and why. That
//! evaluates calls again, so functions that call what has effects must not come here.
//!
//! `plan` makes the program. To add a kind of node: a variant of [`What`], an arm in [`Blocks::step`], one in `plan`.

#![forbid(unsafe_code)]

mod plan;
#[cfg(test)]
mod tests;

use super::{Callee, Target};
use crate::ops::lanes::RowsMeaning;
use crate::types::{Type, Value};

/// A function as a list of operations on blocks of rows.
pub(crate) struct Blocks {
    steps: Vec<Step>,
    /// The arguments of all calls.
    args: Vec<Operand>,
    callees: Vec<Callee>,
    regions: Vec<Arm>,
    loops: Vec<Repeat>,
    carried: Vec<Carried>,
    constants: Vec<(Operand, u64)>,
    /// Those that the function uses.
    inputs: Vec<Option<Operand>>,
    outputs: Vec<Operand>,
    /// How many values are alive at once.
    slots: usize,
    /// Rows of a block.
    rows: usize,
}

/// A value: where its rows stand, and their type.
#[derive(Clone, Copy, Debug)]
struct Operand {
    slot: u32,
    ty: Type,
}

impl Operand {
    /// The bytes of its first `rows` rows.
    fn rows(self, memory: &Memory, rows: usize) -> &[u8] {
        &memory.slots[self.slot as usize][..rows * bytes_of(self.ty)]
    }
}

/// One operation.
struct Step {
    what: What,
    region: u16,
    out: Operand,
}

enum What {
    /// A row of the op table, a copy or a choice.
    Op(RowsMeaning, [Option<Operand>; 3]),
    /// Callee and range of arguments.
    Call(u32, std::ops::Range<u32>),
    /// Gives the block up if the operand is true in a row.
    Trap(Operand),
    /// The end of a loop.
    Loop(u32),
}

/// A region that runs for some rows.
struct Arm {
    parent: u16,
    condition: Option<Operand>,
    polarity: bool,
}

/// A loop.
struct Repeat {
    /// The first step behind what gives the carried values their first.
    first: usize,
    test: u16,
    regions_end: u16,
    condition: Operand,
    carried: std::ops::Range<usize>,
}

struct Carried {
    phi: Operand,
    next: Operand,
}

/// For which rows of the block does a region run?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    NotYetKnown,
    ForNone,
    /// Those of its mask.
    ForSome,
    ForAll,
}

/// The memory of evaluations, for reuse with the function that it was made for.
pub(crate) struct Memory {
    /// Rows of each value; all have room for the widest type.
    slots: Vec<Vec<u8>>,
    /// By region, a `bool` for each row; empty until a region needs one.
    masks: Vec<Vec<u8>>,
    runs: Vec<Runs>,
    nexts: Vec<Vec<u8>>,
    arguments: Vec<Value>,
}

/// Bytes of a row.
const fn bytes_of(ty: Type) -> usize {
    (ty.bits() as usize).div_ceil(8)
}

/// The bits of a row.
#[inline]
fn word(bytes: &[u8], ty: Type, row: usize) -> u64 {
    let at = |n: usize| bytes.get(row * n..row * n + n).unwrap_or_default();
    match bytes_of(ty) {
        1 => at(1).first().map_or(0, |&byte| u64::from(byte)),
        4 => at(4).try_into().map_or(0, |b| u64::from(u32::from_le_bytes(b))),
        _ => at(8).try_into().map_or(0, u64::from_le_bytes),
    }
}

/// Sets the bits of a row.
#[inline]
fn set_word(bytes: &mut [u8], ty: Type, row: usize, word: u64) {
    let size = bytes_of(ty);
    bytes[row * size..][..size].copy_from_slice(&word.to_le_bytes()[..size]);
}

impl Blocks {
    /// The most rows that a block has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory for evaluations.
    pub(crate) fn memory(&self) -> Memory {
        let mut slots = vec![vec![0; self.rows * 8]; self.slots];
        for (operand, bits) in &self.constants {
            for row in 0..self.rows {
                set_word(&mut slots[operand.slot as usize], operand.ty, row, *bits);
            }
        }
        let masks = vec![Vec::new(); self.regions.len()];
        Memory { slots, masks, runs: Vec::new(), nexts: Vec::new(), arguments: Vec::new() }
    }

    /// The bytes of an input's rows, if the function uses it.
    pub(crate) fn input<'a>(&self, memory: &'a mut Memory, number: usize) -> Option<&'a mut [u8]> {
        self.inputs[number].map(|operand| &mut memory.slots[operand.slot as usize][..])
    }

    /// The bytes of a result's rows.
    pub(crate) fn output<'a>(&self, memory: &'a Memory, number: usize) -> &'a [u8] {
        &memory.slots[self.outputs[number].slot as usize]
    }

    /// Evaluates the first `rows` rows of the inputs; false if a row stops.
    pub(crate) fn evaluate(&self, memory: &mut Memory, rows: usize) -> bool {
        memory.runs.clear();
        memory.runs.resize(self.regions.len(), Runs::NotYetKnown);
        if let Some(body) = memory.runs.first_mut() {
            *body = Runs::ForAll;
        }
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            at += 1;
            let runs = if step.region == 0 { Runs::ForAll } else { self.runs(memory, step.region, rows) };
            if runs == Runs::ForNone {
                continue;
            }
            if let What::Loop(number) = step.what {
                if self.iterate(memory, &self.loops[number as usize], rows) {
                    at = self.loops[number as usize].first;
                }
            } else if !self.step(memory, step, runs, rows) {
                return false;
            }
        }
        true
    }

    /// Does one operation; false if a row stops.
    #[inline]
    fn step(&self, memory: &mut Memory, step: &Step, runs: Runs, rows: usize) -> bool {
        match &step.what {
            What::Op(meaning, operands) => {
                let mut out = std::mem::take(&mut memory.slots[step.out.slot as usize]);
                let bytes = |i: usize| operands[i].map_or(&[][..], |operand| operand.rows(memory, rows));
                meaning(&mut out[..rows * bytes_of(step.out.ty)], bytes(0), bytes(1), bytes(2));
                memory.slots[step.out.slot as usize] = out;
                true
            }
            What::Call(callee, args) => {
                let mut out = std::mem::take(&mut memory.slots[step.out.slot as usize]);
                let args = &self.args[args.start as usize..args.end as usize];
                let mask = (runs == Runs::ForSome).then(|| std::mem::take(&mut memory.masks[step.region as usize]));
                let done = self.call(memory, *callee, args, mask.as_deref(), &mut out, step.out.ty, rows);
                if let Some(mask) = mask {
                    memory.masks[step.region as usize] = mask;
                }
                memory.slots[step.out.slot as usize] = out;
                done
            }
            What::Trap(condition) => {
                let condition = &memory.slots[condition.slot as usize][..rows];
                let mask = &memory.masks[step.region as usize];
                let stops = match runs {
                    Runs::ForSome => condition.iter().zip(mask).fold(0, |any, (c, m)| any | c & m),
                    _ => condition.iter().fold(0, |any, c| any | c),
                };
                stops & 1 == 0
            }
            What::Loop(_) => true,
        }
    }

    /// Calls a function, row by row unless it is a kernel; false if a call fails.
    #[allow(clippy::too_many_arguments, reason = "the parts of a step, taken out of the memory")]
    fn call(
        &self,
        memory: &mut Memory,
        callee: u32,
        args: &[Operand],
        mask: Option<&[u8]>,
        out: &mut [u8],
        ty: Type,
        rows: usize,
    ) -> bool {
        let runs = |row: usize| mask.is_none_or(|mask| mask[row] != 0);
        let argument = |memory: &Memory, i: usize, row: usize| {
            args.get(i).map_or(0, |arg| word(&memory.slots[arg.slot as usize], arg.ty, row))
        };
        match &self.callees[callee as usize].target {
            Target::Builtin(_, Some(kernel)) => {
                // What rows give that are not of the mask is harmless.
                let bytes = |i: usize| args.get(i).map_or(&[][..], |arg| arg.rows(memory, rows));
                (kernel.rows)(&mut out[..rows * bytes_of(ty)], bytes(0), bytes(1), bytes(2));
                true
            }
            Target::Builtin(meaning, None) => {
                for row in (0..rows).filter(|&row| runs(row)) {
                    let [a, b, c] = [0, 1, 2].map(|i| argument(memory, i, row));
                    set_word(out, ty, row, meaning(a, b, c));
                }
                true
            }
            Target::Host(host) => {
                let mut arguments = std::mem::take(&mut memory.arguments);
                let mut call = |row: usize| {
                    arguments.clear();
                    let values = args.iter().enumerate().map(|(i, arg)| (i, arg.ty));
                    arguments.extend(values.map(|(i, ty)| Value::from_bits(ty, argument(memory, i, row))));
                    let result = host.call(&arguments);
                    result.is_ok_and(|value| {
                        set_word(out, ty, row, value.to_bits());
                        true
                    })
                };
                let done = (0..rows).filter(|&row| runs(row)).all(&mut call);
                memory.arguments = arguments;
                done
            }
        }
    }

    /// For which rows does `region` run? Its condition stands before every step in it.
    fn runs(&self, memory: &mut Memory, region: u16, rows: usize) -> Runs {
        let known = |memory: &Memory, r: u16| memory.runs[r as usize] != Runs::NotYetKnown;
        while !known(memory, region) {
            let mut at = region;
            while !known(memory, self.regions[at as usize].parent) {
                at = self.regions[at as usize].parent;
            }
            let arm = &self.regions[at as usize];
            memory.runs[at as usize] = narrow(memory, arm.parent, at, arm.condition, arm.polarity, rows);
        }
        memory.runs[region as usize]
    }

    /// At the end of a loop: if it goes on for some rows, gives them their next values.
    fn iterate(&self, memory: &mut Memory, this: &Repeat, rows: usize) -> bool {
        if self.runs(memory, this.test, rows) == Runs::ForNone {
            return false;
        }
        let runs = narrow(memory, this.test, this.test, Some(this.condition), true, rows);
        if runs == Runs::ForNone {
            memory.runs[this.test as usize] = runs;
            return false;
        }
        let carried = &self.carried[this.carried.clone()];
        memory.nexts.resize_with(memory.nexts.len().max(carried.len()), || vec![0; self.rows * 8]);
        for (carried, merged) in carried.iter().zip(&mut memory.nexts) {
            let bytes = rows * bytes_of(carried.phi.ty);
            let next = &memory.slots[carried.next.slot as usize][..bytes];
            let phi = &memory.slots[carried.phi.slot as usize][..bytes];
            match plan::choice(carried.phi.ty) {
                Some(choose) if runs == Runs::ForSome => {
                    choose(&mut merged[..bytes], &memory.masks[this.test as usize][..rows], next, phi);
                }
                _ => merged[..bytes].copy_from_slice(next),
            }
        }
        for (carried, merged) in carried.iter().zip(&mut memory.nexts) {
            std::mem::swap(merged, &mut memory.slots[carried.phi.slot as usize]);
        }
        memory.runs[usize::from(this.test)..usize::from(this.regions_end)].fill(Runs::NotYetKnown);
        memory.runs[this.test as usize] = runs;
        true
    }
}

/// Makes the mask of region `of` from that of `around`: its rows in which the condition is as wanted.
fn narrow(memory: &mut Memory, around: u16, of: u16, condition: Option<Operand>, polarity: bool, rows: usize) -> Runs {
    let outer = memory.runs[around as usize];
    if outer == Runs::ForNone {
        return outer;
    }
    let mut mask = std::mem::take(&mut memory.masks[of as usize]);
    mask.resize(mask.len().max(rows), 0);
    if around != of && outer == Runs::ForSome {
        mask[..rows].copy_from_slice(&memory.masks[around as usize][..rows]);
    } else if outer == Runs::ForAll {
        mask[..rows].fill(1);
    }
    if let Some(condition) = condition {
        let condition = &memory.slots[condition.slot as usize][..rows];
        for (m, c) in mask.iter_mut().zip(condition) {
            *m &= c ^ u8::from(!polarity);
        }
    }
    let (any, all) = mask[..rows].iter().fold((0, 1), |(any, all), m| (any | m, all & m));
    memory.masks[of as usize] = mask;
    match (any & 1, all & 1) {
        (0, _) => Runs::ForNone,
        (_, 0) => Runs::ForSome,
        _ => Runs::ForAll,
    }
}
