//! A kernel: the loop over steps around the code of one, and the two ends of the function.
//!
//! A kernel is entered, always under the System V convention, as `steps_done kernel(columns, steps, context)`: the
//! addresses of the first row of each input and then of each output, contiguous rows in memory that may lie anywhere, and
//! how many steps to make. It returns how many steps it has made; fewer if a row of the next one fails, of which then
//! nothing has been stored.
//!
//! The registers that say where in the columns the step is are fixed, and are no values that the walk allocates. The frame
//! is, upwards from the stack pointer: arguments of calls, slots; it is aligned to a whole register, and the old stack
//! pointer stands in rbp.

#![forbid(unsafe_code)]

use super::super::insts::*;
use super::super::lower::{ADD, AND, SUB, alu_imm, op, op1, op2, with_imm};
use super::super::regs::{R8, R9, R10, R11, R12, R13, R14, R15, RAX, RBP, RBX, RCX, RDI, RSI, RSP};
use super::Packed;
use super::families::STREAM;
use crate::ir::{Func, Node, Ref};
#[cfg(any(test, debug_assertions))]
use crate::mach::check::{Columns, Contract};
use crate::mach::walk::{Address, Chaos, Entry, Rm, Shape, Target, Walk};
use crate::mach::{Inst, MInst, Reg, Sets};
use crate::ops::Op;
use crate::run::kernel::Stores;
use crate::types::Type;

/// rbx, rbp, r12 to r15.
const CALLEE_SAVED: u32 = 1 << 3 | 1 << 5 | 0xf000;

/// Registers that calls destroy: all that System V does not save, all vectors and masks among them.
pub(super) const CALL_CLOBBERS: Sets = [0xffff & !(CALLEE_SAVED | 1 << 4), u32::MAX, 0xff];

/// The largest stack frame, in words: a kernel must run on small thread stacks.
const LARGEST_FRAME: u32 = 8192;
/// Stack is touched at least once in so many bytes.
const PAGE: i32 = 4096;
/// Constants that are looked at for those that get registers: the search is linear.
const MOST_CONSTANTS: usize = 64;
/// The loop over steps begins at a multiple of so many bytes.
const ALIGNMENT: i32 = 32;

/// Which registers are fixed.
#[derive(Debug)]
pub(super) struct Layout {
    /// The first row of the step.
    pub(super) index: Reg,
    /// The row behind the last step.
    pub(super) end: Reg,
    /// Where the addresses of the columns stand.
    pub(super) columns: Reg,
    /// The addresses of the first columns.
    pub(super) pointers: &'static [Reg],
}

/// For kernels that call nothing.
pub(super) static WITHOUT_CALLS: Layout =
    Layout { index: RCX, end: RSI, columns: RDI, pointers: &[R8, R9, R10, R11, RBX, R12, R13, R14, R15] };

/// For kernels that call: what is fixed is kept by calls.
pub(super) static WITH_CALLS: Layout = Layout { index: RBX, end: R12, columns: R13, pointers: &[R14, R15] };

/// The frame would exceed its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameTooLarge;

