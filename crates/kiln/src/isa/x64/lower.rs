//! From operations to instructions: one exhaustive match over the operations, and the shapes that its arms share.
//!
//! Here, and nowhere else, it is decided whether an operand is an immediate, a memory operand or a register, and which
//! of two equal instruction sequences is the better one. An operation that a level has no instructions for is called:
//! its meaning from the op table, through the thunk that every call uses. To add an operation, add an arm; `called`
//! says when there is none.

#![forbid(unsafe_code)]

use super::abi::CALL_CLOBBERS;
use super::features::Level;
use super::insts::*;
use super::regs::{RAX, RCX, RDI, RDX, RSI, RSP};
use crate::ir::{Func, Node, Ref, Target as Callee, TrapKind};
use crate::mach::buffer::Pool;
use crate::mach::walk::{Address, Rm, Target, Walk};
use crate::mach::{Inst, Label, MInst, Mem, Reg, RegClass, Sets};
use crate::ops::Op;
use crate::run::host;
use crate::types::Type;
use std::sync::Arc;

/// The lowering for one level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct X64 {
    pub(crate) level: Level,
    /// AVX is there: three-operand forms.
    pub(super) vex: bool,
}

/// One instruction in four forms: legacy f32 and f64, AVX f32 and f64.
pub(super) type Forms = [Inst; 4];

const FADD: Forms = [ADDSS, ADDSD, VADDSS, VADDSD];
const FSUB: Forms = [SUBSS, SUBSD, VSUBSS, VSUBSD];
const FMUL: Forms = [MULSS, MULSD, VMULSS, VMULSD];
const FDIV: Forms = [DIVSS, DIVSD, VDIVSS, VDIVSD];
const FSQRT: Forms = [SQRTSS, SQRTSD, VSQRTSS, VSQRTSD];
pub(super) const FMIN: Forms = [MINSS, MINSD, VMINSS, VMINSD];
pub(super) const FMAX: Forms = [MAXSS, MAXSD, VMAXSS, VMAXSD];
pub(super) const FCOMPARE: Forms = [CMPSS, CMPSD, VCMPSS, VCMPSD];
pub(super) const FROUND: Forms = [ROUNDSS, ROUNDSD, VROUNDSS, VROUNDSD];
pub(super) const FAND: Forms = [ANDPS, ANDPS, VANDPS_128, VANDPS_128];
pub(super) const FANDN: Forms = [ANDNPS, ANDNPS, VANDNPS_128, VANDNPS_128];
pub(super) const FOR: Forms = [ORPS, ORPS, VORPS_128, VORPS_128];
pub(super) const FXOR: Forms = [XORPS, XORPS, VXORPS_128, VXORPS_128];
pub(super) const FADD_SUB: [Forms; 2] = [FADD, FSUB];
const LOAD: Forms = [MOVSS_LOAD, MOVSD_LOAD, VMOVSS_LOAD, VMOVSD_LOAD];
const STORE: Forms = [MOVSS_STORE, MOVSD_STORE, VMOVSS_STORE, VMOVSD_STORE];

/// An integer instruction by width (32, 64) and kind of second operand.
#[derive(Clone, Copy)]
pub(super) struct Alu {
    pub(super) rm: [Inst; 2],
    pub(super) imm8: [Inst; 2],
    pub(super) imm32: [Inst; 2],
}

macro_rules! alu {
    ($name:ident: $rm32:ident $rm64:ident $i8_32:ident $i8_64:ident $i32_32:ident $i32_64:ident) => {
        pub(super) const $name: Alu = Alu { rm: [$rm32, $rm64], imm8: [$i8_32, $i8_64], imm32: [$i32_32, $i32_64] };
    };
}
alu!(ADD: ADD_R32_RM32 ADD_R64_RM64 ADD_RM32_IMM8 ADD_RM64_IMM8 ADD_RM32_IMM32 ADD_RM64_IMM32);
alu!(SUB: SUB_R32_RM32 SUB_R64_RM64 SUB_RM32_IMM8 SUB_RM64_IMM8 SUB_RM32_IMM32 SUB_RM64_IMM32);
alu!(AND: AND_R32_RM32 AND_R64_RM64 AND_RM32_IMM8 AND_RM64_IMM8 AND_RM32_IMM32 AND_RM64_IMM32);
alu!(OR: OR_R32_RM32 OR_R64_RM64 OR_RM32_IMM8 OR_RM64_IMM8 OR_RM32_IMM32 OR_RM64_IMM32);
alu!(XOR: XOR_R32_RM32 XOR_R64_RM64 XOR_RM32_IMM8 XOR_RM64_IMM8 XOR_RM32_IMM32 XOR_RM64_IMM32);
alu!(CMP: CMP_R32_RM32 CMP_R64_RM64 CMP_RM32_IMM8 CMP_RM64_IMM8 CMP_RM32_IMM32 CMP_RM64_IMM32);

