//! Comparisons, choices between two values, and jumps on conditions.
//!
//! A condition is *planned* first (its operands get registers), used, and only then emitted, since emission runs
//! backwards. A comparison that is wanted only as a condition leaves its answer in the flags. Two facts about the flags
//! after `ucomisd a, b` shape this file: "above" is false for NaN, so `x < y` is asked as `y` above `x`; and equality
//! needs the parity flag too, since unordered operands also set the zero flag (Intel SDM, volume 2, UCOMISD).

#![forbid(unsafe_code)]

use super::insts::*;
use super::lower::{CMP, FAND, FANDN, FCOMPARE, FOR, Seq, X64, alu_imm, immediate, op, op1, op2, wide, with_imm};
use crate::ir::{Func, Node, Ref};
use crate::mach::walk::{Rm, Target, Walk};
use crate::mach::{Inst, Label, MInst, Reg, RegClass};
use crate::ops::Op;
use crate::types::Type;

/// A condition code: its number in the manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cc(usize);

const O: Cc = Cc(0);
const AE: Cc = Cc(3);
const E: Cc = Cc(4);
const NE: Cc = Cc(5);
const A: Cc = Cc(7);
const P: Cc = Cc(10);
const NP: Cc = Cc(11);
const L: Cc = Cc(12);
const GE: Cc = Cc(13);
const LE: Cc = Cc(14);
const G: Cc = Cc(15);

const JUMPS: [Inst; 16] = [JO, JNO, JB, JAE, JE, JNE, JBE, JA, JS, JNS, JP, JNP, JL, JGE, JLE, JG];
const SETS: [Inst; 16] = [
    SETO_RM8, SETNO_RM8, SETB_RM8, SETAE_RM8, SETE_RM8, SETNE_RM8, SETBE_RM8, SETA_RM8, SETS_RM8, SETNS_RM8, SETP_RM8,
    SETNP_RM8, SETL_RM8, SETGE_RM8, SETLE_RM8, SETG_RM8,
];
const MOVES: [[Inst; 2]; 16] = [
    [CMOVO_R32_RM32, CMOVO_R64_RM64],
    [CMOVNO_R32_RM32, CMOVNO_R64_RM64],
    [CMOVB_R32_RM32, CMOVB_R64_RM64],
    [CMOVAE_R32_RM32, CMOVAE_R64_RM64],
    [CMOVE_R32_RM32, CMOVE_R64_RM64],
    [CMOVNE_R32_RM32, CMOVNE_R64_RM64],
    [CMOVBE_R32_RM32, CMOVBE_R64_RM64],
    [CMOVA_R32_RM32, CMOVA_R64_RM64],
    [CMOVS_R32_RM32, CMOVS_R64_RM64],
    [CMOVNS_R32_RM32, CMOVNS_R64_RM64],
    [CMOVP_R32_RM32, CMOVP_R64_RM64],
    [CMOVNP_R32_RM32, CMOVNP_R64_RM64],
    [CMOVL_R32_RM32, CMOVL_R64_RM64],
    [CMOVGE_R32_RM32, CMOVGE_R64_RM64],
    [CMOVLE_R32_RM32, CMOVLE_R64_RM64],
    [CMOVG_R32_RM32, CMOVG_R64_RM64],
];

impl Cc {
    fn inverted(self) -> Cc {
        Cc(self.0 ^ 1)
    }
}

/// What the flags must show.
#[derive(Clone, Copy, Debug)]
enum Flags {
    One(Cc),
    Both(Cc, Cc),
    Either(Cc, Cc),
}

/// A planned condition: the instruction that sets the flags, and what they must show for it to hold.
#[derive(Clone, Copy)]
pub(super) struct Test {
    set: MInst,
    flags: Flags,
}

impl Test {
    pub(super) fn inverted(self) -> Test {
        let flags = match self.flags {
            Flags::One(cc) => Flags::One(cc.inverted()),
            Flags::Both(a, b) => Flags::Either(a.inverted(), b.inverted()),
            Flags::Either(a, b) => Flags::Both(a.inverted(), b.inverted()),
        };
        Test { flags, ..self }
    }
}

/// A planned condition for a jump: one test, or two of which both must hold or either.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    first: Test,
    second: Option<Test>,
    both: bool,
}

