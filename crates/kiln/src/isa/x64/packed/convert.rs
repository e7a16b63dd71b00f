//! Conversions over rows.

#![forbid(unsafe_code)]

use super::super::features::Level;
use super::super::lower::{op, op3, with_imm};
use super::families::*;
use super::{Packed, Seq, wide};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Rm, Walk};
use crate::mach::{MInst, RegClass};
use crate::types::Type;

/// Comparison predicates: not less than; ordered.
const NOT_LESS: i32 = 5;
const ORDERED: i32 = 7;

impl Packed {
    /// Has the conversion no instructions here?
    pub(super) fn convert_is_called(&self, from: Type, to: Type) -> bool {
        let mixed = from == Type::I64 && to.is_float() || from.is_float() && to == Type::I64;
        mixed && !self.mask_registers()
    }

    pub(super) fn convert(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (from, to) = (func.ty(Ref(node.a)), node.ty);
        match (from, to) {
            (Type::Bool, Type::Bool) => self.bitcast(walk, func, r, node),
            (Type::Bool, _) => self.bool_to_number(walk, func, r, node),
            (_, Type::Bool) => self.number_to_bool(walk, func, r, node),
            (Type::F32, Type::F64) => self.unary(walk, func, r, node, to, F32_TO_F64, 0),
            (Type::F64, Type::F32) => self.unary(walk, func, r, node, from, F64_TO_F32, 0),
            (Type::I32, Type::F64) => self.unary(walk, func, r, node, to, I32_TO_F64, 0),
            (Type::I32, Type::F32) => self.unary(walk, func, r, node, to, I32_TO_F32, 0),
            (Type::I64, Type::F64) => self.unary(walk, func, r, node, from, I64_TO_F64, 0),
            (Type::I64, Type::F32) => self.unary(walk, func, r, node, from, I64_TO_F32, 0),
            (Type::I32, Type::I64) if self.level >= Level::V2 => self.unary(walk, func, r, node, to, I32_TO_I64, 0),
            (Type::I32, Type::I64) => self.extend(walk, func, r, node),
            (Type::I64, Type::I32) if self.mask_registers() => self.unary(walk, func, r, node, from, I64_TO_I32, 0),
            (Type::I64, Type::I32) => {
                let to = walk.def(self, func, r);
                let a = walk.use_reg(self, func, Ref(node.a));
                let mut seq = Seq::new(self);
                self.narrow(&mut seq, to, a);
                seq.emit(walk);
            }
            (Type::F64, Type::I32) if !self.mask_registers() => self.f64_to_i32(walk, func, r, node),
            (Type::F32 | Type::F64, _) => self.saturate(walk, func, r, node),
            (Type::I32 | Type::I64, _) => self.bitcast(walk, func, r, node),
        }
    }

    /// The same bits.
    pub(super) fn bitcast(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        bring.into_iter().for_each(|inst| walk.emit(inst));
    }

    /// i32 to i64 with SSE2: the lower halves beside their signs.
    fn extend(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let a = walk.use_reg(self, func, Ref(node.a));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        seq.shift(SAR_IMM_I32, Form::Legacy, t, a, 31);
        seq.op3(UNPACK_I32, Form::Legacy, to, a, Rm::Reg(t));
        seq.emit(walk);
    }

    /// Truncates and saturates; NaN gives 0. What is too large becomes the largest int, which is a float; for what is too
    /// small the instruction answers the least int, which is right.
    fn f64_to_i32(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let form = self.form(Type::F64);
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let t = walk.temp(self, func, RegClass::Vec);
        let largest = self.splat(walk, Type::F64, f64::from(i32::MAX).to_bits());
        let mut seq = Seq::new(self);
        seq.op3(MIN_F64, form, t, x, largest);
        seq.op3_imm(COMPARE_F64, form, to, x, Rm::Reg(x), ORDERED);
        seq.op3(AND_F64, form, t, t, Rm::Reg(to));
        seq.op2(F64_TO_I32, form, to, Rm::Reg(t), 0);
        seq.emit(walk);
    }

    /// Truncates and saturates; NaN, replaced by 0 first, gives 0. For all that does not fit the instruction answers the
    /// least int, which is right for what is too small; what is too large is put right.
    fn saturate(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (from, ty) = (func.ty(Ref(node.a)), node.ty);
        let (w, form) = (wide(from), self.form(from));
        // 2 to the power of the width less one, the first that is too large.
        let limit = match (from, ty) {
            (Type::F64, Type::I64) => 9_223_372_036_854_775_808f64.to_bits(),
            (Type::F64, _) => 2_147_483_648f64.to_bits(),
            (_, Type::I64) => u64::from(9_223_372_036_854_775_808f32.to_bits()),
            _ => u64::from(2_147_483_648f32.to_bits()),
        };
        let (family, wider) = match (from, ty) {
            (Type::F64, Type::I64) => (F64_TO_I64, ty),
            (Type::F64, _) => (F64_TO_I32, from),
            (_, Type::I64) => (F32_TO_I64, ty),
            _ => (F32_TO_I32, ty),
        };
        let to = walk.def(self, func, r);
        let x = walk.use_reg(self, func, Ref(node.a));
        let number = walk.temp(self, func, RegClass::Vec);
        let limit = self.splat(walk, from, limit);
        let mut seq = Seq::new(self);
        if self.mask_registers() {
            let mask = walk.temp(self, func, RegClass::Mask);
            let largest = if ty == Type::I64 { i64::MAX as u64 } else { i32::MAX as u64 };
            let largest = self.splat(walk, ty, largest);
            let compare = FCOMPARE[w].inst(form);
            seq.push(with_imm(op3(compare, mask, x, Rm::Reg(x)), ORDERED));
            let and = op(FAND[w].inst(form), [number, x, x]);
            seq.push(MInst { mask, mode: and.mode | MInst::ZEROING, ..and });
            seq.push(with_imm(op3(compare, mask, number, limit), NOT_LESS));
            seq.op2(family, self.form(wider), to, Rm::Reg(number), 0);
            let blend = op3(IBLEND[wide(ty)].inst(self.form(ty)), to, to, largest);
            seq.push(MInst { mask, ..blend });
            return seq.emit(walk);
        }
        let large = walk.temp(self, func, RegClass::Vec);
        seq.op3_imm(FCOMPARE[w], form, number, x, Rm::Reg(x), ORDERED);
        seq.op3(FAND[w], form, number, number, Rm::Reg(x));
        seq.op3_imm(FCOMPARE[w], form, large, number, limit, NOT_LESS);
        seq.op2(family, self.form(wider), to, Rm::Reg(number), 0);
        seq.op3(XOR_I32, form, to, to, Rm::Reg(large));
        seq.emit(walk);
    }
}
