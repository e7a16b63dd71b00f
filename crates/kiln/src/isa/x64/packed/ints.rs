//! Int operations over rows that take more than one instruction.
//!
//! What SSE2 and AVX2 lack for 64-bit ints (multiplication, arithmetic shift, minimum, absolute value) is composed here.

#![forbid(unsafe_code)]

use super::super::features::Level;
use super::super::insts::{VBLENDPS_256, VPERMD, VPERMQ_512};
use super::super::lower::with_imm;
use super::families::*;
use super::{Packed, Seq, wide};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Address, Rm, Walk};
use crate::mach::{Reg, RegClass};
use crate::ops::{Op, tables};
use crate::types::Type;

/// Shuffle of 32-bit lanes: the upper half of each pair, twice.
const UPPER: i32 = 0b11_11_01_01;
/// The lower half of each pair, twice.
const LOWER: i32 = 0b10_10_00_00;

impl Packed {
    /// `0 - a`.
    pub(super) fn negate(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (form, w) = (self.form(node.ty), wide(node.ty));
        let to = walk.def(self, func, r);
        let a = walk.use_reg(self, func, Ref(node.a));
        let mut seq = Seq::new(self);
        self.zero(&mut seq, form, to);
        seq.op3(ISUB[w], form, to, to, Rm::Reg(a));
        seq.emit(walk);
    }

    pub(super) fn zero(&self, seq: &mut Seq<'_>, form: Form, to: Reg) {
        seq.op3(XOR_I32, form, to, to, Rm::Reg(to));
    }

    /// `a * b` modulo 2^64, from products of 32-bit halves: the product of the lower halves, and the two mixed products
    /// shifted up.
    pub(super) fn mul_i64(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        if self.mask_registers() {
            return self.binary(walk, func, r, node, true, MUL_I64);
        }
        let form = self.form(node.ty);
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        seq.shift(SHR_IMM_I64, form, to, a, 32);
        seq.op3(MUL_LOW, form, to, to, Rm::Reg(b));
        seq.shift(SHR_IMM_I64, form, t, b, 32);
        seq.op3(MUL_LOW, form, t, t, Rm::Reg(a));
        seq.op3(ADD_I64, form, to, to, Rm::Reg(t));
        seq.shift(SHL_IMM_I64, form, to, to, 32);
        seq.op3(MUL_LOW, form, t, a, Rm::Reg(b));
        seq.op3(ADD_I64, form, to, to, Rm::Reg(t));
        seq.emit(walk);
    }

    /// A table of 8 entries is one register at 512 bits. At 256 it is two, of the lower and of the upper halves of the
    /// entries, from which permutations of 32-bit lanes take one each.
    pub(super) fn lookup(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let table = tables::entries(func.node(Ref(node.b)).const_bits() as i64);
        let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let to = walk.def(self, func, r);
        if self.mask_registers() {
            let table = Address::pool(walk.code.pool.add(&bytes));
            walk.unlock(to);
            let index = walk.use_reg_near(self, func, Ref(node.a), to);
            walk.emit(super::op3(VPERMQ_512, to, index, Rm::Mem(table)));
            return;
        }
        // The lower halves of the entries, and the upper ones.
        let [low, high] = [0, 4].map(|at| {
            let halves: Vec<u8> = bytes.chunks(8).flat_map(|entry| entry[at..at + 4].to_vec()).collect();
            Address::pool(walk.code.pool.add(&halves))
        });
        let index = walk.use_reg(self, func, Ref(node.a));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        seq.op2(SHUFFLE_I32, self.form(Type::I64), t, Rm::Reg(index), LOWER);
        seq.push(super::op3(VPERMD, to, t, Rm::Mem(low)));
        seq.push(super::op3(VPERMD, t, t, Rm::Mem(high)));
        seq.push(with_imm(super::op3(VBLENDPS_256, to, to, Rm::Reg(t)), 0b10_10_10_10));
        seq.emit(walk);
    }

    /// All ones where `from`, a 64-bit int, is negative.
    fn sign_i64(&self, seq: &mut Seq<'_>, to: Reg, from: Reg) {
        let form = self.form(Type::I64);
        seq.shift(SAR_IMM_I32, form, to, from, 31);
        seq.op2(SHUFFLE_I32, form, to, Rm::Reg(to), UPPER);
    }

    /// All ones where `from` is negative, in the lanes of its type.
    fn sign_of(&self, seq: &mut Seq<'_>, ty: Type, to: Reg, from: Reg) {
        if ty == Type::I32 {
            seq.shift(SAR_IMM_I32, self.form(ty), to, from, 31);
        } else if self.mask_registers() {
            seq.shift(SAR_IMM_I64, self.form(ty), to, from, 63);
        } else {
            self.sign_i64(seq, to, from);
        }
    }

    /// Absolute value, wrapping: with s all ones where a is negative, (a ^ s) - s.
    pub(super) fn int_abs(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (form, w) = (self.form(node.ty), wide(node.ty));
        let to = walk.def(self, func, r);
        let a = walk.use_reg(self, func, Ref(node.a));
        let s = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        self.sign_of(&mut seq, node.ty, s, a);
        seq.op3(IXOR[w], form, to, a, Rm::Reg(s));
        seq.op3(ISUB[w], form, to, to, Rm::Reg(s));
        seq.emit(walk);
    }

