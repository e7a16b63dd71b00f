//! Bools over rows: comparisons, choices, what is asked of all rows at once, and bools in memory.
//!
//! A mask has a bit or a lane for each row. Lanes are as wide as the widest type in use; a comparison of a narrower type is
//! widened, and a mask that chooses among values of one is narrowed.

#![forbid(unsafe_code)]

use super::super::insts::*;
use super::super::lower::{op, op2, op3, with_imm};
use super::families::*;
use super::{Packed, Seq, size_of, wide};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Address, Rm, Walk};
use crate::mach::{Inst, Label, MInst, Reg, RegClass};
use crate::ops::Op;
use crate::types::Type;

/// Comparison predicate: less than (Intel SDM, volume 2, CMPPD and VPCMPD).
pub(super) const LESS: i32 = 1;

/// The immediate by which `cmppd` and `vpcmpq` make this comparison.
fn predicate_of(op: Op) -> i32 {
    match op {
        Op::Eq => 0,
        Op::Lt => LESS,
        Op::Le => 2,
        _ => 4,
    }
}

impl Packed {
    /// Has this type narrower lanes than masks have?
    fn is_narrow(&self, ty: Type) -> bool {
        ty != Type::Bool && size_of(ty) < self.lane
    }

    /// A mask in the lanes of `ty` becomes one in the lanes of masks. Not with mask registers.
    pub(super) fn widen(&self, seq: &mut Seq<'_>, ty: Type, mask: Reg) {
        if !self.is_narrow(ty) {
            return;
        }
        if self.legacy() {
            seq.op3(UNPACK_I32, Form::Legacy, mask, mask, Rm::Reg(mask));
        } else {
            seq.op2(I32_TO_I64, self.whole(), mask, Rm::Reg(mask), 0);
        }
    }

    /// The other way; `to` is not `mask`.
    pub(super) fn narrow(&self, seq: &mut Seq<'_>, to: Reg, mask: Reg) {
        if self.legacy() {
            return seq.op2(SHUFFLE_I32, Form::Legacy, to, Rm::Reg(mask), 0b10_00);
        }
        // The lower halves of all 64-bit lanes: those of the upper 128 bits, then both together.
        seq.push(with_imm(op2(VEXTRACTI128, to, Rm::Reg(mask)), 1));
        seq.push(with_imm(op3(VSHUFPS_128, to, mask, Rm::Reg(to)), 0b10_00_10_00));
    }

    /// A comparison.
    pub(super) fn compare(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let (a, b) = (Ref(node.a), Ref(node.b));
        let ty = func.ty(a);
        if ty == Type::Bool {
            return self.mask_binary(walk, func, r, node);
        }
        let (form, w) = (self.form(ty), wide(ty));
        let to = walk.def(self, func, r);
        let predicate = predicate_of(node.op);
        let mut seq = Seq::new(self);
        if self.mask_registers() {
            let family = if ty.is_float() { FCOMPARE[w] } else { ICOMPARE[w] };
            let first = walk.use_reg(self, func, a);
            let second = walk.use_rm(self, func, b);
            seq.push(with_imm(op3(family.inst(form), to, first, second), predicate));
            return seq.emit(walk);
        }
        if ty.is_float() {
            let first = walk.use_reg(self, func, a);
            let second = walk.use_rm(self, func, b);
            seq.op3_imm(FCOMPARE[w], form, to, first, second, predicate);
            self.widen(&mut seq, ty, to);
            return seq.emit(walk);
        }
        let (first, second) = (walk.use_reg(self, func, a), walk.use_reg(self, func, b));
        let t = walk.temp(self, func, RegClass::Vec);
        match node.op {
            Op::Eq | Op::Ne => self.equal(&mut seq, ty, to, [first, second], t),
            Op::Lt => self.greater(&mut seq, ty, to, [second, first], t),
            _ => self.greater(&mut seq, ty, to, [first, second], t),
        }
        if matches!(node.op, Op::Ne | Op::Le) {
            seq.op3(EQUAL_I32, form, t, t, Rm::Reg(t));
            seq.op3(IXOR[w], form, to, to, Rm::Reg(t));
        }
        self.widen(&mut seq, ty, to);
        seq.emit(walk);
    }

    /// `to`: all ones where `a` and `b` are equal ints. Not with mask registers. `t` is overwritten.
    fn equal(&self, seq: &mut Seq<'_>, ty: Type, to: Reg, [a, b]: [Reg; 2], t: Reg) {
        let form = self.form(ty);
        if ty == Type::I32 || self.level >= super::Level::V2 {
            return seq.op3(IEQUAL[wide(ty)], form, to, a, Rm::Reg(b));
        }
        // Both halves are equal.
        seq.op3(EQUAL_I32, form, to, a, Rm::Reg(b));
        seq.op2(SHUFFLE_I32, form, t, Rm::Reg(to), 0b10_11_00_01);
        seq.op3(AND_I64, form, to, to, Rm::Reg(t));
    }

