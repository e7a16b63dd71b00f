//! Float operations that take more than one instruction, and all conversions.
//!
//! Every sequence gives exactly the bits that the op table's meaning gives; which NaN is the one liberty.

#![forbid(unsafe_code)]

use super::features::Level;
use super::insts::*;
use super::lower::{
    FADD_SUB, FAND, FANDN, FCOMPARE, FMAX, FMIN, FOR, FROUND, FXOR, Forms, Seq, X64, alu_imm, op, op1, op2, op3,
    sign_bit, wide, with_imm,
};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Rm, Target, Walk};
use crate::mach::{Inst, MInst, Reg, RegClass};
use crate::ops::Op;
use crate::types::Type;

const FMOV: Forms = [MOVAPS, MOVAPS, VMOVAPS_128, VMOVAPS_128];
/// Comparison predicates: less than; unordered.
const LESS: i32 = 1;
const UNORDERED: i32 = 3;

/// The bits of `v` as a value of type `ty`.
fn bits_of(ty: Type, v: f64) -> u64 {
    if ty == Type::F64 { v.to_bits() } else { u64::from((v as f32).to_bits()) }
}

/// The same repeated over 64 bits.
fn pair_of(ty: Type, v: f64) -> u64 {
    let bits = bits_of(ty, v);
    if ty == Type::F64 { bits } else { bits | bits << 32 }
}

impl X64 {
    /// An operation of one float by an instruction that writes only part of its destination: the dependency on the
    /// old contents is broken by naming the source twice or by clearing.
    pub(super) fn float1(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, forms: &Forms) {
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let from = walk.use_reg_near(self, func, Ref(node.a), to);
        let inst = self.form(forms, node.ty);
        if self.vex {
            walk.emit(op(inst, [to, from, from]));
        } else {
            walk.emit(op(inst, [to, from, Reg::NONE]));
            if to != from {
                walk.emit(op(XORPS, [to, to, Reg::NONE]));
            }
        }
    }

    /// Rounding to an integral value.
    pub(super) fn round(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        if node.op == Op::Round {
            return self.round_half_away(walk, func, r, node);
        }
        if self.level < Level::V2 {
            return self.round_by_adding(walk, func, r, node);
        }
        // Bit 3 suppresses the precision exception; bits 0 and 1 are the mode (Intel SDM, volume 2, ROUNDPD).
        let mode = 8 | match node.op {
            Op::Floor => 1,
            Op::Ceil => 2,
            Op::Trunc => 3,
            _ => 0,
        };
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let from = walk.use_reg_near(self, func, Ref(node.a), to);
        let inst = self.form(&FROUND, node.ty);
        if self.vex {
            walk.emit(with_imm(op(inst, [to, from, from]), mode));
        } else {
            walk.emit(with_imm(op(inst, [to, from, Reg::NONE]), mode));
            if to != from {
                walk.emit(op(XORPS, [to, to, Reg::NONE]));
            }
        }
    }

    /// Half away from zero: the truncation of |x| plus the largest value below one half, with the sign of x. The sum
    /// reaches the next integer exactly if the fraction is at least one half.
    fn round_half_away(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        if self.level < Level::V2 {
            return self.round_by_adding(walk, func, r, node);
        }
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let t = walk.temp(self, func, RegClass::Vec);
        let magnitude = Rm::Mem(walk.pool_pair(!sign_bit(ty)));
        let sign = Rm::Mem(walk.pool_pair(sign_bit(ty)));
        let below_half = Rm::Mem(walk.pool_word(below_half(ty)));
        let mut seq = Seq::new(self);
        seq.float(&FAND, ty, t, x, magnitude, 0);
        seq.float(&FADD_SUB[0], ty, t, t, below_half, 0);
        if self.vex {
            seq.push(with_imm(op(self.form(&FROUND, ty), [t, t, t]), 11));
        } else {
            seq.push(with_imm(op(self.form(&FROUND, ty), [t, t, Reg::NONE]), 11));
        }
        seq.float(&FAND, ty, to, x, sign, 0);
        seq.float(&FOR, ty, to, to, Rm::Reg(t), 0);
        walk.emit_all(seq.insts());
    }

