//! From operations to vector instructions: a function over rows, as many rows at a time as a register holds.
//!
//! The one idea: lane count is a parameter of the lowering, not of the representation. The same values that become scalar
//! code in `lower` become vectors here: one row is one lane of every register. *Rows per step* are as many as a
//! register has of the widest type in use; narrower types fill a part of a register. A bool is a mask: a mask register
//! at level v4, below it a vector with lanes as wide as the widest type, all ones or all zeros.
//!
//! Control flow is the same for all rows of a step: `opt::lanes` has made it so. A condition holds if it holds in any row.
//!
//! To add an operation, add an arm to `lower`; one that a level has no instructions for is called for each row
//! (`is_called` says which). Every sequence gives exactly the bits that the meaning in the op table gives; which NaN is
//! the one liberty.

#![forbid(unsafe_code)]

mod calls;
mod convert;
mod families;
mod floats;
mod ints;
pub(crate) mod kernel;
mod masks;

use super::features::Level;
use super::insts::*;
use super::lower::{op, op1, op2, op3, with_imm};
use super::regs::RSP;
use crate::ir::{Func, Node, Ref, Target as Callee};
use crate::mach::buffer::Pool;
use crate::mach::walk::{Address, Input, Rm, Target, Walk};
use crate::mach::{Label, MInst, Mem, Reg, RegClass, Sets};
use crate::ops::Op;
use crate::run::kernel::Stores;
use crate::types::Type;
use families::*;
use kernel::Layout;

/// The lowering for one level and one number of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    level: Level,
    /// Bytes of a vector register.
    bytes: u32,
    /// Bytes of a lane of the widest type in use, and so of a bool's.
    lane: u32,
    /// Sets of rows that go through the code side by side; see `opt::lanes`.
    ways: u32,
    /// Columns of inputs, and all columns.
    inputs: usize,
    columns: usize,
    layout: &'static Layout,
    stores: Stores,
}

/// So many results are in registers when the first one is stored.
const MOST_RESULTS: usize = 3;

/// Bytes of a value in a column.
pub(super) fn size_of(ty: Type) -> u32 {
    ty.bits().div_ceil(8)
}

/// The index of a number's type among the two of its kind.
fn wide(ty: Type) -> usize {
    usize::from(matches!(ty, Type::I64 | Type::F64))
}

impl Packed {
    /// The lowering of `func`, which has so many ways, for a level.
    pub(crate) fn new(level: Level, func: &Func, ways: u32, stores: Stores) -> Packed {
        let bytes = match level {
            Level::V1 | Level::V2 => 16,
            Level::V3 => 32,
            Level::V4 => 64,
        };
        let types = func.nodes.iter().map(|node| node.ty).chain(func.params.iter().copied());
        let lane = types.map(size_of).max().unwrap_or(8).max(4);
        let inputs = func.params.len() / ways as usize;
        let columns = inputs + func.results.len() / ways as usize;
        let mut packed = Packed { level, bytes, lane, ways, inputs, columns, layout: &kernel::WITHOUT_CALLS, stores };
        if func.nodes.iter().any(|node| packed.calls(func, node)) {
            packed.layout = &kernel::WITH_CALLS;
        }
        packed
    }

    /// Rows in a register.
    fn rows(&self) -> u32 {
        self.bytes / self.lane
    }

    /// Rows that are evaluated at a time.
    pub(crate) fn rows_per_step(&self) -> u32 {
        self.rows() * self.ways
    }

    /// Is the first operand of an instruction its destination?
    fn legacy(&self) -> bool {
        self.level < Level::V3
    }

    /// Are bools in mask registers?
    fn mask_registers(&self) -> bool {
        self.level >= Level::V4
    }

    /// Bytes that a value of this type fills of a register.
    fn width(&self, ty: Type) -> u32 {
        if ty == Type::Bool { self.bytes } else { self.rows() * size_of(ty) }
    }

    /// The form of instructions on so many bytes.
    fn form_of(&self, width: u32) -> Form {
        match (self.level, width) {
            (Level::V1 | Level::V2, _) => Form::Legacy,
            (Level::V3, 32) => Form::Vex256,
            (Level::V3, _) => Form::Vex128,
            (Level::V4, 64) => Form::Evex512,
            (Level::V4, 32) => Form::Evex256,
            (Level::V4, _) => Form::Evex128,
        }
    }

    /// The form of instructions on values of this type.
    fn form(&self, ty: Type) -> Form {
        self.form_of(self.width(ty))
    }