    /// And, or, xor, equality and inequality of bools.
    pub(super) fn mask_binary(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        if self.mask_registers() {
            let inst = match node.op {
                Op::And => KANDW,
                Op::Or => KORW,
                Op::Eq => KXNORW,
                _ => KXORW,
            };
            let to = walk.def(self, func, r);
            walk.unlock(to);
            let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
            return walk.emit(op(inst, [to, a, b]));
        }
        let family = match node.op {
            Op::And => AND_F64,
            Op::Or => OR_F64,
            _ => XOR_F64,
        };
        let to = walk.def(self, func, r);
        let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_reg(self, func, Ref(node.b)));
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        seq.op3(family, self.whole(), to, a, Rm::Reg(b));
        if node.op == Op::Eq {
            self.invert(&mut seq, to, t);
        }
        seq.emit(walk);
    }

    /// Every lane the other way round; `t` is overwritten.
    fn invert(&self, seq: &mut Seq<'_>, to: Reg, t: Reg) {
        seq.op3(EQUAL_I32, self.whole(), t, t, Rm::Reg(t));
        seq.op3(XOR_F64, self.whole(), to, to, Rm::Reg(t));
    }

    pub(super) fn mask_not(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        if self.mask_registers() {
            walk.unlock(to);
            let a = walk.use_reg(self, func, Ref(node.a));
            return walk.emit(op(KNOTW, [to, a, Reg::NONE]));
        }
        let a = walk.use_reg(self, func, Ref(node.a));
        let mut seq = Seq::new(self);
        seq.op3(EQUAL_I32, self.whole(), to, to, Rm::Reg(to));
        seq.op3(XOR_F64, self.whole(), to, to, Rm::Reg(a));
        seq.emit(walk);
    }

    /// A choice in every row.
    pub(super) fn select(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        let to = walk.def(self, func, r);
        let mask = walk.use_reg(self, func, Ref(node.a));
        let (yes, no) = (walk.use_reg(self, func, Ref(node.b)), walk.use_reg(self, func, Ref(node.c)));
        let mut seq = Seq::new(self);
        if ty == Type::Bool && self.mask_registers() {
            let t = walk.temp(self, func, RegClass::Mask);
            seq.push(op(KANDW, [t, mask, yes]));
            seq.push(op(KANDNW, [to, mask, no]));
            seq.push(op(KORW, [to, to, t]));
        } else if self.mask_registers() {
            self.blend(&mut seq, ty, to, mask, yes, no);
        } else if self.is_narrow(ty) {
            let t = walk.temp(self, func, RegClass::Vec);
            self.narrow(&mut seq, t, mask);
            self.blend(&mut seq, ty, to, t, yes, no);
        } else if self.legacy() {
            // The blend overwrites its mask.
            let t = walk.temp(self, func, RegClass::Vec);
            seq.copy(t, mask);
            self.blend(&mut seq, ty, to, t, yes, no);
        } else {
            self.blend(&mut seq, ty, to, mask, yes, no);
        }
        seq.emit(walk);
    }

    /// `to` becomes `yes` where the mask, in the lanes of `ty`, is set, else `no`. Without AVX the mask is destroyed, and
    /// `to` is another register than the rest.
    pub(super) fn blend(&self, seq: &mut Seq<'_>, ty: Type, to: Reg, mask: Reg, yes: Reg, no: Reg) {
        let (form, w) = (self.form(ty), wide(ty));
        if self.legacy() {
            seq.op3(ANDN_F64, form, to, mask, Rm::Reg(no));
            seq.op3(AND_F64, form, mask, mask, Rm::Reg(yes));
            return seq.op3(OR_F64, form, to, to, Rm::Reg(mask));
        }
        let family = match ty {
            Type::F32 | Type::F64 => FBLEND[w],
            Type::I32 | Type::I64 => IBLEND[w],
            Type::Bool => BLEND_I32,
        };
        seq.push(MInst { mask, ..op(family.inst(form), [to, no, yes]) });
    }

    /// True in every row if it is in any. Mostly the jump that wants it asks by itself.
    pub(super) fn any(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let mask = walk.use_reg(self, func, Ref(node.a));
        let bits = walk.temp(self, func, RegClass::Gpr);
        let mut seq = Seq::new(self);
        // -1 if a bit of the mask is set, else 0.
        let spread = |seq: &mut Seq<'_>| {
            seq.push(op(NEG_RM32, [bits, Reg::NONE, Reg::NONE]));
            seq.push(op(SBB_R32_RM32, [bits, bits, Reg::NONE]));
        };
        if self.mask_registers() {
            seq.push(op(if self.rows() == 8 { KMOVB_R32_K } else { KMOVW_R32_K }, [bits, mask, Reg::NONE]));
            spread(&mut seq);
            seq.push(op(KMOVD_K_R32, [to, bits, Reg::NONE]));
        } else {
            seq.push(op(SIGNS[wide_lane(self.lane)].inst(self.whole()), [bits, mask, Reg::NONE]));
            spread(&mut seq);
            if self.legacy() {
                seq.push(op(MOVD_XMM_RM32, [to, bits, Reg::NONE]));
                seq.op2(SHUFFLE_I32, Form::Legacy, to, Rm::Reg(to), 0);
            } else {
                seq.push(op(VMOVD_XMM_RM32, [to, bits, Reg::NONE]));
                seq.push(op(VPBROADCASTD_256, [to, to, Reg::NONE]));
            }
        }
        seq.emit(walk);
    }

    /// What sets the flags to "not zero" if the mask is set in any row; the temporary register for it.
    fn test(&self, seq: &mut Seq<'_>, mask: Reg, bits: Reg) {
        if self.mask_registers() {
            return seq.push(op(if self.rows() == 8 { KORTESTB } else { KORTESTW }, [mask, mask, Reg::NONE]));
        }
        seq.push(op(SIGNS[wide_lane(self.lane)].inst(self.whole()), [bits, mask, Reg::NONE]));
        seq.push(op(TEST_RM32_R32, [bits, bits, Reg::NONE]));
    }

    /// The mask to be asked for a condition: `any` of it needs no value of its own.
    fn condition(&self, walk: &mut Walk, func: &Func, condition: Ref) -> Reg {
        let node = func.node(condition);
        if node.op == Op::Any && walk.is_unplaced(condition) && walk.uses(condition) == 1 {
            return walk.use_reg(self, func, Ref(node.a));
        }
        walk.use_reg(self, func, condition)
    }

    /// Goes to `label` by `jump` if the condition does not hold (`JE`) or does (`JNE`).
    pub(super) fn branch(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label, jump: Inst) {
        walk.divert();
        let mask = self.condition(walk, func, condition);
        let bits = walk.temp(self, func, RegClass::Gpr);
        let label = walk.diverted(self, label);
        let mut seq = Seq::new(self);
        self.test(&mut seq, mask, bits);
        seq.push(with_imm(MInst::new(jump), label.0 as i32));
        seq.emit(walk);
    }

    /// Leaves the kernel before this step is stored if the condition holds in any row.
    pub(super) fn trap(&self, walk: &mut Walk, func: &Func, node: &Node) {
        let mask = self.condition(walk, func, Ref(node.a));
        let bits = walk.temp(self, func, RegClass::Gpr);
        let Some(exit) = walk.exit_label else { return };
        let mut seq = Seq::new(self);
        self.test(&mut seq, mask, bits);
        seq.push(with_imm(MInst::new(JNE), exit.0 as i32));
        seq.emit(walk);
    }

    /// Loads a byte for each row and makes a mask of them.
    pub(super) fn load_bools(&self, walk: &mut Walk, func: &Func, to: Reg, at: Address) {
        let w = wide_lane(self.lane);
        let form = self.whole();
        let mut seq = Seq::new(self);
        let t = walk.temp(self, func, RegClass::Vec);
        if self.mask_registers() {
            seq.op2(FROM_BYTES[w], form, t, Rm::Mem(at), 0);
            seq.push(op(ITEST[w].inst(form), [to, t, t]));
            return seq.emit(walk);
        }
        if self.level >= super::Level::V2 {
            seq.op2(FROM_BYTES[w], form, t, Rm::Mem(at), 0);
            self.zero(&mut seq, form, to);
            seq.op3(ISUB[w], form, to, to, Rm::Reg(t));
            return seq.emit(walk);
        }
        // Every byte four times over: a positive int if it is 1.
        let bits = walk.temp(self, func, RegClass::Gpr);
        seq.push(op2(if self.rows() == 2 { MOVZX_R32_RM16 } else { MOV_R32_RM32 }, bits, Rm::Mem(at)));
        seq.push(op(MOVD_XMM_RM32, [to, bits, Reg::NONE]));
        seq.push(op(PUNPCKLBW, [to, to, Reg::NONE]));
        seq.push(op(PUNPCKLWD, [to, to, Reg::NONE]));
        self.zero(&mut seq, form, t);
        seq.op3(GREATER_I32, form, to, to, Rm::Reg(t));
        if w == 1 {
            seq.op3(UNPACK_I32, form, to, to, Rm::Reg(to));
        }
        seq.emit(walk);
    }

    /// Stores a byte for each row of a mask.
    pub(super) fn store_bools(&self, walk: &mut Walk, func: &Func, at: Address, mask: Reg) {
        let t = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        let memory =
            |inst, reg| MInst { mode: at.mode, index: at.index, disp: at.disp, ..op(inst, [at.base, reg, Reg::NONE]) };
        if self.mask_registers() {
            let ones = walk.code.pool.add(&[1; 16]);
            seq.push(op(VPMOVM2B_E128, [t, mask, Reg::NONE]));
            seq.op3(AND_I32, Form::Evex128, t, t, Rm::Mem(Address::pool(ones)));
            seq.push(memory(if self.rows() == 8 { VMOVQ_STORE_E } else { VMOVUPS_STORE_E128 }, t));
            return seq.emit(walk);
        }
        let form = if self.legacy() { Form::Legacy } else { Form::Vex128 };
        if self.lane == 8 {
            self.narrow(&mut seq, t, mask);
            seq.op3(PACK_I32, form, t, t, Rm::Reg(t));
        } else if self.legacy() {
            seq.copy(t, mask);
            seq.op3(PACK_I32, form, t, t, Rm::Reg(t));
        } else {
            seq.push(with_imm(op2(VEXTRACTI128, t, Rm::Reg(mask)), 1));
            seq.op3(PACK_I32, form, t, mask, Rm::Reg(t));
        }
        seq.op3(PACK_I16, form, t, t, Rm::Reg(t));
        let ones = Rm::Mem(Address::pool(walk.code.pool.add(&[1; 16])));
        seq.op3(AND_I32, form, t, t, ones);
        let vex = usize::from(!self.legacy());
        match self.rows() {
            8 => seq.push(memory([MOVQ_STORE, VMOVQ_STORE][vex], t)),
            4 => seq.push(memory([MOVD_RM32_XMM, VMOVD_RM32_XMM][vex], t)),
            _ => {
                let bits = walk.temp(self, func, RegClass::Gpr);
                seq.push(op(MOVD_RM32_XMM, [bits, t, Reg::NONE]));
                seq.push(memory(MOV_RM16_R16, bits));
            }
        }
        seq.emit(walk);
    }

    /// Number to bool: is it not zero?
    pub(super) fn number_to_bool(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = func.ty(Ref(node.a));
        let (form, w) = (self.form(ty), wide(ty));
        let to = walk.def(self, func, r);
        let a = walk.use_reg(self, func, Ref(node.a));
        let [zero, t] = [(); 2].map(|()| walk.temp(self, func, RegClass::Vec));
        let mut seq = Seq::new(self);
        self.zero(&mut seq, form, zero);
        let unequal = predicate_of(Op::Ne);
        if self.mask_registers() {
            let family = if ty.is_float() { FCOMPARE[w] } else { ICOMPARE[w] };
            seq.push(with_imm(op3(family.inst(form), to, a, Rm::Reg(zero)), unequal));
            return seq.emit(walk);
        }
        if ty.is_float() {
            seq.op3_imm(FCOMPARE[w], form, to, a, Rm::Reg(zero), unequal);
        } else {
            self.equal(&mut seq, ty, to, [a, zero], t);
            seq.op3(EQUAL_I32, form, t, t, Rm::Reg(t));
            seq.op3(IXOR[w], form, to, to, Rm::Reg(t));
        }
        self.widen(&mut seq, ty, to);
        seq.emit(walk);
    }

    /// Bool to number: 1 where it is true.
    pub(super) fn bool_to_number(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let ty = node.ty;
        let one = match ty {
            Type::F64 => 1f64.to_bits(),
            Type::F32 => u64::from(1f32.to_bits()),
            _ => 1,
        };
        let to = walk.def(self, func, r);
        let mask = walk.use_reg(self, func, Ref(node.a));
        let mut seq = Seq::new(self);
        if self.mask_registers() {
            let form = self.form(ty);
            seq.push(op(ISPREAD[wide(ty)].inst(form), [to, mask, Reg::NONE]));
            let one = self.splat(walk, ty, one);
            seq.op3(IAND[wide(ty)], form, to, to, one);
            return seq.emit(walk);
        }
        let mut from = mask;
        if self.is_narrow(ty) {
            self.narrow(&mut seq, to, mask);
            from = to;
        }
        let one = self.splat(walk, ty, one);
        seq.op3(FAND[wide(ty)], self.form(ty), to, from, one);
        seq.emit(walk);
    }
}

/// The index of lanes of so many bytes among the two widths.
fn wide_lane(lane: u32) -> usize {
    usize::from(lane == 8)
}