    /// Rounding with SSE2 alone. Adding and subtracting 2^52 (2^23) rounds a smaller magnitude to the nearest integer;
    /// comparing with the argument tells whether that went the wrong way. Larger magnitudes and NaN are their own result.
    fn round_by_adding(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let [t, small, s] = [(); 3].map(|()| walk.temp(self, func, RegClass::Vec));
        let big = Rm::Mem(walk.pool_word(bits_of(ty, if ty == Type::F64 { 4503599627370496.0 } else { 8388608.0 })));
        let one = Rm::Mem(walk.pool_pair(pair_of(ty, 1.0)));
        let magnitude = Rm::Mem(walk.pool_pair(!sign_bit(ty)));
        let sign = Rm::Mem(walk.pool_pair(sign_bit(ty)));
        let below_half = Rm::Mem(walk.pool_word(below_half(ty)));
        let [add, sub] = FADD_SUB;
        let mut seq = Seq::new(self);
        seq.float(&FAND, ty, t, x, magnitude, 0);
        seq.float(&FCOMPARE, ty, small, t, big, LESS);
        if node.op == Op::Round {
            seq.float(&add, ty, t, t, below_half, 0);
        }
        seq.float(&add, ty, to, t, big, 0);
        seq.float(&sub, ty, to, to, big, 0);
        match node.op {
            Op::Trunc | Op::Round => {
                seq.float(&FCOMPARE, ty, t, t, Rm::Reg(to), LESS);
                seq.float(&FAND, ty, t, t, one, 0);
                seq.float(&sub, ty, to, to, Rm::Reg(t), 0);
            }
            Op::Floor | Op::Ceil => {
                seq.float(&FAND, ty, s, x, sign, 0);
                seq.float(&FOR, ty, to, to, Rm::Reg(s), 0);
                let down = node.op == Op::Floor;
                let (low, high) = if down { (x, to) } else { (to, x) };
                seq.float(&FCOMPARE, ty, t, low, Rm::Reg(high), LESS);
                seq.float(&FAND, ty, t, t, one, 0);
                seq.float(if down { &sub } else { &add }, ty, to, to, Rm::Reg(t), 0);
            }
            _ => {}
        }
        seq.float(&FAND, ty, s, x, sign, 0);
        seq.float(&FOR, ty, to, to, Rm::Reg(s), 0);
        seq.float(&FAND, ty, to, to, Rm::Reg(small), 0);
        seq.float(&FANDN, ty, small, small, Rm::Reg(x), 0);
        seq.float(&FOR, ty, to, to, Rm::Reg(small), 0);
        walk.emit_all(seq.insts());
    }

    pub(super) fn copysign(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let magnitude = Rm::Mem(walk.pool_pair(!sign_bit(ty)));
        let sign = Rm::Mem(walk.pool_pair(sign_bit(ty)));
        let mut seq = Seq::new(self);
        seq.float(&FAND, ty, t, b, sign, 0);
        seq.float(&FAND, ty, to, a, magnitude, 0);
        seq.float(&FOR, ty, to, to, Rm::Reg(t), 0);
        walk.emit_all(seq.insts());
    }

    pub(super) fn fma(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let inst = if node.ty == Type::F64 { VFMADD213SD } else { VFMADD213SS };
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        let b = if node.b == node.a { to } else { walk.use_reg(self, func, Ref(node.b)) };
        let c = if node.c == node.a { Rm::Reg(to) } else { walk.use_rm(self, func, Ref(node.c)) };
        walk.emit(op3(inst, to, b, c));
        self.emit_bring(walk, bring);
    }

