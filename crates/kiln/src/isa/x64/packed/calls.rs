//! Calls from code over rows: operations without vector instructions, functions of the table, host functions.
//!
//! The rows of every argument are stored at the bottom of the frame, one argument after another, a whole register each; a
//! thunk of `run` goes through the rows and leaves the results behind the arguments.

#![forbid(unsafe_code)]

use super::super::insts::*;
use super::super::lower::{op, op1};
use super::super::regs::{RDI, RDX, RSI, RSP};
use super::kernel::CALL_CLOBBERS;
use super::{Callee, Packed};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Address, Target, Walk};
use crate::mach::{MInst, Reg};
use crate::run::host::{self, Lanes};
use crate::types::Type;
use std::sync::Arc;

impl Packed {
    /// Words that calls need at the bottom of the frame: arguments and results of the longest one.
    pub(super) fn call_words(&self, func: &Func) -> u32 {
        let args = |node: &Node| match node.op {
            _ if !self.calls(func, node) => 0,
            crate::ops::Op::Call | crate::ops::Op::CallPinned => node.c + 1,
            op => op.arity() as u32 + 1,
        };
        func.nodes.iter().map(args).max().unwrap_or(0) * self.bytes / 8
    }

    /// Calls the meaning of the operation.
    pub(super) fn call_meaning(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let operands = node.operands();
        let from = func.ty(operands[0]);
        let meaning = match node.op {
            crate::ops::Op::Convert => Some(crate::ops::conversion(from, node.ty)),
            op => op.meaning(from),
        };
        let Some(meaning) = meaning else {
            debug_assert!(false, "{:?} has no meaning on {from}", node.op);
            return;
        };
        let thunk = (host::MEANING_LANES as usize as u64, meaning as usize as u64);
        self.call_lanes(walk, func, r, &operands[..node.op.arity()], thunk);
    }

    pub(super) fn call_callee(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let thunk = match &func.callees[node.a as usize].target {
            Callee::Builtin(meaning, _) => (host::MEANING_LANES as usize as u64, *meaning as usize as u64),
            Callee::Host(h) => (host::HOST_LANES as usize as u64, Arc::as_ptr(h) as usize as u64),
        };
        self.call_lanes(walk, func, r, func.call_args(node), thunk);
    }

    fn code_of(&self, ty: Type) -> u64 {
        match ty {
            Type::Bool if self.mask_registers() => Lanes::BITS,
            Type::Bool if self.lane == 8 => Lanes::MASK_EIGHT,
            Type::Bool => Lanes::MASK_FOUR,
            Type::I32 | Type::F32 => Lanes::FOUR,
            Type::I64 | Type::F64 => Lanes::EIGHT,
        }
    }

    /// Calls a thunk for every row.
    fn call_lanes(&self, walk: &mut Walk, func: &Func, r: Ref, args: &[Ref], (thunk, data): (u64, u64)) {
        if walk.is_unplaced(r) {
            // Nothing that is called from here has an effect.
            return;
        }
        let ty = func.ty(r);
        let to = walk.def(self, func, r);
        for (class, clobbers) in CALL_CLOBBERS.into_iter().enumerate() {
            walk.vacate_all(self, func, class, clobbers, CALL_CLOBBERS);
        }
        let place = |number: usize| Address::at(RSP, self.bytes as i32 * number as i32);
        walk.emit(self.load(to, ty, place(args.len())));
        let codes = std::iter::once(ty).chain(args.iter().map(|&arg| func.ty(arg))).map(|ty| self.code_of(ty));
        let lanes = Lanes::new(self.rows(), self.bytes, codes);
        let entry = walk.pool_word(thunk);
        walk.emit(MInst { mode: entry.mode, disp: entry.disp, ..op1(CALL_RM64, Reg::NONE) });
        if !self.legacy() {
            walk.emit(MInst::new(VZEROUPPER));
        }
        let constant = |to, bits: u64| MInst { imm: bits as i32, disp: (bits >> 32) as i32, ..op1(MOV_R64_IMM64, to) };
        walk.emit(constant(RDX, lanes.0));
        walk.emit(constant(RSI, data));
        walk.emit(op(MOV_RM64_R64, [RDI, RSP, Reg::NONE]));
        walk.unlock_all();
        for (i, &arg) in args.iter().enumerate() {
            let from = walk.use_reg(self, func, arg);
            walk.emit(self.store(place(i), func.ty(arg), from));
            walk.unlock_all();
        }
    }
}