/// Turns `func` into the machine instructions of a kernel in `walk.code`.
pub(crate) fn compile(walk: &mut Walk, target: &Packed, func: &Func, chaos: Chaos) -> Result<(), FrameTooLarge> {
    let layout = target.layout;
    let pointers = &layout.pointers[..target.columns.min(layout.pointers.len())];
    let fixed = [layout.index, layout.end, layout.columns, RBP, RSP].into_iter().chain(pointers.iter().copied());
    let fixed = fixed.fold(0, |all, reg| all | 1 << reg.number());
    // What a kernel without calls leaves alone need not be saved.
    let general = 0xffff & !fixed & CALL_CLOBBERS[0];
    let vectors = if target.mask_registers() { u32::MAX } else { 0xffff };
    let pins = pins(func, target, vectors.count_ones());
    let pinned: u32 = (0..pins.len() as u32).fold(0, |all, n| all | 1 << (vectors.count_ones() - 1 - n));
    let class = if target.mask_registers() { 2 } else { 1 };
    let word = target.bytes / 8;
    let entry = Entry {
        shape: Shape { classes: [class, 1, 1, 1, 1], words: [1, word, 1] },
        branches_freely: false,
        params_in_memory: true,
        allocatable: [general, vectors & !pinned, if target.mask_registers() { 0xfe } else { 0 }],
        preferred: [u32::MAX; 3],
        argument_words: target.call_words(func),
    };
    let is_call = |node: &Node| target.calls(func, node);
    walk.begin(func, &entry, chaos, is_call);
    for (n, &constant) in pins.iter().enumerate() {
        walk.pin(constant, Reg::vec((vectors.count_ones() - 1) as u8 - n as u8));
    }
    let (exit, head) = (walk.label(), walk.label());
    walk.exit_label = Some(exit);
    // Backwards: the jump to the next step, the stores, the step.
    walk.emit(with_imm(MInst::new(JB), head.0 as i32));
    walk.emit(op(CMP_RM64_R64, [layout.index, layout.end, Reg::NONE]));
    walk.emit(alu_imm(&ADD, 1, layout.index, target.rows_per_step() as i32));
    for (i, &result) in func.results.iter().enumerate().rev() {
        let results = target.columns - target.inputs;
        target.store_row(walk, func, target.inputs + i % results, i / results, result);
    }
    for &result in &func.results {
        walk.release(result);
    }
    walk.run(target, func);
    if walk.stack_words > LARGEST_FRAME {
        return Err(FrameTooLarge);
    }
    walk.begin_moves();
    walk.bind(head);
    walk.emit(with_imm(MInst::new(Inst::ALIGN), ALIGNMENT));
    for &constant in pins.iter() {
        let (node, Some(reg)) = (*func.node(constant), walk.reg_of(constant)) else { continue };
        let load = target.constant(&mut walk.code.pool, reg, node.ty, node.const_bits());
        walk.emit(load);
    }
    enter(walk, target, pointers);
    leave(walk, target, pointers);
    Ok(())
}

/// What the allocation checker must know of a kernel's two ends.
#[cfg(any(test, debug_assertions))]
pub(crate) fn contract(target: &Packed) -> Contract {
    let layout = target.layout;
    Contract {
        registers: Vec::new(),
        stack: Vec::new(),
        raw_bools: false,
        saved: [CALLEE_SAVED, 0, 0],
        saved_vector_bytes: 0,
        result: None,
        columns: Some(Columns {
            given: [RDI, RSI],
            index: layout.index,
            end: layout.end,
            inputs: target.inputs,
            columns: target.columns,
            rows: target.rows() as i32,
            step: target.rows_per_step() as i32,
            register: target.bytes as i32,
            widths: Type::ALL.map(|ty| match ty {
                Type::Bool if target.mask_registers() => 8,
                ty => target.width(ty) as i32,
            }),
        }),
    }
}

/// The constants that are kept in registers: those that are mentioned most, innermost loops counting more.
fn pins(func: &Func, target: &Packed, registers: u32) -> Vec<Ref> {
    if func.nodes.iter().any(|node| target.calls(func, node)) {
        return Vec::new();
    }
    let mut mentions: Vec<(u32, Ref)> = Vec::new();
    let mut live = 0u32;
    for node in &func.nodes {
        let weight = if node.region == 0 { 1 } else { 16 };
        live += u32::from(node.op == Op::Phi);
        func.for_operands(node, |r| {
            let operand = func.node(r);
            if operand.op == Op::Const && operand.ty != Type::Bool && operand.const_bits() != 0 {
                match mentions.iter().position(|m| m.1 == r) {
                    Some(at) => mentions[at].0 += weight,
                    None if mentions.len() < MOST_CONSTANTS => mentions.push((weight, r)),
                    None => {}
                }
            }
        });
    }
    mentions.sort_by_key(|&(weight, r)| (std::cmp::Reverse(weight), r));
    // Half of the registers serve the work, more if loops carry values.
    let most = (registers / 2).saturating_sub(live / 2).max(2) as usize;
    mentions.into_iter().take(most).map(|m| m.1).collect()
}

