//! Calling conventions as data, and the two ends of a function: where values come from and where results go.
//!
//! A function is entered in one of two ways. *Natively*, as a C function of its inputs' types, under either
//! convention on either system. Or *by buffer*: `status(args, out, context)` with one word for each input and result,
//! always under the System V convention; fallible formulas exist only in this form. The frame is, upwards from the
//! stack pointer: words for the arguments of calls, slots, saved vector registers, pushed registers.

#![forbid(unsafe_code)]

use super::insts::*;
use super::lower::{ADD, SUB, X64, alu_imm};
use super::regs::{R8, R9, RAX, RCX, RDI, RDX, RSI, RSP};
use crate::ir::{Func, Node, Ref};
#[cfg(any(test, debug_assertions))]
use crate::mach::check::Contract;
use crate::mach::walk::{Address, Chaos, Entry, Hidden, Shape, Target, Walk};
use crate::mach::{MInst, Reg, Sets};
use crate::ops::Op;
use crate::types::Type;

/// A calling convention.
#[derive(Debug)]
pub(crate) struct Abi {
    int_args: &'static [Reg],
    float_args: &'static [Reg],
    /// The n-th argument takes the n-th register of its class, not the next free one.
    positional: bool,
    /// Words that the caller leaves between the return address and stack arguments.
    shadow_words: u32,
    /// Registers that a function must give back as it found them, by class.
    callee_saved: Sets,
}

const XMM: [Reg; 8] = {
    let mut regs = [Reg::NONE; 8];
    let mut i = 0;
    while i < 8 {
        regs[i] = Reg::vec(i as u8);
        i += 1;
    }
    regs
};

/// rbx, rbp, r12 to r15.
const SAVED_BY_BOTH: u32 = 1 << 3 | 1 << 5 | 0xf000;

/// System V AMD64 ABI, section 3.2.
pub(crate) static SYSV: Abi = Abi {
    int_args: &[RDI, RSI, RDX, RCX, R8, R9],
    float_args: &XMM,
    positional: false,
    shadow_words: 0,
    callee_saved: [SAVED_BY_BOTH, 0, 0],
};

/// Microsoft x64 calling convention.
pub(crate) static WIN64: Abi = Abi {
    int_args: &[RCX, RDX, R8, R9],
    float_args: XMM.first_chunk::<4>().unwrap(),
    positional: true,
    shadow_words: 4,
    callee_saved: [SAVED_BY_BOTH | 1 << 6 | 1 << 7, 0xffc0, 0],
};

/// How a function is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Convention {
    /// As a C function of the inputs.
    Native(&'static Abi),
    /// `status(args, out, context)`.
    Buffer,
}

/// The host's own convention.
pub(crate) const HOST: &Abi = if cfg!(windows) { &WIN64 } else { &SYSV };

/// Registers that calls destroy: all that System V does not save.
pub(super) const CALL_CLOBBERS: Sets = [0xffff & !(SAVED_BY_BOTH | 1 << 4), 0xffff, 0];

/// The largest stack frame, in words: a function must run on small thread stacks.
const LARGEST_FRAME: u32 = 4096;
/// Stack is touched at least once in so many bytes.
const PAGE: i32 = 4096;

/// The frame would exceed its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameTooLarge;

/// Where an argument comes from.
#[derive(Clone, Copy)]
enum Source {
    Reg(Reg),
    /// A word of the caller's frame, counted from the first stack argument.
    Stack(u32),
}