/// The index of an integer type's width in two-element tables; bools live in 32-bit registers.
pub(super) fn wide(ty: Type) -> usize {
    usize::from(ty == Type::I64)
}

/// An instruction over registers.
pub(super) fn op(inst: Inst, regs: [Reg; 3]) -> MInst {
    MInst { regs, ..MInst::new(inst) }
}

/// An instruction over one register.
pub(super) fn op1(inst: Inst, a: Reg) -> MInst {
    op(inst, [a, Reg::NONE, Reg::NONE])
}

/// An instruction over two operands, the second of which may be memory.
pub(super) fn op2(inst: Inst, a: Reg, b: Rm) -> MInst {
    match b {
        Rm::Reg(b) => op(inst, [a, b, Reg::NONE]),
        Rm::Mem(m) => MInst { mode: m.mode, index: m.index, disp: m.disp, ..op(inst, [a, m.base, Reg::NONE]) },
    }
}

/// An instruction over three operands, the last of which may be memory.
pub(super) fn op3(inst: Inst, a: Reg, b: Reg, c: Rm) -> MInst {
    match c {
        Rm::Reg(c) => op(inst, [a, b, c]),
        Rm::Mem(m) => MInst { mode: m.mode, index: m.index, disp: m.disp, ..op(inst, [a, b, m.base]) },
    }
}

/// The same with an immediate.
pub(super) fn with_imm(inst: MInst, imm: i32) -> MInst {
    MInst { imm, ..inst }
}

/// A short run of instructions, in the order in which they run.
pub(super) struct Seq {
    vex: bool,
    len: usize,
    insts: [MInst; Seq::LONGEST],
}

impl Seq {
    const LONGEST: usize = 40;

    pub(super) fn new(target: &X64) -> Seq {
        Seq { vex: target.vex, len: 0, insts: [MInst::new(Inst::BIND); Seq::LONGEST] }
    }

    pub(super) fn push(&mut self, inst: MInst) {
        self.insts[self.len] = inst;
        self.len += 1;
    }

    pub(super) fn insts(&self) -> &[MInst] {
        &self.insts[..self.len]
    }

    /// `to = a op b` at any level; `b` is not `to` unless `a` is. An operation of one operand, and a copy, has
    /// it twice.
    pub(super) fn float(&mut self, forms: &Forms, ty: Type, to: Reg, a: Reg, b: Rm, imm: i32) {
        let inst = forms[2 * usize::from(self.vex) + usize::from(ty == Type::F64)];
        if inst == VMOVAPS_128 || inst == MOVAPS {
            self.push(op2(inst, to, b));
        } else if self.vex {
            self.push(with_imm(op3(inst, to, a, b), imm));
        } else {
            debug_assert!(to == a || b != Rm::Reg(to));
            if to != a {
                self.push(op(MOVAPS, [to, a, Reg::NONE]));
            }
            self.push(with_imm(op2(inst, to, b), imm));
        }
    }
}

/// How a two-operand instruction gets its first operand into the destination.
#[derive(Clone, Copy)]
pub(super) enum Bring {
    /// It is computed there.
    InPlace,
    /// By this instruction.
    By(MInst),
}

impl X64 {
    /// The lowering for `level`.
    pub(crate) fn new(level: Level) -> X64 {
        X64 { level, vex: level >= Level::V3 }
    }

    /// The form for this level and type.
    pub(super) fn form(&self, forms: &Forms, ty: Type) -> Inst {
        forms[2 * usize::from(self.vex) + usize::from(ty == Type::F64)]
    }

    /// Has the operation no instructions here, so that its meaning is called?
    pub(super) fn is_called(&self, func: &Func, node: &Node) -> bool {
        match node.op {
            Op::FloorDiv | Op::FloorMod | Op::TruncRem => node.ty.is_float(),
            Op::Power | Op::PowOverflows | Op::Lookup => true,
            Op::Fma => self.level < Level::V3,
            Op::Popcount => self.level < Level::V2,
            _ => {
                let _ = func;
                false
            }
        }
    }

    pub(super) fn vector_save(&self, reg: Reg, at: i32) -> MInst {
        let inst = if self.vex { VMOVUPS_STORE_128 } else { MOVUPS_STORE };
        MInst { mode: 1, disp: at, ..op(inst, [RSP, reg, Reg::NONE]) }
    }