impl Condition {
    pub(super) fn inverted(self) -> Condition {
        Condition { first: self.first.inverted(), second: self.second.map(Test::inverted), both: !self.both }
    }
}

/// A planned mask of all ones or all zeros in a vector register.
enum Mask {
    /// By comparing floats.
    Compare { ty: Type, a: Reg, b: Rm, predicate: i32 },
    /// By spreading a bool.
    Spread { value: Reg },
}

impl X64 {
    /// May the flags be set by `r` itself, because nothing else wants its value?
    fn fuses(walk: &Walk, r: Ref) -> bool {
        walk.is_unplaced(r) && walk.uses(r) == 1
    }

    /// Plans the condition `r`.
    pub(super) fn plan_test(&self, walk: &mut Walk, func: &Func, r: Ref) -> Test {
        let node = func.node(r);
        if Self::fuses(walk, r) {
            match node.op {
                Op::Not => return self.plan_test(walk, func, Ref(node.a)).inverted(),
                Op::Eq | Op::Ne | Op::Lt | Op::Le => return self.plan_compare(walk, func, node),
                _ => {}
            }
        }
        let reg = walk.use_reg(self, func, r);
        Test { set: op(TEST_RM32_R32, [reg, reg, Reg::NONE]), flags: Flags::One(NE) }
    }

    /// Plans the condition `r` for a jump: `and` and `or` become two jumps.
    pub(super) fn plan_condition(&self, walk: &mut Walk, func: &Func, r: Ref) -> Condition {
        let node = func.node(r);
        if Self::fuses(walk, r) {
            match node.op {
                Op::Not => return self.plan_condition(walk, func, Ref(node.a)).inverted(),
                Op::And | Op::Or => {
                    let first = self.plan_test(walk, func, Ref(node.a));
                    let second = Some(self.plan_test(walk, func, Ref(node.b)));
                    return Condition { first, second, both: node.op == Op::And };
                }
                _ => {}
            }
        }
        Condition { first: self.plan_test(walk, func, r), second: None, both: false }
    }

    /// Emits what goes to `label` if the condition holds.
    pub(super) fn emit_jump(&self, walk: &mut Walk, condition: &Condition, label: Label) {
        let Condition { first, second, both } = condition;
        let mut over = label;
        if let Some(second) = second {
            if *both {
                over = walk.label();
                walk.bind(over);
            }
            self.jump_if(walk, second, label);
            self.emit_test(walk, second);
        }
        let skip = second.is_some() && *both;
        self.jump_if(walk, &if skip { first.inverted() } else { *first }, over);
        self.emit_test(walk, first);
    }

    fn plan_compare(&self, walk: &mut Walk, func: &Func, node: &Node) -> Test {
        let (a, b) = (Ref(node.a), Ref(node.b));
        let ty = func.ty(a);
        if ty.is_float() {
            let inst = self.form(&[UCOMISS, UCOMISD, VUCOMISS, VUCOMISD], ty);
            let (first, second, flags) = match node.op {
                Op::Lt => (b, a, Flags::One(A)),
                Op::Le => (b, a, Flags::One(AE)),
                Op::Eq => (a, b, Flags::Both(E, NP)),
                _ => (a, b, Flags::Either(NE, P)),
            };
            let first = walk.use_reg(self, func, first);
            let second = walk.use_rm(self, func, second);
            return Test { set: op2(inst, first, second), flags };
        }
        // A constant is compared on the right.
        let swap = immediate(func, a).is_some() && immediate(func, b).is_none();
        let (a, b) = if swap { (b, a) } else { (a, b) };
        let cc = match (node.op, swap) {
            (Op::Lt, false) => L,
            (Op::Le, false) => LE,
            (Op::Lt, true) => G,
            (Op::Le, true) => GE,
            (Op::Eq, _) => E,
            _ => NE,
        };
        let w = wide(ty);
        let masked = func.node(a);
        if masked.op == Op::And
            && immediate(func, b) == Some(0)
            && matches!(cc, E | NE)
            && Self::fuses(walk, a)
            && let Some(imm) = immediate(func, Ref(masked.b))
        {
            let first = walk.use_reg(self, func, Ref(masked.a));
            // A mask that is not negative leaves nothing of the upper half.
            let w = if imm >= 0 { 0 } else { w };
            let set = with_imm(op1([TEST_RM32_IMM32, TEST_RM64_IMM32][w], first), imm);
            return Test { set, flags: Flags::One(cc) };
        }
        let first = walk.use_reg(self, func, a);
        let set = match immediate(func, b) {
            Some(0) => op([TEST_RM32_R32, TEST_RM64_R64][w], [first, first, Reg::NONE]),
            Some(imm) => alu_imm(&CMP, w, first, imm),
            None => op2(CMP.rm[w], first, walk.use_rm(self, func, b)),
        };
        Test { set, flags: Flags::One(cc) }
    }