/// Turns `func` into machine instructions in `walk.code`.
pub(crate) fn compile(
    walk: &mut Walk,
    target: &X64,
    func: &Func,
    convention: Convention,
    chaos: Chaos,
) -> Result<(), FrameTooLarge> {
    let argument_words = argument_words(func, target);
    let entry = Entry {
        params_in_memory: matches!(convention, Convention::Buffer),
        shape: Shape::SCALAR,
        branches_freely: true,
        allocatable: [0xffff & !(1 << 4), 0xffff, 0],
        preferred: [CALL_CLOBBERS[0], 0xffff, 0],
        argument_words,
    };
    let is_call = |node: &Node| matches!(node.op, Op::Call | Op::CallPinned) || target.is_called(func, node);
    walk.begin(func, &entry, chaos, is_call);
    let fallible = func.is_fallible();
    if fallible {
        walk.context_slot = Some(walk.stack_words);
        walk.stack_words += 1;
        let label = walk.label();
        walk.exit_label = Some(label);
    }
    match convention {
        Convention::Native(abi) => {
            walk.arrivals.extend(sources(abi, &func.params).map(|source| match source {
                Source::Reg(reg) => reg,
                Source::Stack(_) => Reg::NONE,
            }));
            return_native(walk, target, func);
        }
        Convention::Buffer => return_in_buffer(walk, target, func),
    }
    walk.run(target, func);
    let abi = match convention {
        Convention::Native(abi) => abi,
        Convention::Buffer => &SYSV,
    };
    if walk.stack_words > LARGEST_FRAME {
        return Err(FrameTooLarge);
    }
    walk.framed = true;
    let frame = Frame::new(walk, abi, argument_words > 0);
    receive(walk, target, func, convention, &frame);
    frame.prologue(walk, target);
    frame.epilogue(walk, target);
    Ok(())
}

/// What the code of `func` may rely on when it is entered, and what it must see to when it is left.
#[cfg(any(test, debug_assertions))]
pub(crate) fn contract(walk: &Walk, func: &Func, convention: Convention) -> Contract {
    let Convention::Native(abi) = convention else {
        let given = [(RDI, Hidden::Args), (RSI, Hidden::Out), (RDX, Hidden::Context)];
        return Contract {
            registers: given.map(|(reg, which)| (reg, walk.hidden(func, which))).to_vec(),
            stack: Vec::new(),
            raw_bools: false,
            saved: SYSV.callee_saved,
            saved_vector_bytes: 16,
            result: None,
            columns: None,
        };
    };
    let (mut registers, mut stack) = (Vec::new(), Vec::new());
    let from: Vec<Source> = sources(abi, &func.params).collect();
    for (i, node) in func.nodes.iter().enumerate().filter(|(_, node)| node.op == Op::Param) {
        match from[node.a as usize] {
            Source::Reg(reg) => registers.push((reg, Ref(i as u32))),
            // The return address comes first.
            Source::Stack(word) => stack.push((8 * (1 + abi.shadow_words + word) as i32, Ref(i as u32))),
        }
    }
    let float = func.results.first().is_some_and(|&r| func.ty(r).is_float());
    let result = Some(if float { Reg::vec(0) } else { RAX });
    let saved = abi.callee_saved;
    Contract { registers, stack, raw_bools: true, saved, saved_vector_bytes: 16, result, columns: None }
}

/// Words that calls need for their arguments; zero if nothing is called.
fn argument_words(func: &Func, target: &X64) -> u32 {
    let mut words = 0;
    for node in &func.nodes {
        let needed = match node.op {
            Op::Call | Op::CallPinned => node.c.max(3),
            _ if target.is_called(func, node) => 3,
            _ => 0,
        };
        words = words.max(needed);
    }
    words
}

fn return_native(walk: &mut Walk, target: &X64, func: &Func) {
    let Some(&result) = func.results.first() else { return };
    let reg = if func.ty(result).is_float() { Reg::vec(0) } else { RAX };
    if walk.is_free(reg) {
        walk.assign(result, reg);
    } else {
        let from = walk.use_reg(target, func, result);
        walk.emit(target.copy(reg, from));
        walk.unlock(from);
    }
    walk.release(result);
}