    /// Minimum or maximum.
    pub(super) fn int_extreme(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, form, w) = (node.ty, self.form(node.ty), wide(node.ty));
        let minimum = node.op == Op::Min;
        let direct = if ty == Type::I32 { self.level >= Level::V2 } else { self.mask_registers() };
        if direct {
            let family = if minimum { IMIN[w] } else { IMAX[w] };
            return self.binary(walk, func, r, node, true, family);
        }
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let [mask, t] = [(); 2].map(|()| walk.temp(self, func, RegClass::Vec));
        let mut seq = Seq::new(self);
        self.greater(&mut seq, ty, mask, [a, b], t);
        let (yes, no) = if minimum { (b, a) } else { (a, b) };
        // to = no ^ ((yes ^ no) & mask)
        seq.op3(IXOR[w], form, to, yes, Rm::Reg(no));
        seq.op3(IAND[w], form, to, to, Rm::Reg(mask));
        seq.op3(IXOR[w], form, to, to, Rm::Reg(no));
        seq.emit(walk);
    }

    /// `to`: all ones where `a > b`, in the lanes of their type. Not for levels with mask registers. `t` is overwritten.
    pub(super) fn greater(&self, seq: &mut Seq<'_>, ty: Type, to: Reg, [a, b]: [Reg; 2], t: Reg) {
        let form = self.form(ty);
        if ty == Type::I32 || self.level >= Level::V2 {
            return seq.op3(IGREATER[wide(ty)], form, to, a, Rm::Reg(b));
        }
        // The upper half decides, unless it is equal; then b - a is negative where a is greater.
        seq.op3(SUB_I64, form, to, b, Rm::Reg(a));
        seq.op3(EQUAL_I32, form, t, a, Rm::Reg(b));
        seq.op3(AND_I64, form, to, to, Rm::Reg(t));
        seq.op3(GREATER_I32, form, t, a, Rm::Reg(b));
        seq.op3(OR_I64, form, to, to, Rm::Reg(t));
        self.sign_i64(seq, to, to);
    }

    /// A shift. Counts are taken modulo the width.
    pub(super) fn shift(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, form, w) = (node.ty, self.form(node.ty), wide(node.ty));
        let width = ty.bits() as i32;
        let constant = func.constant(Ref(node.b)).map(|v| v.to_bits() as i32 & (width - 1));
        let to = walk.def(self, func, r);
        let a = walk.use_reg(self, func, Ref(node.a));
        let mut seq = Seq::new(self);
        let composed = node.op == Op::Sar && ty == Type::I64 && !self.mask_registers();
        if let Some(count) = constant {
            let family = match node.op {
                Op::Shl => ISHL_IMM[w],
                Op::Shr => ISHR_IMM[w],
                _ if ty == Type::I32 => SAR_IMM_I32,
                _ if !composed => SAR_IMM_I64,
                _ => SHR_IMM_I64,
            };
            seq.shift(family, form, to, a, count);
            if composed {
                let sign = self.splat(walk, ty, 1 << (63 - count));
                seq.op3(XOR_I64, form, to, to, sign);
                seq.op3(SUB_I64, form, to, to, sign);
            }
            return seq.emit(walk);
        }
        let count = walk.use_reg(self, func, Ref(node.b));
        let t = walk.temp(self, func, RegClass::Vec);
        let modulo = self.splat(walk, ty, width as u64 - 1);
        seq.op3(IAND[w], form, t, count, modulo);
        let family = match node.op {
            Op::Shl => ISHL[w],
            Op::Sar if !composed => ISAR[w],
            _ => ISHR[w],
        };
        seq.op3(family, form, to, a, Rm::Reg(t));
        if composed {
            // The sign bit, shifted like the rest, fills what is above it: (x ^ s) - s.
            let s = walk.temp(self, func, RegClass::Vec);
            seq.shift_sign(form, s);
            seq.op3(SHR_I64, form, s, s, Rm::Reg(t));
            seq.op3(XOR_I64, form, to, to, Rm::Reg(s));
            seq.op3(SUB_I64, form, to, to, Rm::Reg(s));
        }
        seq.emit(walk);
    }

    /// Does the exact sum or difference lie outside the type? That shows in the sign bit of
    /// `(r ^ a) & (r ^ b)` for a sum, of `(a ^ b) & (a ^ r)` for a difference.
    pub(super) fn overflow(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = func.ty(Ref(node.a));
        let (form, w) = (self.form(ty), wide(ty));
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let [t, s] = [(); 2].map(|()| walk.temp(self, func, RegClass::Vec));
        let mut seq = Seq::new(self);
        if node.op == Op::AddOverflows {
            seq.op3(IADD[w], form, t, a, Rm::Reg(b));
            seq.op3(IXOR[w], form, s, t, Rm::Reg(b));
        } else {
            seq.op3(ISUB[w], form, t, a, Rm::Reg(b));
            seq.op3(IXOR[w], form, s, a, Rm::Reg(b));
        }
        seq.op3(IXOR[w], form, t, t, Rm::Reg(a));
        seq.op3(IAND[w], form, t, t, Rm::Reg(s));
        if self.mask_registers() {
            self.zero(&mut seq, form, s);
            let inst = super::op3(ICOMPARE[w].inst(form), to, t, Rm::Reg(s));
            seq.push(with_imm(inst, super::masks::LESS));
        } else {
            self.sign_of(&mut seq, ty, to, t);
            self.widen(&mut seq, ty, to);
        }
        seq.emit(walk);
    }
}

impl Seq<'_> {
    /// The sign bit of every 64-bit lane.
    fn shift_sign(&mut self, form: Form, to: Reg) {
        self.op3(EQUAL_I32, form, to, to, Rm::Reg(to));
        self.shift(SHL_IMM_I64, form, to, to, 63);
    }
}