    pub(super) fn vector_restore(&self, reg: Reg, at: i32) -> MInst {
        let inst = if self.vex { VMOVUPS_128 } else { MOVUPS };
        MInst { mode: 1, disp: at, ..op(inst, [reg, RSP, Reg::NONE]) }
    }

    /// Sees to it that `a` gets into `to`, which is reserved: computed there if it has no place yet.
    pub(super) fn bring(&self, walk: &mut Walk, func: &Func, to: Reg, a: Ref) -> Bring {
        let node = func.node(a);
        if walk.reg_of(a).is_some() {
            let from = walk.use_reg(self, func, a);
            return if from == to { Bring::InPlace } else { Bring::By(self.copy(to, from)) };
        }
        if node.op == Op::Const {
            return Bring::By(self.constant(&mut walk.code.pool, to, node.ty, node.const_bits()));
        }
        if walk.is_unplaced(a) && walk.can_own(to) {
            walk.assign_used(a, to);
            return Bring::InPlace;
        }
        match walk.use_rm(self, func, a) {
            Rm::Reg(from) if from == to => Bring::InPlace,
            Rm::Reg(from) => Bring::By(self.copy(to, from)),
            Rm::Mem(from) => Bring::By(self.load(to, node.ty, from)),
        }
    }

    pub(super) fn emit_bring(&self, walk: &mut Walk, bring: Bring) {
        if let Bring::By(inst) = bring {
            walk.emit(inst);
        }
    }

    /// `a op b` into the node's register, by a two-operand instruction.
    fn two_operand(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, commutes: bool, inst: Inst) {
        let (mut a, mut b) = (Ref(node.a), Ref(node.b));
        let to = walk.def(self, func, r);
        // The operand to be overwritten is best one that is wanted nowhere else and comes in the right register.
        let fresh = |walk: &Walk, r: Ref| walk.is_unplaced(r) && func.node(r).op != Op::Const;
        let swap = fresh(walk, b) && (!fresh(walk, a) || walk.arrival(func, b) == Some(to));
        if commutes && swap {
            std::mem::swap(&mut a, &mut b);
        }
        let bring = self.bring(walk, func, to, a);
        let b = if a == b { Rm::Reg(to) } else { walk.use_rm(self, func, b) };
        walk.emit(op2(inst, to, b));
        self.emit_bring(walk, bring);
    }

    /// `a op b` on floats.
    fn float2(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, commutes: bool, forms: &Forms) {
        let inst = self.form(forms, node.ty);
        if !self.vex {
            return self.two_operand(walk, func, r, node, commutes, inst);
        }
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let (mut a, mut b) = (Ref(node.a), Ref(node.b));
        if commutes && walk.reg_of(a).is_none() && walk.reg_of(b).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let second = walk.use_rm(self, func, b);
        let first = walk.use_reg_near(self, func, a, to);
        walk.emit(op3(inst, to, first, second));
    }

    /// An integer operation of two operands, the second of which may be an immediate.
    fn int2(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, commutes: bool, alu: &Alu) {
        let w = wide(node.ty);
        let Some(imm) = immediate(func, Ref(node.b)) else {
            return self.two_operand(walk, func, r, node, commutes, alu.rm[w]);
        };
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        walk.emit(alu_imm(alu, w, to, imm));
        self.emit_bring(walk, bring);
    }

    /// `op a` in place, by an instruction over one register.
    fn int1(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, insts: [Inst; 2]) {
        let to = walk.def(self, func, r);
        let bring = self.bring(walk, func, to, Ref(node.a));
        walk.emit(op1(insts[wide(node.ty)], to));
        self.emit_bring(walk, bring);
    }

    /// A bitwise operation of a float with a constant that is repeated over the register.
    fn float_bits(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, forms: &Forms, bits: u64) {
        let to = walk.def(self, func, r);
        let mask = Rm::Mem(walk.pool_pair(bits));
        let inst = self.form(forms, node.ty);
        if self.vex {
            walk.unlock(to);
            let a = walk.use_reg_near(self, func, Ref(node.a), to);
            walk.emit(op3(inst, to, a, mask));
        } else {
            let bring = self.bring(walk, func, to, Ref(node.a));
            walk.emit(op2(inst, to, mask));
            self.emit_bring(walk, bring);
        }
    }