    /// The form of instructions on whole registers.
    fn whole(&self) -> Form {
        self.form_of(self.bytes)
    }

    /// Does the node become a call?
    fn calls(&self, func: &Func, node: &Node) -> bool {
        matches!(node.op, Op::Call | Op::CallPinned) || self.is_called(func, node)
    }

    /// Has the operation no instructions here, so that its meaning is called for every row?
    fn is_called(&self, func: &Func, node: &Node) -> bool {
        let (ty, level) = (node.ty, self.level);
        match node.op {
            Op::FloorDiv | Op::FloorMod | Op::TruncDiv | Op::TruncRem => true,
            Op::Power | Op::PowOverflows | Op::MulOverflows | Op::Popcount => true,
            Op::Floor | Op::Ceil | Op::Trunc | Op::Rint | Op::Round => level < Level::V2,
            Op::Fma => level < Level::V3,
            Op::Mul => ty == Type::I32 && level < Level::V2,
            Op::Lookup => level < Level::V3 || ty == Type::I32 || func.node(Ref(node.b)).op != Op::Const,
            Op::Shl | Op::Sar | Op::Shr => level < Level::V3 && func.node(Ref(node.b)).op != Op::Const,
            Op::Convert => self.convert_is_called(func.ty(Ref(node.a)), ty),
            _ => false,
        }
    }

    /// A memory operand that repeats `bits`, of the width of `ty`, over the register.
    fn repeated(&self, pool: &mut Pool, ty: Type, bits: u64) -> Address {
        let lane = size_of(ty) as usize;
        if self.mask_registers() {
            let at = Address::pool(pool.add(&bits.to_le_bytes()[..lane]));
            return Address { mode: at.mode | MInst::BROADCAST, ..at };
        }
        // Legacy instructions read all of their 16 bytes.
        Address::pool(pool.splat(bits, lane, self.width(ty).max(16) as usize))
    }

    /// The same as an operand.
    fn splat(&self, walk: &mut Walk, ty: Type, bits: u64) -> Rm {
        Rm::Mem(self.repeated(&mut walk.code.pool, ty, bits))
    }

    /// Sees to it that `a` gets into `to`, which is reserved: computed there if it has no place yet.
    fn bring(&self, walk: &mut Walk, func: &Func, to: Reg, a: Ref) -> Option<MInst> {
        if walk.is_unplaced(a) && func.node(a).op != Op::Const && walk.can_own(to) {
            walk.assign_used(a, to);
            return None;
        }
        let from = walk.use_reg(self, func, a);
        (from != to).then(|| self.copy(to, from))
    }

    /// `a op b` by one instruction.
    fn binary(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, commutes: bool, family: Family) {
        let inst = family.inst(self.form(node.ty));
        let (mut a, mut b) = (Ref(node.a), Ref(node.b));
        let to = walk.def(self, func, r);
        if self.legacy() {
            let fresh = |r: Ref| walk.is_unplaced(r) && func.node(r).op != Op::Const;
            if commutes && fresh(b) && !fresh(a) {
                std::mem::swap(&mut a, &mut b);
            }
            let bring = self.bring(walk, func, to, a);
            let b = if a == b { Rm::Reg(to) } else { walk.use_rm(self, func, b) };
            walk.emit(op2(inst, to, b));
            bring.into_iter().for_each(|inst| walk.emit(inst));
            return;
        }
        walk.unlock(to);
        if commutes && walk.reg_of(a).is_none() && walk.reg_of(b).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let second = walk.use_rm(self, func, b);
        let first = walk.use_reg_near(self, func, a, to);
        walk.emit(op3(inst, to, first, second));
    }

    /// `op a` by one instruction, which may have an immediate; `wider` is the wider one of its two types.
    #[allow(clippy::too_many_arguments, reason = "the operands of one instruction and where they go")]
    fn unary(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, wider: Type, family: Family, imm: i32) {
        let to = walk.def(self, func, r);
        walk.unlock(to);
        let a = walk.use_reg_near(self, func, Ref(node.a), to);
        walk.emit(with_imm(op(family.inst(self.form(wider)), [to, a, Reg::NONE]), imm));
    }

    /// A bitwise operation of `a` with a constant.
    fn with_bits(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node, family: Family, bits: u64) {
        let to = walk.def(self, func, r);
        let bits = self.splat(walk, node.ty, bits);
        let inst = family.inst(self.form(node.ty));
        if self.legacy() {
            let bring = self.bring(walk, func, to, Ref(node.a));
            walk.emit(op2(inst, to, bits));
            bring.into_iter().for_each(|inst| walk.emit(inst));
        } else {
            walk.unlock(to);
            let a = walk.use_reg_near(self, func, Ref(node.a), to);
            walk.emit(op3(inst, to, a, bits));
        }
    }