    /// Minimum or maximum that propagates NaN and orders the zeros. The instructions give their second operand for
    /// NaN and for two zeros, so both orders are asked and combined.
    pub(super) fn float_extreme(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let forms = if node.op == Op::Min { &FMIN } else { &FMAX };
        let constant = func.node(Ref(node.b));
        let bits = constant.const_bits();
        let zero_or_nan = |v: f64| v == 0.0 || v.is_nan();
        let plain = constant.op == Op::Const
            && !match node.ty {
                Type::F64 => zero_or_nan(f64::from_bits(bits)),
                _ => zero_or_nan(f64::from(f32::from_bits(bits as u32))),
            };
        let to = walk.def(self, func, r);
        if plain {
            // The second operand, x, is given for NaN; there is nothing else to care for.
            let inst = self.form(forms, node.ty);
            if self.vex {
                walk.unlock(to);
                let x = walk.use_rm(self, func, Ref(node.a));
                let c = walk.use_reg_near(self, func, Ref(node.b), to);
                walk.emit(op3(inst, to, c, x));
            } else {
                let bring = self.bring(walk, func, to, Ref(node.b));
                let x = walk.use_rm(self, func, Ref(node.a));
                walk.emit(op2(inst, to, x));
                self.emit_bring(walk, bring);
            }
            return;
        }
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        self.extreme(&mut seq, node.op == Op::Min, node.ty, [to, a, b, t]);
        walk.emit_all(seq.insts());
    }

    /// `to` becomes the minimum or maximum of `a` and `b`; `t` is overwritten.
    fn extreme(&self, seq: &mut Seq, minimum: bool, ty: Type, [to, a, b, t]: [Reg; 4]) {
        let forms = if minimum { &FMIN } else { &FMAX };
        seq.float(forms, ty, t, a, Rm::Reg(b), 0);
        seq.float(forms, ty, to, b, Rm::Reg(a), 0);
        if minimum {
            // Equal unless zeros or NaN: or keeps the minus sign and the NaN.
            seq.float(&FOR, ty, to, to, Rm::Reg(t), 0);
            return;
        }
        // The difference d of the two answers is 0, the sign of a zero, or what makes a NaN; t | d keeps the NaN, and
        // subtracting d then turns -0 | -0 into +0 and changes nothing else.
        seq.float(&FXOR, ty, to, to, Rm::Reg(t), 0);
        seq.float(&FOR, ty, t, t, Rm::Reg(to), 0);
        seq.float(&FADD_SUB[1], ty, t, t, Rm::Reg(to), 0);
        seq.float(&FMOV, ty, to, t, Rm::Reg(t), 0);
    }

    /// Minimum or maximum that ignores one NaN: a NaN operand is first replaced by the other one.
    pub(super) fn float_extreme_number(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let [x, y, t] = [(); 3].map(|()| walk.temp(self, func, RegClass::Vec));
        let mut seq = Seq::new(self);
        for (clean, own, other) in [(x, a, b), (y, b, a)] {
            seq.float(&FCOMPARE, ty, t, own, Rm::Reg(own), UNORDERED);
            self.blend(&mut seq, ty, clean, t, other, own);
        }
        self.extreme(&mut seq, node.op == Op::Fmin, ty, [to, x, y, t]);
        walk.emit_all(seq.insts());
    }

    /// The same bits in the other register file.
    pub(super) fn bitcast(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let from = walk.use_reg(self, func, Ref(node.a));
        let source = func.ty(Ref(node.a));
        walk.emit(match (source.is_float(), node.ty.is_float()) {
            (true, false) => self.vector_to_gpr(to, from, source),
            (false, true) => self.gpr_to_vector(to, from, node.ty),
            _ => self.copy(to, from),
        });
    }

