//! Float operations over rows that take more than one instruction.

#![forbid(unsafe_code)]

use super::super::lower::{op3, with_imm};
use super::families::*;
use super::{Packed, Seq, wide};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Rm, Walk};
use crate::mach::{Reg, RegClass};
use crate::ops::Op;
use crate::types::Type;

/// Comparison predicate: unordered (Intel SDM, volume 2, CMPPD).
const UNORDERED: i32 = 3;

/// The largest float below one half.
fn below_half(ty: Type) -> u64 {
    if ty == Type::F64 { 0.5f64.to_bits() - 1 } else { u64::from(0.5f32.to_bits() - 1) }
}

impl Packed {
    fn sign(&self, walk: &mut Walk, ty: Type) -> Rm {
        self.splat(walk, ty, 1 << (ty.bits() - 1))
    }

    fn magnitude(&self, walk: &mut Walk, ty: Type) -> Rm {
        self.splat(walk, ty, !(1 << (ty.bits() - 1)))
    }

    /// Rounding to an integral value.
    pub(super) fn round(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        // Bit 3 suppresses the precision exception; bits 0 and 1 are the mode (Intel SDM, volume 2, ROUNDPD).
        let mode = match node.op {
            Op::Floor => 9,
            Op::Ceil => 10,
            Op::Trunc => 11,
            _ => 8,
        };
        self.unary(walk, func, r, node, node.ty, FROUND[wide(node.ty)], mode);
    }

    /// Half away from zero: the truncation of |x| plus the largest value below one half, with the sign of x. The sum
    /// reaches the next integer exactly if the fraction is at least one half.
    pub(super) fn round_half_away(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, form, w) = (node.ty, self.form(node.ty), wide(node.ty));
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let t = walk.temp(self, func, RegClass::Vec);
        let (magnitude, sign) = (self.magnitude(walk, ty), self.sign(walk, ty));
        let below_half = self.splat(walk, ty, below_half(ty));
        let mut seq = Seq::new(self);
        seq.op3(FAND[w], form, t, x, magnitude);
        seq.op3(FADD[w], form, t, t, below_half);
        seq.op2(FROUND[w], form, t, Rm::Reg(t), 11);
        seq.op3(FAND[w], form, to, x, sign);
        seq.op3(FOR[w], form, to, to, Rm::Reg(t));
        seq.emit(walk);
    }

    pub(super) fn copysign(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, form, w) = (node.ty, self.form(node.ty), wide(node.ty));
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let (magnitude, sign) = (self.magnitude(walk, ty), self.sign(walk, ty));
        let mut seq = Seq::new(self);
        seq.op3(FAND[w], form, t, b, sign);
        seq.op3(FAND[w], form, to, a, magnitude);
        seq.op3(FOR[w], form, to, to, Rm::Reg(t));
        seq.emit(walk);
    }

    /// The destination is also an operand: best one that is wanted nowhere else.
    pub(super) fn fma(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (form, w) = (self.form(node.ty), wide(node.ty));
        let (mut a, mut b, c) = (Ref(node.a), Ref(node.b), Ref(node.c));
        let to = walk.def(self, func, r);
        let fresh = |walk: &Walk, r: Ref| walk.is_unplaced(r) && func.node(r).op != Op::Const;
        if !fresh(walk, a) && !fresh(walk, b) && fresh(walk, c) && c != a && c != b {
            let bring = self.bring(walk, func, to, c);
            if func.node(a).op == Op::Const {
                std::mem::swap(&mut a, &mut b);
            }
            let a = walk.use_reg(self, func, a);
            let b = walk.use_rm(self, func, b);
            walk.emit(op3(FFMA_TO[w].inst(form), to, a, b));
            bring.into_iter().for_each(|inst| walk.emit(inst));
            return;
        }
        if fresh(walk, b) && !fresh(walk, a) {
            std::mem::swap(&mut a, &mut b);
        }
        let bring = self.bring(walk, func, to, a);
        let second = if a == b { to } else { walk.use_reg(self, func, b) };
        let third = if c == a { Rm::Reg(to) } else { walk.use_rm(self, func, c) };
        walk.emit(op3(FFMA[w].inst(form), to, second, third));
        bring.into_iter().for_each(|inst| walk.emit(inst));
    }

    /// Minimum or maximum that propagates NaN and orders the zeros. The instructions give their second operand for
    /// NaN and for two zeros, so both orders are asked and combined.
    pub(super) fn float_extreme(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, w) = (node.ty, wide(node.ty));
        let family = if node.op == Op::Min { FMIN[w] } else { FMAX[w] };
        let constant = func.constant(Ref(node.b));
        let zero_or_nan = constant.is_none_or(|v| v.is_nan() || v.to_bits() << (65 - ty.bits()) == 0);
        let to = walk.def(self, func, r);
        if !zero_or_nan {
            // The second operand, x, is given for NaN; there is nothing else to care for.
            let c = walk.use_reg(self, func, Ref(node.b));
            let x = walk.use_rm(self, func, Ref(node.a));
            let mut seq = Seq::new(self);
            seq.op3(family, self.form(ty), to, c, x);
            seq.emit(walk);
            return;
        }
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        self.extreme(&mut seq, node.op == Op::Min, ty, [to, a, b, t]);
        seq.emit(walk);
    }

    /// `to` becomes the minimum or maximum of `a` and `b`; `t` is overwritten.
    fn extreme(&self, seq: &mut Seq<'_>, minimum: bool, ty: Type, [to, a, b, t]: [Reg; 4]) {
        let (form, w) = (self.form(ty), wide(ty));
        let family = if minimum { FMIN[w] } else { FMAX[w] };
        seq.op3(family, form, t, a, Rm::Reg(b));
        seq.op3(family, form, to, b, Rm::Reg(a));
        if minimum {
            // Equal unless zeros or NaN: or keeps the minus sign and the NaN.
            seq.op3(FOR[w], form, to, to, Rm::Reg(t));
            return;
        }
        // The difference d of the two answers is 0, the sign of a zero, or what makes a NaN; t | d keeps the NaN, and
        // subtracting d then turns -0 | -0 into +0 and changes nothing else.
        seq.op3(FXOR[w], form, to, to, Rm::Reg(t));
        seq.op3(FOR[w], form, t, t, Rm::Reg(to));
        seq.op3(FSUB[w], form, t, t, Rm::Reg(to));
        seq.copy(to, t);
    }

    /// Minimum or maximum that ignores one NaN: a NaN operand is first replaced by the other one.
    pub(super) fn float_extreme_number(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (ty, form, w) = (node.ty, self.form(node.ty), wide(node.ty));
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let [x, y, t] = [(); 3].map(|()| walk.temp(self, func, RegClass::Vec));
        let mask = if self.mask_registers() { walk.temp(self, func, RegClass::Mask) } else { t };
        let mut seq = Seq::new(self);
        for (clean, own, other) in [(x, a, b), (y, b, a)] {
            if self.mask_registers() {
                seq.push(with_imm(op3(FCOMPARE[w].inst(form), mask, own, Rm::Reg(own)), UNORDERED));
            } else {
                seq.op3_imm(FCOMPARE[w], form, mask, own, Rm::Reg(own), UNORDERED);
            }
            self.blend(&mut seq, ty, clean, mask, other, own);
        }
        self.extreme(&mut seq, node.op == Op::Fmin, ty, [to, x, y, t]);
        seq.emit(walk);
    }
}