    /// Emits what sets the flags of a planned condition.
    pub(super) fn emit_test(&self, walk: &mut Walk, test: &Test) {
        walk.emit(test.set);
    }

    /// Emits jumps to `label` that are taken if the condition holds.
    pub(super) fn jump_if(&self, walk: &mut Walk, test: &Test, label: Label) {
        let jump = |cc: Cc, to: Label| with_imm(MInst::new(JUMPS[cc.0]), to.0 as i32);
        match test.flags {
            Flags::One(cc) => walk.emit(jump(cc, label)),
            Flags::Either(a, b) => walk.emit_all(&[jump(a, label), jump(b, label)]),
            Flags::Both(a, b) => {
                let skip = walk.label();
                walk.bind(skip);
                walk.emit_all(&[jump(b.inverted(), skip), jump(a, label)]);
            }
        }
    }

    /// A comparison as a value.
    pub(super) fn compare(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let ty = func.ty(Ref(node.a));
        if ty.is_float() && matches!(node.op, Op::Eq | Op::Ne) {
            let (a, b) = (walk.use_reg(self, func, Ref(node.a)), walk.use_rm(self, func, Ref(node.b)));
            return self.mask_bit(walk, func, to, ty, a, b, predicate_of(node.op));
        }
        let test = self.plan_compare(walk, func, node);
        self.emit_set(walk, to, test.flags);
        self.emit_test(walk, &test);
    }

    /// The lowest bit of a float comparison's mask.
    #[allow(clippy::too_many_arguments, reason = "the operands of one instruction and where they go")]
    pub(super) fn mask_bit(&self, walk: &mut Walk, func: &Func, to: Reg, ty: Type, a: Reg, b: Rm, predicate: i32) {
        let mask = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        seq.float(&FCOMPARE, ty, mask, a, b, predicate);
        seq.push(self.vector_to_gpr(to, mask, Type::F32));
        seq.push(alu_imm(&super::lower::AND, 0, to, 1));
        walk.emit_all(seq.insts());
    }

    fn emit_set(&self, walk: &mut Walk, to: Reg, flags: Flags) {
        let Flags::One(cc) = flags else {
            debug_assert!(false, "float equality goes through a mask");
            return;
        };
        walk.emit_all(&[op1(SETS[cc.0], to), op(MOVZX_R32_RM8, [to, to, Reg::NONE])]);
    }

    /// `not` of a bool.
    pub(super) fn not_bool(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        walk.emit(alu_imm(&super::lower::XOR, 0, to, 1));
        self.emit_bring(walk, bring);
    }

    /// Did the operation leave the type?
    pub(super) fn overflow(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let w = wide(func.ty(Ref(node.a)));
        let inst = match node.op {
            Op::AddOverflows => [ADD_R32_RM32, ADD_R64_RM64][w],
            Op::SubOverflows => [SUB_R32_RM32, SUB_R64_RM64][w],
            _ => [IMUL_R32_RM32, IMUL_R64_RM64][w],
        };
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        let b = if node.a == node.b { Rm::Reg(to) } else { walk.use_rm(self, func, Ref(node.b)) };
        self.emit_set(walk, to, Flags::One(O));
        walk.emit(op2(inst, to, b));
        self.emit_bring(walk, bring);
    }

    /// A choice between ints or bools, by conditional moves.
    pub(super) fn select_int(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let (mut yes, mut no) = (Ref(node.b), Ref(node.c));
        let mut test = self.plan_test(walk, func, Ref(node.a));
        if matches!(test.flags, Flags::Both(..)) {
            test = test.inverted();
            std::mem::swap(&mut yes, &mut no);
        }
        let bring = self.bring(walk, func, to, no);
        let from = if yes == no { Rm::Reg(to) } else { walk.use_rm(self, func, yes) };
        let w = wide(node.ty);
        match test.flags {
            Flags::One(cc) => walk.emit(op2(MOVES[cc.0][w], to, from)),
            Flags::Either(a, b) | Flags::Both(a, b) => {
                walk.emit_all(&[op2(MOVES[a.0][w], to, from), op2(MOVES[b.0][w], to, from)]);
            }
        }
        self.emit_test(walk, &test);
        self.emit_bring(walk, bring);
    }