    pub(super) fn convert(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let a = Ref(node.a);
        let from = func.ty(a);
        match (from.is_float(), node.ty.is_float()) {
            (true, true) => self.resize_float(walk, func, r, node),
            (false, true) => self.int_to_float(walk, func, r, node),
            (true, false) if node.ty != Type::Bool => self.float_to_int(walk, func, r, node),
            (true, false) => {
                let to = walk.def(self, func, r);
                walk.unlock(to);
                let x = walk.use_reg(self, func, a);
                let zero = Rm::Mem(walk.pool_word(0));
                self.mask_bit(walk, func, to, from, x, zero, super::choose::predicate_of(Op::Ne));
            }
            (false, false) if node.ty == Type::Bool => {
                let to = walk.def(self, func, r);
                walk.unlock(to);
                let x = walk.use_reg(self, func, a);
                let test = [TEST_RM32_R32, TEST_RM64_R64][wide(from)];
                walk.emit_all(&[
                    op(test, [x, x, Reg::NONE]),
                    op1(SETNE_RM8, to),
                    op(MOVZX_R32_RM8, [to, to, Reg::NONE]),
                ]);
            }
            (false, false) => {
                let to = walk.def(self, func, r);
                walk.unlock(to);
                if from == Type::Bool && walk.is_unplaced(a) && walk.use_reg_near(self, func, a, to) == to {
                    // A bool is a number already.
                    return;
                }
                let x = walk.use_rm(self, func, a);
                let sign_extends = from == Type::I32 && node.ty == Type::I64;
                walk.emit(op2(if sign_extends { MOVSXD_R64_RM32 } else { MOV_R32_RM32 }, to, x));
            }
        }
    }

    fn resize_float(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let from = walk.use_reg_near(self, func, Ref(node.a), to);
        let forms = [CVTSD2SS, CVTSS2SD, VCVTSD2SS, VCVTSS2SD];
        let inst = self.form(&forms, node.ty);
        if self.vex {
            walk.emit(op(inst, [to, from, from]));
        } else {
            walk.emit(op(inst, [to, from, Reg::NONE]));
            if to != from {
                walk.emit(op(XORPS, [to, to, Reg::NONE]));
            }
        }
    }

    fn int_to_float(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let from = walk.use_rm(self, func, Ref(node.a));
        let forms = if func.ty(Ref(node.a)) == Type::I64 {
            [CVTSI2SS_RM64, CVTSI2SD_RM64, VCVTSI2SS_RM64, VCVTSI2SD_RM64]
        } else {
            [CVTSI2SS_RM32, CVTSI2SD_RM32, VCVTSI2SS_RM32, VCVTSI2SD_RM32]
        };
        let inst = self.form(&forms, node.ty);
        let (clear, convert) = if self.vex {
            (op(VXORPS_128, [to, to, to]), op3(inst, to, to, from))
        } else {
            (op(XORPS, [to, to, Reg::NONE]), op2(inst, to, from))
        };
        walk.emit_all(&[clear, convert]);
    }

    /// Truncates and saturates; NaN gives 0. The instruction answers the minimum for all that does not fit, which is
    /// right for what is too small; the rest is put right by the sign of the argument.
    fn float_to_int(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let from = func.ty(Ref(node.a));
        let w = wide(node.ty);
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let zero = Rm::Mem(walk.pool_word(0));
        let forms = [
            [CVTTSS2SI_R32, CVTTSD2SI_R32, VCVTTSS2SI_R32, VCVTTSD2SI_R32],
            [CVTTSS2SI_R64, CVTTSD2SI_R64, VCVTTSS2SI_R64, VCVTTSD2SI_R64],
        ];
        let compare = self.form(&[UCOMISS, UCOMISD, VUCOMISS, VUCOMISD], from);
        let (nan, end) = (walk.label(), walk.label());
        let jump = |inst, label: crate::mach::Label| with_imm(MInst::new(inst), label.0 as i32);
        walk.emit_all(&[
            op(self.form(&forms[w], from), [to, x, Reg::NONE]),
            // Only the minimum overflows when one is subtracted.
            alu_imm(&super::lower::CMP, w, to, 1),
            jump(JNO, end),
            op2(compare, x, zero),
            jump(JP, nan),
            jump(JBE, end),
            op1([NOT_RM32, NOT_RM64][w], to),
            jump(JMP, end),
            jump(Inst::BIND, nan),
            op(XOR_R32_RM32, [to, to, Reg::NONE]),
            jump(Inst::BIND, end),
        ]);
    }
}

/// The largest float below one half.
fn below_half(ty: Type) -> u64 {
    if ty == Type::F64 { 0.5f64.to_bits() - 1 } else { u64::from(0.5f32.to_bits() - 1) }
}