    /// Integer addition: `lea` where it saves a move or a multiplication.
    fn add(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let w = wide(node.ty);
        let lea = [LEA_R32, LEA_R64][w];
        let (a, b) = (Ref(node.a), Ref(node.b));
        let imm = immediate(func, b);
        // (x << k) + y, x * (2^k + 1) + c
        for (scaled, other) in [(a, b), (b, a)] {
            let Some((base, index, mode)) = scaled_index(walk, func, scaled, imm.is_some()) else { continue };
            if scaled == b && imm.is_some() {
                continue;
            }
            let to = walk.def(self, func, r);
            walk.unlock(to);
            let index_reg = walk.use_reg_near(self, func, index, to);
            let (base_reg, disp) = match imm {
                Some(imm) => (base.map_or(Reg::NONE, |_| index_reg), imm),
                None => (walk.use_reg_near(self, func, other, to), 0),
            };
            walk.emit(MInst { index: index_reg, mode, disp, ..op(lea, [to, base_reg, Reg::NONE]) });
            return;
        }
        if let Some(imm) = imm {
            let to = walk.def(self, func, r);
            walk.unlock(to);
            let from = walk.use_reg_near(self, func, a, to);
            let inst = if from == to { alu_imm(&ADD, w, to, imm) } else { lea_disp(lea, to, from, imm) };
            walk.emit(inst);
        } else if walk.reg_of(a).is_some() && walk.reg_of(b).is_some() {
            let to = walk.def(self, func, r);
            walk.unlock(to);
            let (a, b) = (walk.use_reg(self, func, a), walk.use_reg(self, func, b));
            walk.emit(MInst { index: b, mode: Mem::Base1 as u8, ..op(lea, [to, a, Reg::NONE]) });
        } else {
            self.two_operand(walk, func, r, node, true, ADD.rm[w]);
        }
    }

    fn mul(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let w = wide(node.ty);
        let Some(imm) = immediate(func, Ref(node.b)) else {
            return self.two_operand(walk, func, r, node, true, [IMUL_R32_RM32, IMUL_R64_RM64][w]);
        };
        let to = walk.def(self, func, r);
        walk.unlock(to);
        if let Some(mode) = scale_of(imm.wrapping_sub(1)).filter(|_| imm != 2) {
            let x = walk.use_reg_near(self, func, Ref(node.a), to);
            let lea = [LEA_R32, LEA_R64][w];
            walk.emit(MInst { index: x, mode, ..op(lea, [to, x, Reg::NONE]) });
            return;
        }
        let x = walk.use_rm(self, func, Ref(node.a));
        let inst = if i8::try_from(imm).is_ok() {
            [IMUL_R32_RM32_IMM8, IMUL_R64_RM64_IMM8][w]
        } else {
            [IMUL_R32_RM32_IMM32, IMUL_R64_RM64_IMM32][w]
        };
        walk.emit(with_imm(op2(inst, to, x), imm));
    }

    /// A shift; `insts`: by constant, by rcx, by any register (BMI2).
    fn shift(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, insts: [[Inst; 2]; 3]) {
        let w = wide(node.ty);
        let width = if w == 1 { 63 } else { 31 };
        let (a, count) = (Ref(node.a), Ref(node.b));
        let to = walk.def(self, func, r);
        if func.node(count).op == Op::Const {
            let bring = self.bring(walk, func, to, a);
            walk.emit(with_imm(op1(insts[0][w], to), func.node(count).const_bits() as i32 & width));
            self.emit_bring(walk, bring);
        } else if self.vex {
            walk.unlock(to);
            let count = walk.use_reg(self, func, count);
            let a = walk.use_rm(self, func, a);
            // The value stands in the second slot, the count in the third.
            let inst = match a {
                Rm::Reg(a) => op(insts[2][w], [to, a, count]),
                Rm::Mem(m) => MInst { mode: m.mode, disp: m.disp, ..op(insts[2][w], [to, m.base, count]) },
            };
            walk.emit(inst);
        } else {
            self.shift_by_rcx(walk, func, to, a, count, insts[1][w]);
        }
    }

    fn shift_by_rcx(&self, walk: &mut Walk, func: &Func, to: Reg, a: Ref, count: Ref, inst: Inst) {
        // The shift works on a register that is not rcx; what lives in rcx afterwards is put back.
        walk.vacate(self, func, RCX, [1 << RCX.number(), 0, 0]);
        let work = if to == RCX { walk.temp(self, func, RegClass::Gpr) } else { to };
        let bring = self.bring(walk, func, work, a);
        walk.unlock(RCX);
        let count = if a == count { work } else { walk.use_reg_near(self, func, count, RCX) };
        if work != to {
            walk.emit(self.copy(to, work));
        }
        walk.emit(op1(inst, work));
        if count != RCX {
            walk.emit(self.copy(RCX, count));
        }
        self.emit_bring(walk, bring);
    }