    /// A choice between floats, by a mask.
    pub(super) fn select_float(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        if self.vex {
            walk.unlock(to);
        }
        let plan = self.plan_mask(walk, func, Ref(node.a));
        let yes = walk.use_reg(self, func, Ref(node.b));
        let no = walk.use_reg(self, func, Ref(node.c));
        let mask = walk.temp(self, func, RegClass::Vec);
        let mut seq = Seq::new(self);
        match plan {
            Mask::Compare { ty, a, b, predicate } => {
                seq.float(&FCOMPARE, ty, mask, a, b, predicate);
                if ty == Type::F32 && node.ty == Type::F64 {
                    seq.float(&[UNPCKLPS, UNPCKLPS, VUNPCKLPS_128, VUNPCKLPS_128], ty, mask, mask, Rm::Reg(mask), 0);
                }
            }
            Mask::Spread { value } => {
                let spread = walk.temp(self, func, RegClass::Gpr);
                seq.push(self.copy(spread, value));
                seq.push(op1(NEG_RM64, spread));
                seq.push(self.gpr_to_vector(mask, spread, Type::F64));
            }
        }
        self.blend(&mut seq, node.ty, to, mask, yes, no);
        walk.emit_all(seq.insts());
    }

    /// `to` becomes `yes` where the mask is set, else `no`. Without AVX the mask is destroyed, and `to` is another
    /// register than the rest.
    pub(super) fn blend(&self, seq: &mut Seq, ty: Type, to: Reg, mask: Reg, yes: Reg, no: Reg) {
        if self.vex {
            let inst = if ty == Type::F64 { VBLENDVPD_128 } else { VBLENDVPS_128 };
            seq.push(MInst { mask, ..op(inst, [to, no, yes]) });
            return;
        }
        seq.float(&FANDN, Type::F64, to, mask, Rm::Reg(no), 0);
        seq.float(&FAND, Type::F64, mask, mask, Rm::Reg(yes), 0);
        seq.float(&FOR, Type::F64, to, to, Rm::Reg(mask), 0);
    }

    fn plan_mask(&self, walk: &mut Walk, func: &Func, r: Ref) -> Mask {
        let node = func.node(r);
        if Self::fuses(walk, r) && matches!(node.op, Op::Eq | Op::Ne | Op::Lt | Op::Le) {
            let ty = func.ty(Ref(node.a));
            if ty.is_float() {
                let a = walk.use_reg(self, func, Ref(node.a));
                let b = walk.use_rm(self, func, Ref(node.b));
                return Mask::Compare { ty, a, b, predicate: predicate_of(node.op) };
            }
        }
        Mask::Spread { value: walk.use_reg(self, func, r) }
    }

    /// Minimum or maximum of ints.
    pub(super) fn int_extreme(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let w = wide(node.ty);
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        let other = if node.a == node.b { to } else { walk.use_reg(self, func, Ref(node.b)) };
        let better = if node.op == Op::Min { L } else { G };
        walk.emit_all(&[op(CMP.rm[w], [other, to, Reg::NONE]), op(MOVES[better.0][w], [to, other, Reg::NONE])]);
        self.emit_bring(walk, bring);
    }

    /// Absolute value of an int, wrapping.
    pub(super) fn int_abs(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let w = wide(node.ty);
        let to = walk.def(self, func, r);
        let from = walk.use_reg(self, func, Ref(node.a));
        // Negate; if that is negative, the value was positive (or the minimum, which stays).
        walk.emit_all(&[
            self.copy(to, from),
            op1([NEG_RM32, NEG_RM64][w], to),
            op(MOVES[Cc(8).0][w], [to, from, Reg::NONE]),
        ]);
    }
}

/// The immediate by which `cmpsd` makes this comparison (Intel SDM, volume 2, CMPPD).
pub(super) fn predicate_of(op: Op) -> i32 {
    match op {
        Op::Eq => 0,
        Op::Lt => 1,
        Op::Le => 2,
        _ => 4,
    }
}