    /// The rows of a way in the column whose address is in `base`.
    fn rows_at(&self, base: Reg, ty: Type, way: usize) -> Address {
        let mode = [Mem::Base1, Mem::Base4, Mem::Base8][size_of(ty) as usize / 4];
        let disp = way as i32 * (self.rows() * size_of(ty)) as i32;
        Address { mode: mode as u8, base, index: self.layout.index, disp }
    }

    /// The address of the rows of a way in column `number`, whose values have type `ty`; by way of a register if need be.
    fn column(&self, walk: &mut Walk, func: &Func, number: usize, way: usize, ty: Type) -> (Address, Option<MInst>) {
        let at = |base| self.rows_at(base, ty, way);
        if let Some(&pointer) = self.layout.pointers.get(number) {
            return (at(pointer), None);
        }
        let temp = walk.temp(self, func, RegClass::Gpr);
        let pointer = Address::at(self.layout.columns, 8 * number as i32);
        (at(temp), Some(op2(MOV_R64_RM64, temp, Rm::Mem(pointer))))
    }

    /// The column of an input, and its way.
    fn input_of(&self, node: &Node) -> (usize, usize) {
        (node.a as usize % self.inputs, node.a as usize / self.inputs)
    }

    /// An input that cannot be a memory operand as it is.
    fn lower_input(&self, walk: &mut Walk, func: &Func, r: Ref, node: &Node) {
        let to = walk.def(self, func, r);
        let (number, way) = self.input_of(node);
        let (at, pointer) = self.column(walk, func, number, way, node.ty);
        if node.ty == Type::Bool {
            self.load_bools(walk, func, to, at);
        } else {
            walk.emit(self.load(to, node.ty, at));
        }
        pointer.into_iter().for_each(|inst| walk.emit(inst));
    }

    /// A move between the low `width` bytes of a register and memory that may lie anywhere.
    fn transfer(&self, width: u32, reg: Reg, at: Address, store: bool) -> MInst {
        let vex = !self.legacy();
        let inst = match (width, store) {
            (8, false) => [MOVQ, VMOVQ][usize::from(vex)],
            (8, true) => [MOVQ_STORE, VMOVQ_STORE][usize::from(vex)],
            (_, false) => LOAD.inst(self.form_of(width)),
            (_, true) => STORE.inst(self.form_of(width)),
        };
        let mem = MInst { mode: at.mode, index: at.index, disp: at.disp, ..MInst::new(inst) };
        MInst { regs: if store { [at.base, reg, Reg::NONE] } else { [reg, at.base, Reg::NONE] }, ..mem }
    }
}

/// A short run of instructions, in the order in which they run.
struct Seq<'a> {
    packed: &'a Packed,
    len: usize,
    insts: [MInst; Seq::LONGEST],
}

impl<'a> Seq<'a> {
    const LONGEST: usize = 24;

    fn new(packed: &'a Packed) -> Seq<'a> {
        Seq { packed, len: 0, insts: [MInst::new(crate::mach::Inst::BIND); Seq::LONGEST] }
    }

    fn push(&mut self, inst: MInst) {
        self.insts[self.len] = inst;
        self.len += 1;
    }

    fn emit(&self, walk: &mut Walk) {
        walk.emit_all(&self.insts[..self.len]);
    }

    fn copy(&mut self, to: Reg, from: Reg) {
        if to != from {
            self.push(self.packed.copy(to, from));
        }
    }

    /// `to = a op b`; without AVX `b` is not `to` unless `a` is.
    fn op3(&mut self, family: Family, form: Form, to: Reg, a: Reg, b: Rm) {
        self.op3_imm(family, form, to, a, b, 0);
    }

    /// The same with an immediate.
    fn op3_imm(&mut self, family: Family, form: Form, to: Reg, a: Reg, b: Rm, imm: i32) {
        let inst = family.inst(form);
        if self.packed.legacy() {
            debug_assert!(to == a || b != Rm::Reg(to));
            self.copy(to, a);
            self.push(with_imm(op2(inst, to, b), imm));
        } else {
            self.push(with_imm(op3(inst, to, a, b), imm));
        }
    }

    /// `to = op a`, with an immediate if it has one.
    fn op2(&mut self, family: Family, form: Form, to: Reg, a: Rm, imm: i32) {
        self.push(with_imm(op2(family.inst(form), to, a), imm));
    }

    /// A shift by a constant.
    fn shift(&mut self, family: Family, form: Form, to: Reg, a: Reg, count: i32) {
        if self.packed.legacy() {
            self.copy(to, a);
            self.push(with_imm(op1(family.inst(form), to), count));
        } else {
            self.push(with_imm(op(family.inst(form), [to, a, Reg::NONE]), count));
        }
    }
}

impl Target for Packed {
    const STACK: Reg = RSP;