    /// Integer division; never traps. See [`X64::divide_sequence`].
    fn divide(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let clobbered = [1 << RAX.number() | 1 << RDX.number(), 0, 0];
        let to = walk.def(self, func, r);
        for reg in [RAX, RDX] {
            walk.vacate(self, func, reg, clobbered);
        }
        // The result is written last, so an operand may share its register; what was just moved away may not.
        if to != RAX && to != RDX {
            walk.unlock(to);
        }
        let divisor = walk.use_reg(self, func, Ref(node.b));
        // Both are vacated and reserved, so the divisor lives in neither; the dividend may come in rax.
        walk.unlock(RAX);
        let dividend = if node.a == node.b { divisor } else { walk.use_reg_near(self, func, Ref(node.a), RAX) };
        let w = wide(node.ty);
        let from = if matches!(node.op, Op::FloorDiv | Op::TruncDiv) { RAX } else { RDX };
        if to != from {
            walk.emit(self.copy(to, from));
        }
        self.divide_sequence(walk, node.op, w, divisor);
        if dividend != RAX {
            walk.emit(self.copy(RAX, dividend));
        }
    }

    /// rax and rdx become quotient and remainder of rax by `by`. Divisors 0 and -1, for which `idiv` can trap, go a way
    /// of their own: there `rax * by` is the quotient that the language wants, and the remainder is 0.
    fn divide_sequence(&self, walk: &mut Walk, kind: Op, w: usize, by: Reg) {
        let (ordinary, end) = (walk.label(), walk.label());
        let last_bit = [31, 63][w];
        let (lea, imul, sar) =
            ([LEA_R32, LEA_R64][w], [IMUL_R32_RM32, IMUL_R64_RM64][w], [SAR_RM32_IMM8, SAR_RM64_IMM8][w]);
        let (test, idiv, extend) = ([TEST_RM32_R32, TEST_RM64_R64][w], [IDIV_RM32, IDIV_RM64][w], [CDQ, CQO][w]);
        let jump = |inst, label: Label| with_imm(MInst::new(inst), label.0 as i32);
        let r2 = |inst, a, b| op(inst, [a, b, Reg::NONE]);
        let mut code = Seq::new(self);
        for inst in [
            lea_disp(lea, RDX, by, 1),
            alu_imm(&CMP, w, RDX, 1),
            jump(JA, ordinary),
            r2(imul, RAX, by),
            r2(XOR_R32_RM32, RDX, RDX),
            jump(JMP, end),
            jump(Inst::BIND, ordinary),
            MInst::new(extend),
            op1(idiv, by),
        ] {
            code.push(inst);
        }
        let adjust: &[MInst] = match kind {
            // Round down: one less if there is a remainder whose sign is not the divisor's.
            Op::FloorDiv => &[
                r2(test, RDX, RDX),
                jump(JE, end),
                r2(XOR.rm[w], RDX, by),
                with_imm(op1(sar, RDX), last_bit),
                r2(ADD.rm[w], RAX, RDX),
            ],
            // The same remainders get the divisor added.
            Op::FloorMod => &[
                r2(test, RDX, RDX),
                jump(JE, end),
                self.copy(RAX, RDX),
                r2(XOR.rm[w], RAX, by),
                with_imm(op1(sar, RAX), last_bit),
                r2(AND.rm[w], RAX, by),
                r2(ADD.rm[w], RDX, RAX),
            ],
            _ => &[],
        };
        walk.bind(end);
        walk.emit_all(adjust);
        walk.emit_all(code.insts());
    }

    /// Calls the meaning of the operation.
    fn call_meaning(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let operands = node.operands();
        let ty = func.ty(operands[0]);
        let Some(meaning) = node.op.meaning(ty) else {
            debug_assert!(false, "{:?} has no meaning on {ty}", node.op);
            return;
        };
        let thunk = (host::MEANING_THUNK as usize as u64, meaning as usize as u64);
        self.call(walk, func, r, &operands[..node.op.arity()], thunk, false);
    }

    fn call_callee(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let callee = &func.callees[node.a as usize];
        let (thunk, fallible) = match &callee.target {
            Callee::Builtin(meaning, _) => ((host::MEANING_THUNK as usize as u64, *meaning as usize as u64), false),
            Callee::Host(h) => ((host::HOST_THUNK as usize as u64, Arc::as_ptr(h) as usize as u64), h.is_fallible()),
        };
        self.call(walk, func, r, func.call_args(node), thunk, fallible);
    }