fn return_in_buffer(walk: &mut Walk, target: &X64, func: &Func) {
    walk.emit(MInst { regs: [RAX, RAX, Reg::NONE], ..MInst::new(XOR_R32_RM32) });
    let out = walk.hidden(func, Hidden::Out);
    for (i, &result) in func.results.iter().enumerate() {
        let base = walk.use_reg(target, func, out);
        let from = walk.use_reg(target, func, result);
        let to = Address::at(base, 8 * i as i32);
        let ty = if func.ty(result).is_float() { func.ty(result) } else { Type::I64 };
        walk.emit(target.store(to, ty, from));
        walk.unlock(base);
        walk.unlock(from);
    }
    for &result in &func.results {
        walk.release(result);
    }
}

/// Where the inputs come from, in order.
fn sources(abi: &Abi, params: &[Type]) -> impl Iterator<Item = Source> {
    let (mut ints, mut floats, mut stack) = (0, 0, 0);
    params.iter().enumerate().map(move |(i, ty)| {
        let (regs, next) = if ty.is_float() { (abi.float_args, &mut floats) } else { (abi.int_args, &mut ints) };
        let at = if abi.positional { i } else { *next };
        *next += 1;
        match regs.get(at) {
            Some(&reg) => Source::Reg(reg),
            None => {
                stack += 1;
                Source::Stack(stack - 1)
            }
        }
    })
}

/// Brings the inputs from where the caller left them to where the code wants them.
fn receive(walk: &mut Walk, target: &X64, func: &Func, convention: Convention, frame: &Frame) {
    walk.begin_moves();
    let abi = match convention {
        Convention::Buffer => {
            for (which, reg) in [(Hidden::Args, RDI), (Hidden::Out, RSI)] {
                let value = walk.hidden(func, which);
                receive_one(walk, target, value, Type::I64, Source::Reg(reg), frame);
            }
            walk.flush_moves(target);
            store_received(walk, target, func, Type::I64, &[(Hidden::Args, RDI), (Hidden::Out, RSI)]);
            if let Some(slot) = walk.context_slot {
                walk.emit(target.store(Address::at(RSP, 8 * slot as i32), Type::I64, RDX));
            }
            return;
        }
        Convention::Native(abi) => abi,
    };
    let params: Vec<Ref> = walk.params_met().to_vec();
    let from: Vec<Source> = sources(abi, &func.params).collect();
    let source = |r: Ref| from[func.node(r).a as usize];
    for &r in &params {
        receive_one(walk, target, r, func.ty(r), source(r), frame);
    }
    walk.flush_moves(target);
    for &r in &params {
        let Some(slot) = walk.slot_of(r) else { continue };
        let to = Address::at(RSP, 8 * slot as i32);
        match source(r) {
            Source::Reg(reg) => walk.emit_store(target, r, to, slot, func.ty(r), reg),
            Source::Stack(word) => {
                // No convention passes anything in rax.
                walk.emit_store(target, r, to, slot, Type::I64, RAX);
                let ty = if func.ty(r) == Type::Bool { Type::Bool } else { Type::I64 };
                walk.emit_load(r, RAX, load_argument(target, RAX, ty, frame.incoming(word)));
            }
        }
    }
    for &r in params.iter().filter(|&&r| func.ty(r) == Type::Bool) {
        if let Source::Reg(reg) = source(r) {
            walk.emit(MInst { regs: [reg, reg, Reg::NONE], ..MInst::new(MOVZX_R32_RM8) });
        }
    }
}

fn store_received(walk: &mut Walk, target: &X64, func: &Func, ty: Type, given: &[(Hidden, Reg)]) {
    for &(which, reg) in given {
        let value = walk.hidden(func, which);
        if let Some(slot) = walk.slot_of(value) {
            walk.emit_store(target, value, Address::at(RSP, 8 * slot as i32), slot, ty, reg);
        }
    }
}

fn receive_one(walk: &mut Walk, target: &X64, value: Ref, ty: Type, source: Source, frame: &Frame) {
    let Some(to) = walk.reg_of(value) else { return };
    match source {
        Source::Reg(from) => walk.queue_move(value, to, from),
        Source::Stack(word) => walk.queue_load(value, to, load_argument(target, to, ty, frame.incoming(word))),
    }
}