    fn copy(&self, to: Reg, from: Reg) -> MInst {
        let inst = match to.class() {
            RegClass::Vec => MOVE.inst(self.whole()),
            RegClass::Mask => KMOVQ,
            RegClass::Gpr => MOV_RM64_R64,
        };
        op(inst, [to, from, Reg::NONE])
    }

    fn swap(&self, a: Reg, b: Reg) -> ([MInst; 3], usize) {
        if a.class() == RegClass::Gpr {
            return ([op(XCHG_RM64_R64, [a, b, Reg::NONE]); 3], 1);
        }
        let xor = |to, by| match (a.class(), self.legacy()) {
            (RegClass::Mask, _) => op(KXORQ, [to, to, by]),
            (_, true) => op(XORPS, [to, by, Reg::NONE]),
            _ => op(XOR_F32.inst(self.whole()), [to, to, by]),
        };
        ([xor(a, b), xor(b, a), xor(a, b)], 3)
    }

    fn load(&self, to: Reg, ty: Type, from: Address) -> MInst {
        match to.class() {
            RegClass::Vec => self.transfer(self.width(ty), to, from, false),
            RegClass::Mask => op2(KMOVQ, to, Rm::Mem(from)),
            RegClass::Gpr => op2(MOV_R64_RM64, to, Rm::Mem(from)),
        }
    }

    fn store(&self, to: Address, ty: Type, from: Reg) -> MInst {
        let inst = match from.class() {
            RegClass::Vec => return self.transfer(self.width(ty), from, to, true),
            RegClass::Mask => KMOVQ_STORE,
            RegClass::Gpr => MOV_RM64_R64,
        };
        MInst { mode: to.mode, index: to.index, disp: to.disp, ..op(inst, [to.base, from, Reg::NONE]) }
    }

    fn constant(&self, pool: &mut Pool, to: Reg, ty: Type, bits: u64) -> MInst {
        if to.class() == RegClass::Mask {
            return op(if bits == 0 { KXORW } else { KXNORW }, [to, to, to]);
        }
        let form = self.whole();
        if bits == 0 {
            let xor = XOR_F32.inst(form);
            return if self.legacy() { op(xor, [to, to, Reg::NONE]) } else { op(xor, [to, to, to]) };
        }
        if ty == Type::Bool {
            let ones = EQUAL_I32.inst(form);
            return if self.legacy() { op(ones, [to, to, Reg::NONE]) } else { op(ones, [to, to, to]) };
        }
        let lane = size_of(ty) as usize;
        let inst = match (self.level, lane) {
            (Level::V1 | Level::V2, _) => {
                return self.load_whole(to, Address::pool(pool.splat(bits, lane, 16)));
            }
            (Level::V3, 4) => BROADCAST_32.inst(self.form(ty)),
            (Level::V4, 4) => BROADCAST_32.inst(form),
            (Level::V3, _) => VBROADCASTSD_LOAD,
            (Level::V4, _) => VBROADCASTSD_512,
        };
        op2(inst, to, Rm::Mem(Address::pool(pool.add(&bits.to_le_bytes()[..lane]))))
    }

    fn constant_operand(&self, pool: &mut Pool, node: &Node) -> Option<Address> {
        (node.ty != Type::Bool).then(|| self.repeated(pool, node.ty, node.const_bits()))
    }

    fn input(&self, node: &Node) -> Input {
        let (number, way) = self.input_of(node);
        // With many results an input might be reloaded when an output in its place has been stored.
        let reloads = self.columns - self.inputs <= MOST_RESULTS;
        match self.layout.pointers.get(number) {
            Some(&base) if node.ty != Type::Bool && reloads => Input::At(self.rows_at(base, node.ty, way)),
            _ => Input::Made,
        }
    }

    fn folds_input(&self, node: &Node) -> bool {
        // Legacy instructions want aligned memory.
        !self.legacy() && matches!(self.input(node), Input::At(_))
    }