    /// Calls a thunk: arguments as words at the bottom of the frame, the result's bits in rax, failure in rdx.
    fn call(&self, walk: &mut Walk, func: &Func, r: Ref, args: &[Ref], (thunk, data): (u64, u64), fallible: bool) {
        let wanted = !walk.is_unplaced(r);
        let to = if wanted { walk.def(self, func, r) } else { RAX };
        for (class, clobbers) in CALL_CLOBBERS.into_iter().enumerate() {
            walk.vacate_all(self, func, class, clobbers, CALL_CLOBBERS);
        }
        if to != RAX {
            let ty = func.ty(r);
            walk.emit(if ty.is_float() { self.gpr_to_vector(to, RAX, ty) } else { self.copy(to, RAX) });
        }
        if fallible {
            let label = self.trap_exit(walk, r, TrapKind::Host);
            walk.emit(with_imm(MInst::new(JNE), label.0 as i32));
            walk.emit(op(TEST_RM64_R64, [RDX, RDX, Reg::NONE]));
        }
        let entry = walk.pool_word(thunk);
        walk.emit(MInst { mode: entry.mode, disp: entry.disp, ..op1(CALL_RM64, Reg::NONE) });
        walk.emit(match walk.context_slot {
            Some(slot) => self.load(RDX, Type::I64, Address::at(RSP, 8 * slot as i32)),
            None => op(XOR_R32_RM32, [RDX, RDX, Reg::NONE]),
        });
        walk.emit(constant64(RSI, data));
        walk.emit(self.copy(RDI, RSP));
        walk.unlock_all();
        for (i, &arg) in args.iter().enumerate() {
            let from = walk.use_reg(self, func, arg);
            let ty = if func.ty(arg).is_float() { func.ty(arg) } else { Type::I64 };
            walk.emit(self.store(Address::at(RSP, 8 * i as i32), ty, from));
            walk.unlock_all();
        }
    }

    /// The label of code that reports the error of node `r` and leaves the function.
    fn trap_exit(&self, walk: &mut Walk, r: Ref, kind: TrapKind) -> Label {
        let label = walk.label();
        let (Some(slot), Some(exit)) = (walk.context_slot, walk.exit_label) else { return label };
        walk.emit_end(with_imm(MInst::new(Inst::BIND), label.0 as i32));
        walk.emit_end(self.load(RCX, Type::I64, Address::at(RSP, 8 * slot as i32)));
        for (disp, value) in [(0, r.0), (4, kind as u32)] {
            let store = MInst { mode: 1, disp, imm: value as i32, ..op1(MOV_RM32_IMM32, RCX) };
            walk.emit_end(store);
        }
        walk.emit_end(with_imm(op1(MOV_R32_IMM32, RAX), 1));
        walk.emit_end(self.jump(exit));
        label
    }

    /// Goes to `label` if the condition is `wanted`.
    fn branch(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label, wanted: bool) {
        walk.divert();
        let plan = self.plan_condition(walk, func, condition);
        let label = walk.diverted(self, label);
        self.emit_jump(walk, &if wanted { plan } else { plan.inverted() }, label);
    }

    fn trap(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let kind = TrapKind::from_code(node.b).unwrap_or(TrapKind::Overflow);
        let test = self.plan_test(walk, func, Ref(node.a));
        let label = self.trap_exit(walk, r, kind);
        self.jump_if(walk, &test, label);
        self.emit_test(walk, &test);
    }

    /// Bits of a general-purpose register as a float.
    pub(super) fn gpr_to_vector(&self, to: Reg, from: Reg, ty: Type) -> MInst {
        let forms = [MOVD_XMM_RM32, MOVQ_XMM_RM64, VMOVD_XMM_RM32, VMOVQ_XMM_RM64];
        op(self.form(&forms, ty), [to, from, Reg::NONE])
    }

    /// Bits of a float in a general-purpose register.
    pub(super) fn vector_to_gpr(&self, to: Reg, from: Reg, ty: Type) -> MInst {
        let forms = [MOVD_RM32_XMM, MOVQ_RM64_XMM, VMOVD_RM32_XMM, VMOVQ_RM64_XMM];
        op(self.form(&forms, ty), [to, from, Reg::NONE])
    }
}

impl Target for X64 {
    const STACK: Reg = RSP;

    fn copy(&self, to: Reg, from: Reg) -> MInst {
        let inst = match (to.class(), self.vex) {
            (RegClass::Vec, true) => VMOVAPS_128,
            (RegClass::Vec, false) => MOVAPS,
            _ => MOV_RM64_R64,
        };
        op(inst, [to, from, Reg::NONE])
    }

    fn swap(&self, a: Reg, b: Reg) -> ([MInst; 3], usize) {
        if a.class() != RegClass::Vec {
            return ([op(XCHG_RM64_R64, [a, b, Reg::NONE]); 3], 1);
        }
        let xor = |to, by| if self.vex { op(VXORPS_128, [to, to, by]) } else { op(XORPS, [to, by, Reg::NONE]) };
        ([xor(a, b), xor(b, a), xor(a, b)], 3)
    }