impl Packed {
    /// Emits the store of a result.
    fn store_row(&self, walk: &mut Walk, func: &Func, column: usize, way: usize, result: Ref) {
        let ty = func.ty(result);
        let from = walk.use_reg(self, func, result);
        let (at, pointer) = self.column(walk, func, column, way, ty);
        if ty == Type::Bool {
            self.store_bools(walk, func, at, from);
        } else if self.stores == Stores::Streaming && self.width(ty) >= 16 {
            let inst = STREAM.inst(self.form_of(self.width(ty)));
            walk.emit(MInst { mode: at.mode, index: at.index, disp: at.disp, ..op(inst, [at.base, from, Reg::NONE]) });
        } else {
            walk.emit(self.store(at, ty, from));
        }
        pointer.into_iter().for_each(|inst| walk.emit(inst));
        walk.unlock_all();
    }
}

/// Emits the beginning of the function, backwards.
fn enter(walk: &mut Walk, target: &Packed, pointers: &[Reg]) {
    let layout = target.layout;
    walk.emit(op(XOR_R32_RM32, [layout.index, layout.index, Reg::NONE]));
    for (i, &pointer) in pointers.iter().enumerate().rev() {
        walk.emit(op2(MOV_R64_RM64, pointer, Rm::Mem(Address::at(layout.columns, 8 * i as i32))));
    }
    if layout.columns != RDI {
        walk.emit(op(MOV_RM64_R64, [layout.columns, RDI, Reg::NONE]));
    }
    walk.emit(with_imm(op1(SHL_RM64_IMM8, layout.end), target.rows_per_step().trailing_zeros() as i32));
    if layout.end != RSI {
        walk.emit(op(MOV_RM64_R64, [layout.end, RSI, Reg::NONE]));
    }
    let bytes = frame_bytes(walk);
    if bytes != 0 {
        walk.emit(alu_imm(&AND, 1, RSP, -(target.bytes as i32)));
        walk.emit(alu_imm(&SUB, 1, RSP, bytes));
        // Pages are touched in order, so that a guard page is met and not stepped over.
        for page in (1..=bytes / PAGE).rev() {
            let touch =
                MInst { regs: [RSP, Reg::NONE, Reg::NONE], mode: 1, disp: -page * PAGE, ..MInst::new(OR_RM32_IMM8) };
            walk.emit(touch);
        }
    }
    for &reg in saved(target, pointers).iter().rev() {
        walk.emit(op1(PUSH_R64, reg));
    }
    walk.emit(op(MOV_RM64_R64, [RBP, RSP, Reg::NONE]));
    walk.emit(op1(PUSH_R64, RBP));
}

/// Emits the end of the function, forwards.
fn leave(walk: &mut Walk, target: &Packed, pointers: &[Reg]) {
    let layout = target.layout;
    let exit = walk.exit_label;
    let bytes = frame_bytes(walk);
    let code = &mut walk.code.epilogue;
    if let Some(exit) = exit {
        code.push(with_imm(MInst::new(Inst::BIND), exit.0 as i32));
    }
    code.push(op(MOV_RM64_R64, [RAX, layout.index, Reg::NONE]));
    code.push(with_imm(op1(SHR_RM64_IMM8, RAX), target.rows_per_step().trailing_zeros() as i32));
    let saved = saved(target, pointers);
    if bytes != 0 {
        let at = Address::at(RBP, -8 * saved.len() as i32);
        code.push(op2(LEA_R64, RSP, Rm::Mem(at)));
    }
    for &reg in saved.iter().rev() {
        code.push(op1(POP_R64, reg));
    }
    code.push(op1(POP_R64, RBP));
    if !target.legacy() {
        code.push(MInst::new(VZEROUPPER));
    }
    code.push(MInst::new(RET));
}

/// Registers that the kernel uses and the caller wants back, besides rbp.
fn saved(target: &Packed, pointers: &[Reg]) -> Vec<Reg> {
    let layout = target.layout;
    let used = [layout.index, layout.end, layout.columns].into_iter().chain(pointers.iter().copied());
    used.filter(|reg| CALLEE_SAVED >> reg.number() & 1 != 0).collect()
}

/// Bytes of the frame below the saved registers, not yet aligned.
fn frame_bytes(walk: &Walk) -> i32 {
    8 * walk.stack_words as i32
}