    fn jump(&self, label: Label) -> MInst {
        with_imm(MInst::new(JMP), label.0 as i32)
    }

    fn branch_unless(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label) {
        self.branch(walk, func, condition, label, JE);
    }

    fn branch_if(&self, walk: &mut Walk, func: &Func, condition: Ref, label: Label) {
        self.branch(walk, func, condition, label, JNE);
    }

    fn kept_by_calls(&self) -> Sets {
        [!kernel::CALL_CLOBBERS[0], 0, 0]
    }

    #[deny(clippy::wildcard_enum_match_arm)]
    fn lower(&self, walk: &mut Walk, func: &Func, r: Ref, node: Node) {
        let ty = node.ty;
        let (float, bool, w) = (ty.is_float(), ty == Type::Bool, wide(ty));
        if self.is_called(func, &node) {
            return self.call_meaning(walk, func, r, &node);
        }
        match node.op {
            Op::Add if float => self.binary(walk, func, r, &node, true, FADD[w]),
            Op::Add => self.binary(walk, func, r, &node, true, IADD[w]),
            Op::Sub if float => self.binary(walk, func, r, &node, false, FSUB[w]),
            Op::Sub => self.binary(walk, func, r, &node, false, ISUB[w]),
            Op::Mul if float => self.binary(walk, func, r, &node, true, FMUL[w]),
            Op::Mul if ty == Type::I32 => self.binary(walk, func, r, &node, true, MUL_I32),
            Op::Mul => self.mul_i64(walk, func, r, &node),
            Op::Div => self.binary(walk, func, r, &node, false, FDIV[w]),
            Op::Neg if float => self.with_bits(walk, func, r, &node, FXOR[w], 1 << (ty.bits() - 1)),
            Op::Neg => self.negate(walk, func, r, &node),
            Op::Abs if float => self.with_bits(walk, func, r, &node, FAND[w], !(1 << (ty.bits() - 1))),
            Op::Abs => self.int_abs(walk, func, r, &node),
            Op::Min | Op::Max if float => self.float_extreme(walk, func, r, &node),
            Op::Fmin | Op::Fmax => self.float_extreme_number(walk, func, r, &node),
            Op::Min | Op::Max => self.int_extreme(walk, func, r, &node),
            Op::Sqrt => self.unary(walk, func, r, &node, ty, FSQRT[w], 0),
            Op::Floor | Op::Ceil | Op::Trunc | Op::Rint => self.round(walk, func, r, &node),
            Op::Round => self.round_half_away(walk, func, r, &node),
            Op::Copysign => self.copysign(walk, func, r, &node),
            Op::Fma => self.fma(walk, func, r, &node),
            Op::And | Op::Or | Op::Xor if bool => self.mask_binary(walk, func, r, &node),
            Op::And => self.binary(walk, func, r, &node, true, IAND[w]),
            Op::Or => self.binary(walk, func, r, &node, true, IOR[w]),
            Op::Xor => self.binary(walk, func, r, &node, true, IXOR[w]),
            Op::Not if bool => self.mask_not(walk, func, r, &node),
            Op::Not => self.with_bits(walk, func, r, &node, IXOR[w], u64::MAX),
            Op::Lookup => self.lookup(walk, func, r, &node),
            Op::Shl | Op::Sar | Op::Shr => self.shift(walk, func, r, &node),
            Op::Eq | Op::Ne | Op::Lt | Op::Le => self.compare(walk, func, r, &node),
            Op::AddOverflows | Op::SubOverflows => self.overflow(walk, func, r, &node),
            Op::Select => self.select(walk, func, r, &node),
            Op::Convert => self.convert(walk, func, r, &node),
            Op::Bitcast => self.bitcast(walk, func, r, &node),
            Op::Any => self.any(walk, func, r, &node),
            Op::Call | Op::CallPinned => self.call_callee(walk, func, r, &node),
            Op::Trap => self.trap(walk, func, &node),
            Op::Param => self.lower_input(walk, func, r, &node),
            // Called, above.
            Op::FloorDiv | Op::FloorMod | Op::TruncDiv | Op::TruncRem | Op::Power => {}
            Op::Popcount | Op::MulOverflows | Op::PowOverflows => {}
            // The walk itself takes these.
            Op::Const | Op::If | Op::Join | Op::Phi | Op::Loop | Op::Exit => {}
        }
    }
}

impl Packed {
    /// Loads a whole register.
    fn load_whole(&self, to: Reg, from: Address) -> MInst {
        self.transfer(self.bytes, to, from, false)
    }
}