    fn load(&self, to: Reg, ty: Type, from: Address) -> MInst {
        let inst = match ty {
            Type::F32 | Type::F64 => self.form(&LOAD, ty),
            Type::I64 => MOV_R64_RM64,
            Type::I32 | Type::Bool => MOV_R32_RM32,
        };
        op2(inst, to, Rm::Mem(from))
    }

    fn store(&self, to: Address, ty: Type, from: Reg) -> MInst {
        // Whole words are stored for ints and bools: what reads them may read all eight bytes.
        let inst = if ty.is_float() { self.form(&STORE, ty) } else { MOV_RM64_R64 };
        MInst { mode: to.mode, disp: to.disp, ..op(inst, [to.base, from, Reg::NONE]) }
    }

    fn constant(&self, pool: &mut Pool, to: Reg, ty: Type, bits: u64) -> MInst {
        if ty.is_float() {
            if bits == 0 {
                return if self.vex { op(VXORPS_128, [to, to, to]) } else { op(XORPS, [to, to, Reg::NONE]) };
            }
            let at = Address::pool(pool.add(&bits.to_le_bytes()));
            return self.load(to, ty, at);
        }
        if bits == 0 {
            return op(XOR_R32_RM32, [to, to, Reg::NONE]);
        }
        if bits >> 32 == 0 || ty != Type::I64 {
            return with_imm(op1(MOV_R32_IMM32, to), bits as i32);
        }
        if bits as i64 == i64::from(bits as i32) {
            return with_imm(op1(MOV_RM64_IMM32, to), bits as i32);
        }
        let at = Address::pool(pool.add(&bits.to_le_bytes()));
        self.load(to, ty, at)
    }

    fn jump(&self, label: Label) -> MInst {
        with_imm(MInst::new(JMP), label.0 as i32)
    }

    fn branch_unless(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label) {
        self.branch(walk, func, condition, label, false);
    }

    fn branch_if(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label) {
        self.branch(walk, func, condition, label, true);
    }

    fn kept_by_calls(&self) -> Sets {
        CALL_CLOBBERS.map(|mask| !mask)
    }

    #[deny(clippy::wildcard_enum_match_arm)]
    fn lower(&self, walk: &mut Walk, func: &Func, r: Ref, node: Node) {
        let float = node.ty.is_float();
        let w = wide(node.ty);
        if self.is_called(func, &node) {
            return self.call_meaning(walk, func, r, &node);
        }
        match node.op {
            Op::Add if float => self.float2(walk, func, r, &node, true, &FADD),
            Op::Add => self.add(walk, func, r, &node),
            Op::Sub if float => self.float2(walk, func, r, &node, false, &FSUB),
            Op::Sub => self.int2(walk, func, r, &node, false, &SUB),
            Op::Mul if float => self.float2(walk, func, r, &node, true, &FMUL),
            Op::Mul => self.mul(walk, func, r, &node),
            Op::Div => self.float2(walk, func, r, &node, false, &FDIV),
            Op::Neg if float => self.float_bits(walk, func, r, &node, &FXOR, sign_bit(node.ty)),
            Op::Neg => self.int1(walk, func, r, &node, [NEG_RM32, NEG_RM64]),
            Op::Abs if float => self.float_bits(walk, func, r, &node, &FAND, !sign_bit(node.ty)),
            Op::Abs => self.int_abs(walk, func, r, &node),
            Op::FloorDiv | Op::FloorMod | Op::TruncDiv | Op::TruncRem => self.divide(walk, func, r, &node),
            Op::Min | Op::Max if float => self.float_extreme(walk, func, r, &node),
            Op::Fmin | Op::Fmax => self.float_extreme_number(walk, func, r, &node),
            Op::Min | Op::Max => self.int_extreme(walk, func, r, &node),
            Op::Sqrt => self.float1(walk, func, r, &node, &FSQRT),
            Op::Floor | Op::Ceil | Op::Trunc | Op::Rint | Op::Round => self.round(walk, func, r, &node),
            Op::Copysign => self.copysign(walk, func, r, &node),
            Op::Fma => self.fma(walk, func, r, &node),
            Op::And => self.int2(walk, func, r, &node, true, &AND),
            Op::Or => self.int2(walk, func, r, &node, true, &OR),
            Op::Xor => self.int2(walk, func, r, &node, true, &XOR),
            Op::Not if node.ty == Type::Bool => self.not_bool(walk, func, r, &node),
            Op::Not => self.int1(walk, func, r, &node, [NOT_RM32, NOT_RM64]),
            Op::Shl => self.shift(
                walk,
                func,
                r,
                &node,
                [[SHL_RM32_IMM8, SHL_RM64_IMM8], [SHL_RM32_CL, SHL_RM64_CL], [SHLX_R32, SHLX_R64]],
            ),
            Op::Sar => self.shift(
                walk,
                func,
                r,
                &node,
                [[SAR_RM32_IMM8, SAR_RM64_IMM8], [SAR_RM32_CL, SAR_RM64_CL], [SARX_R32, SARX_R64]],
            ),
            Op::Shr => self.shift(
                walk,
                func,
                r,
                &node,
                [[SHR_RM32_IMM8, SHR_RM64_IMM8], [SHR_RM32_CL, SHR_RM64_CL], [SHRX_R32, SHRX_R64]],
            ),
            Op::Popcount => {
                let to = walk.def(self, func, r);
                walk.unlock(to);
                let from = walk.use_rm(self, func, Ref(node.a));
                walk.emit(op2([POPCNT_R32_RM32, POPCNT_R64_RM64][w], to, from));
            }
            Op::Eq | Op::Ne | Op::Lt | Op::Le => self.compare(walk, func, r, &node),
            Op::AddOverflows | Op::SubOverflows | Op::MulOverflows => self.overflow(walk, func, r, &node),
            Op::Select if float => self.select_float(walk, func, r, &node),
            Op::Select => self.select_int(walk, func, r, &node),
            // There is one row.
            Op::Any => {
                let to = walk.def(self, func, r);
                let bring = self.bring(walk, func, to, Ref(node.a));
                self.emit_bring(walk, bring);
            }
            Op::Convert => self.convert(walk, func, r, &node),
            Op::Bitcast => self.bitcast(walk, func, r, &node),
            Op::Call | Op::CallPinned => self.call_callee(walk, func, r, &node),
            Op::Trap => self.trap(walk, func, r, &node),
            Op::Power | Op::PowOverflows | Op::Lookup => self.call_meaning(walk, func, r, &node),
            // The walk itself takes these.
            Op::Param | Op::Const | Op::If | Op::Join | Op::Phi | Op::Loop | Op::Exit => {}
        }
    }
}