/// Loads an argument from the stack; of a bool only the lowest byte is given.
fn load_argument(target: &X64, to: Reg, ty: Type, at: Address) -> MInst {
    if ty == Type::Bool {
        return MInst { regs: [to, at.base, Reg::NONE], mode: at.mode, disp: at.disp, ..MInst::new(MOVZX_R32_RM8) };
    }
    target.load(to, ty, at)
}

/// The stack frame of a function that has been walked.
struct Frame {
    pushed: u32,
    saved_vectors: u32,
    /// Where saved vector registers lie.
    vectors_at: i32,
    bytes: i32,
    shadow_words: u32,
}

impl Frame {
    fn new(walk: &Walk, abi: &Abi, calls: bool) -> Frame {
        let pushed = walk.used[0] & abi.callee_saved[0];
        let saved_vectors = walk.used[1] & abi.callee_saved[1];
        let vectors_at = 8 * walk.stack_words as i32;
        let mut bytes = vectors_at + 16 * saved_vectors.count_ones() as i32;
        // The return address and the pushed registers stand above; calls want the sum aligned.
        if calls && (8 + 8 * pushed.count_ones() as i32 + bytes) % 16 != 0 {
            bytes += 8;
        }
        Frame { pushed, saved_vectors, vectors_at, bytes, shadow_words: abi.shadow_words }
    }

    /// The address of a stack argument.
    fn incoming(&self, word: u32) -> Address {
        let above = self.pushed.count_ones() + 1 + self.shadow_words + word;
        Address::at(RSP, self.bytes + 8 * above as i32)
    }

    fn saved(&self) -> impl Iterator<Item = (Reg, i32)> {
        bits(self.saved_vectors).enumerate().map(|(i, n)| (Reg::vec(n), self.vectors_at + 16 * i as i32))
    }

    /// Emits the beginning of the function, backwards.
    fn prologue(&self, walk: &mut Walk, target: &X64) {
        let saved: Vec<(Reg, i32)> = self.saved().collect();
        for (reg, at) in saved {
            walk.emit(target.vector_save(reg, at));
        }
        if self.bytes != 0 {
            walk.emit(alu_imm(&SUB, 1, RSP, self.bytes));
            // Pages are touched in order, so that a guard page is met and not stepped over.
            for page in (1..=self.bytes / PAGE).rev() {
                let touch = MInst {
                    regs: [RSP, Reg::NONE, Reg::NONE],
                    mode: 1,
                    disp: -page * PAGE,
                    ..MInst::new(OR_RM32_IMM8)
                };
                walk.emit(touch);
            }
        }
        let pushed: Vec<u8> = bits(self.pushed).collect();
        for &n in pushed.iter().rev() {
            walk.emit(MInst { regs: [Reg::gpr(n), Reg::NONE, Reg::NONE], ..MInst::new(PUSH_R64) });
        }
    }

    /// Emits the end of the function, forwards.
    fn epilogue(&self, walk: &mut Walk, target: &X64) {
        let mut code = std::mem::take(&mut walk.code.epilogue);
        if let Some(label) = walk.exit_label {
            code.push(MInst { imm: label.0 as i32, ..MInst::new(crate::mach::Inst::BIND) });
        }
        code.extend(self.saved().map(|(reg, at)| target.vector_restore(reg, at)));
        if self.bytes != 0 {
            code.push(alu_imm(&ADD, 1, RSP, self.bytes));
        }
        let pushed: Vec<u8> = bits(self.pushed).collect();
        for &n in pushed.iter().rev() {
            code.push(MInst { regs: [Reg::gpr(n), Reg::NONE, Reg::NONE], ..MInst::new(POP_R64) });
        }
        code.push(MInst::new(RET));
        walk.code.epilogue = code;
    }
}

/// The numbers of the bits that are set.
fn bits(mut mask: u32) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let n = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (n < 32).then_some(n as u8)
    })
}