/// The sign bits of as many floats of type `ty` as fill 64 bits.
pub(super) fn sign_bit(ty: Type) -> u64 {
    if ty == Type::F64 { 1 << 63 } else { 0x8000_0000_8000_0000 }
}

/// The value of an integer or bool constant that fits a sign-extended 32-bit immediate.
pub(super) fn immediate(func: &Func, r: Ref) -> Option<i32> {
    let node = func.node(r);
    if node.op != Op::Const || node.ty.is_float() {
        return None;
    }
    let bits = node.const_bits();
    if node.ty == Type::I64 { i32::try_from(bits as i64).ok() } else { Some(bits as i32) }
}

/// An integer instruction with an immediate, in its shortest form.
pub(super) fn alu_imm(alu: &Alu, w: usize, to: Reg, imm: i32) -> MInst {
    let inst = if i8::try_from(imm).is_ok() { alu.imm8[w] } else { alu.imm32[w] };
    with_imm(op1(inst, to), imm)
}

fn lea_disp(lea: Inst, to: Reg, from: Reg, disp: i32) -> MInst {
    MInst { mode: Mem::Base1 as u8, disp, ..op(lea, [to, from, Reg::NONE]) }
}

/// A register in full from 64 bits.
fn constant64(to: Reg, bits: u64) -> MInst {
    MInst { imm: bits as i32, disp: (bits >> 32) as i32, ..op1(MOV_R64_IMM64, to) }
}

/// The addressing mode that scales by this factor.
fn scale_of(factor: i32) -> Option<u8> {
    match factor {
        1 => Some(Mem::Base1 as u8),
        2 => Some(Mem::Base2 as u8),
        4 => Some(Mem::Base4 as u8),
        8 => Some(Mem::Base8 as u8),
        _ => None,
    }
}

/// If `r` is wanted only here and is `x << k`, or `x * (2^k + 1)` where a base is free: (base, index, mode).
fn scaled_index(walk: &Walk, func: &Func, r: Ref, base_is_free: bool) -> Option<(Option<Ref>, Ref, u8)> {
    let node = func.node(r);
    if walk.uses(r) != 1 || !walk.is_unplaced(r) {
        return None;
    }
    let factor = immediate(func, Ref(if node.op.arity() == 2 { node.b } else { return None }))?;
    match node.op {
        Op::Shl if (1..=3).contains(&factor) => Some((None, Ref(node.a), scale_of(1 << factor)?)),
        Op::Mul if base_is_free && matches!(factor, 3 | 5 | 9) => {
            Some((Some(Ref(node.a)), Ref(node.a), scale_of(factor - 1)?))
        }
        _ => None,
    }
}
