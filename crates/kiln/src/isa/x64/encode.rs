//! From a machine instruction to bytes.
//!
//! The one idea: a row of the table says which operand is which field, so there is one engine for the operands and
//! one short head for each of the three spellings of the prefixes: legacy, VEX and EVEX. Everything is array
//! indexing on small structs; addresses that are not known yet are left to the buffer's fixups.
//!
//! [`check`] says whether an instruction's operands fit its row; the engine itself trusts them and never panics on
//! them (a wrong operand gives wrong bytes). Which instruction to use, and whether its immediate fits, is `lower`'s.

#![forbid(unsafe_code)]

use super::insts::{self, ROWS};
use super::notation::{Code, Info, Kind, NOWHERE, Rounding, Space};
use super::regs::{RSP, Width};
use crate::mach::buffer::{CodeBuffer, Padding};
use crate::mach::{Inst, Label, MInst, Mem, Reg, RegClass};

/// How x86-64 code is padded.
pub(crate) static PADDING: Padding = Padding { nops: write_nops, trap: 0xCC };

/// The long no-operations that processor makers recommend, by length less one.
const NOPS: [&[u8]; 9] = [
    &[0x90],
    &[0x66, 0x90],
    &[0x0F, 0x1F, 0x00],
    &[0x0F, 0x1F, 0x40, 0x00],
    &[0x0F, 0x1F, 0x44, 0x00, 0x00],
    &[0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00],
    &[0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

fn write_nops(mut gap: &mut [u8]) {
    while !gap.is_empty() {
        let nop = NOPS[gap.len().min(NOPS.len()) - 1];
        let (head, rest) = gap.split_at_mut(nop.len());
        head.copy_from_slice(nop);
        gap = rest;
    }
}

/// Encodes a function's instructions, given in the order in which they run.
///
/// With `mark`, the offset of every instruction, pseudo instructions included, is noted in the buffer.
pub(crate) fn encode_all<'a>(insts: impl Iterator<Item = &'a MInst>, mark: bool, out: &mut CodeBuffer) {
    for inst in insts {
        if mark {
            out.mark();
        }
        encode(inst, out);
    }
}

/// Encodes one instruction or pseudo instruction.
#[inline]
pub(crate) fn encode(inst: &MInst, out: &mut CodeBuffer) {
    if inst.inst.0 as usize >= ROWS.len() {
        match inst.inst {
            Inst::ALIGN => out.align_code(inst.imm as u32),
            _ => out.bind(Label(inst.imm as u32)),
        }
        return;
    }
    debug_assert_eq!(check(inst), Ok(()), "{}", insts::row(inst.inst).info.text);
    let code = &ROWS[inst.inst.0 as usize].code;
    if code.flags & Code::RELATIVE != 0 {
        return relative(inst, code, out);
    }
    let operands = Operands::of(inst, code);
    let window = out.window();
    let mut emit = Emit { to: window, len: 0 };
    match code.space {
        Space::Legacy => legacy(inst, code, &operands, &mut emit),
        Space::Vex => vex(code, &operands, &mut emit),
        Space::Evex => evex(inst, code, &operands, &mut emit),
    }
    let mut field = None;
    if code.flags & Code::MODRM != 0 {
        field = modrm(inst, code, &operands, &mut emit);
    }
    match code.imm {
        0 => {}
        _ if code.is4 != NOWHERE => emit.byte(inst.mask.number() << 4),
        1 => emit.byte(inst.imm as u8),
        4 => emit.dword(inst.imm),
        _ => {
            emit.dword(inst.imm);
            emit.dword(inst.disp);
        }
    }
    let len = emit.len;
    if let Some(at) = field {
        match inst.mem() {
            Mem::Pool => out.fix_pool(at, code.imm, inst.disp),
            _ => out.fix_label(at, code.imm, Label(inst.disp as u32)),
        }
    }
    out.advance(len);
}

/// The window of the buffer, and how much of it is written.
struct Emit<'a> {
    to: &'a mut [u8; CodeBuffer::WINDOW],
    len: usize,
}

impl Emit<'_> {
    /// Writes eight bytes, of which the first `count` are meant.
    #[inline(always)]
    fn bytes(&mut self, bytes: u64, count: usize) {
        // The longest instruction leaves room for this; the condition lets the compiler see it.
        if let Some(place) = self.to.get_mut(self.len..self.len + 8) {
            place.copy_from_slice(&bytes.to_le_bytes());
        }
        self.len += count;
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.to[self.len % CodeBuffer::WINDOW] = byte;
        self.len += 1;
    }

    #[inline(always)]
    fn dword(&mut self, value: i32) {
        self.bytes(u64::from(value as u32), 4);
    }
}

/// The numbers that go into the fields of the encoding.
struct Operands {
    /// ModRM.reg: a register or the opcode's digit.
    reg: u32,
    /// ModRM.rm, the base of the memory operand, or the register in the opcode.
    base: Reg,
    /// Bit 3 of base and index, as REX and VEX want them; 0 if absent.
    b: u32,
    x: u32,
    vvvv: u32,
}

impl Operands {
    #[inline(always)]
    fn of(inst: &MInst, code: &Code) -> Operands {
        // Slots as the bytes of one word; the slot NOWHERE holds `Reg::NONE`.
        let [first, second, third] = inst.regs;
        let none = Reg::NONE.index() as u64;
        let slots = first.index() as u64
            | (second.index() as u64) << 8
            | (third.index() as u64) << 16
            | (inst.mask.index() as u64) << 24
            | none << 32;
        let slot = |number: u8| Reg::from_index((slots >> (8 * (number & 7))) as u8);
        let reg = if code.reg == NOWHERE { code.digit } else { slot(code.reg).number() };
        let vvvv = if code.vvvv == NOWHERE { 0 } else { slot(code.vvvv).number() };
        let base = slot(code.rm);
        let bit3 = |reg: Reg| u32::from(reg.number() >> 3 & reg.is_some() as u8);
        Operands { reg: reg.into(), base, b: bit3(base), x: bit3(inst.index), vvvv: vvvv.into() }
    }
}

#[inline(always)]
fn legacy(inst: &MInst, code: &Code, operands: &Operands, emit: &mut Emit<'_>) {
    let rex = u32::from(code.w) << 3 | (operands.reg >> 3 & 1) << 2 | operands.x << 1 | operands.b;
    // Without a REX prefix, byte registers 4 to 7 are ah, ch, dh and bh.
    let byte_reg = code.flags & Code::BYTE_REG != 0 && operands.reg & !3 == 4;
    let byte_rm = code.flags & Code::BYTE_RM != 0 && inst.mode & 7 == 0 && operands.base.number() & !3 == 4;
    let mut head = [0, 0x66, 0xF3, 0xF2][code.pp as usize & 3];
    let mut count = (code.pp != 0) as usize;
    if rex != 0 || byte_reg || byte_rm {
        head |= u64::from(0x40 | rex) << (8 * count);
        count += 1;
    }
    let escape = [0, 0x0F, 0x380F, 0x3A0F][code.map as usize & 3];
    let escapes = [0, 1, 2, 2][code.map as usize & 3];
    let plus = if code.flags & Code::PLUS != 0 { operands.base.number() & 7 } else { 0 };
    let opcode = u64::from(code.opcode | plus) << (8 * escapes);
    emit.bytes(head | (escape | opcode) << (8 * count), count + escapes + 1);
}

#[inline(always)]
fn vex(code: &Code, operands: &Operands, emit: &mut Emit<'_>) {
    let r = !operands.reg << 4 & 0x80;
    let last = (!operands.vvvv & 15) << 3 | u32::from(code.length) << 2 | u32::from(code.pp);
    let opcode = u32::from(code.opcode);
    if operands.x | operands.b | u32::from(code.w) == 0 && code.map == 1 {
        emit.bytes(u64::from(0xC5 | (r | last) << 8 | opcode << 16), 3);
    } else {
        let middle = r | (operands.x ^ 1) << 6 | (operands.b ^ 1) << 5 | u32::from(code.map);
        let last = u32::from(code.w) << 7 | last;
        emit.bytes(u64::from(0xC4 | middle << 8 | last << 16 | opcode << 24), 4);
    }
}

#[inline(always)]
fn evex(inst: &MInst, code: &Code, operands: &Operands, emit: &mut Emit<'_>) {
    let register = inst.mode & 7 == 0;
    // Without memory, the index bit is the fifth bit of a register in ModRM.rm.
    let x = if register { u32::from(operands.base.number() >> 4) } else { operands.x };
    let r = (!operands.reg << 4 & 0x80) | (!operands.reg & 0x10);
    let first = r | (x ^ 1) << 6 | (operands.b ^ 1) << 5 | u32::from(code.map);
    let second = u32::from(code.w) << 7 | (!operands.vvvv & 15) << 3 | 4 | u32::from(code.pp);
    let rounds = register && inst.mode & MInst::BROADCAST != 0;
    let length = if rounds { inst.mode >> 3 & 3 } else { code.length };
    let mask = if inst.mask.is_some() { inst.mask.number() & 7 } else { 0 };
    let bits = (inst.mode & MInst::ZEROING) | (inst.mode & MInst::BROADCAST) >> 2 | length << 5 | mask;
    let third = u32::from(bits) | (!operands.vvvv >> 1 & 8);
    let prefix = u64::from(0x62 | first << 8 | second << 16 | third << 24);
    emit.bytes(prefix | u64::from(code.opcode) << 32, 5);
}

/// Writes ModRM, SIB and displacement; gives the place of a displacement that only the buffer can fill in.
#[inline(always)]
fn modrm(inst: &MInst, code: &Code, operands: &Operands, emit: &mut Emit<'_>) -> Option<usize> {
    let reg = (operands.reg as u8 & 7) << 3;
    let base = operands.base;
    let low = base.number() & 7;
    let mode = inst.mode & 7;
    if mode == 0 {
        emit.byte(0xC0 | reg | low);
        return None;
    }
    if mode > 4 {
        emit.byte(reg | 5);
        emit.dword(0);
        return Some(emit.len - 4);
    }
    let index = if inst.index.is_some() { inst.index.number() & 7 } else { 4 };
    let scale = (mode - 1) << 6;
    if !base.is_some() {
        emit.byte(reg | 4);
        emit.byte(scale | index << 3 | 5);
        emit.dword(inst.disp);
        return None;
    }
    let shift = match code.space {
        Space::Evex => code.scale[(inst.mode & MInst::BROADCAST != 0) as usize],
        Space::Legacy | Space::Vex => 0,
    };
    let near = inst.disp >> shift;
    let size = if inst.disp == 0 && low != 5 {
        0
    } else if near << shift == inst.disp && near as i8 as i32 == near {
        0x40
    } else {
        0x80
    };
    if inst.index.is_some() || low == 4 {
        emit.byte(size | reg | 4);
        emit.byte(scale | index << 3 | low);
    } else {
        emit.byte(size | reg | low);
    }
    match size {
        0 => {}
        0x40 => emit.byte(near as u8),
        _ => emit.dword(inst.disp),
    }
    None
}

/// Calls, jumps and branches to a label.
fn relative(inst: &MInst, code: &Code, out: &mut CodeBuffer) {
    let label = Label(inst.imm as u32);
    match (code.map, code.opcode, code.imm) {
        (_, opcode, 1) => {
            out.window()[0] = opcode;
            out.fix_near(1, label);
            out.advance(2);
        }
        (0, 0xE9, _) => out.branch(&[0xE9], 0xEB, label),
        (1, opcode, _) => out.branch(&[0x0F, opcode], opcode - 0x10, label),
        (_, opcode, _) => {
            out.window()[0] = opcode;
            out.fix_label(1, 0, label);
            out.advance(5);
        }
    }
}

/// Do the operands of a real instruction fit its row? Says what does not.
pub(crate) fn check(inst: &MInst) -> Result<(), &'static str> {
    let row = insts::row(inst.inst);
    let memory = inst.mem() != Mem::None;
    for operand in &row.info.operands[..row.info.count as usize] {
        if operand.slot == NOWHERE {
            continue;
        }
        let reg = if operand.slot == 3 { inst.mask } else { inst.regs[operand.slot as usize] };
        let is_memory = memory && operand.memory;
        check_register(reg, is_memory, operand.kind, row.code.space)?;
    }
    check_memory(inst, &row.info)?;
    check_immediate(inst, &row.code)?;
    if row.code.is4 == NOWHERE && inst.mask.is_some() {
        if !row.info.masked || inst.mask.class() != RegClass::Mask || !(1..8).contains(&inst.mask.number()) {
            return Err("a write mask k1 to k7, of an instruction that may have one");
        }
    } else if inst.mode & MInst::ZEROING != 0 {
        return Err("zeroing needs a write mask");
    }
    if inst.mode & MInst::ZEROING != 0 && (!row.info.zeroing || (memory && row.info.operands[0].memory)) {
        return Err("an instruction that can zero");
    }
    Ok(())
}

fn check_register(reg: Reg, memory: bool, kind: Kind, space: Space) -> Result<(), &'static str> {
    if memory {
        let fits = !reg.is_some() || (reg.class() == RegClass::Gpr && reg.number() < 16);
        return if fits { Ok(()) } else { Err("a general-purpose register as base") };
    }
    let Kind::Reg(width) = kind else { return Err("a memory operand") };
    let (class, count) = match width {
        Width::B8 | Width::B16 | Width::B32 | Width::B64 => (RegClass::Gpr, 16),
        Width::Xmm | Width::Ymm | Width::Zmm => (RegClass::Vec, if space == Space::Evex { 32 } else { 16 }),
        Width::Mask => (RegClass::Mask, 8),
    };
    let fits = reg.is_some() && reg.class() == class && reg.number() < count;
    if fits { Ok(()) } else { Err("a register of the operand's file that the encoding can name") }
}

fn check_memory(inst: &MInst, info: &Info) -> Result<(), &'static str> {
    let operands = &info.operands[..info.count as usize];
    let broadcast = inst.mode & MInst::BROADCAST != 0;
    if inst.mem() == Mem::None {
        if inst.index.is_some() {
            return Err("an index needs a memory operand");
        }
        let fits = match info.rounding {
            Rounding::Embedded => true,
            Rounding::Suppress => inst.mode & MInst::ROUNDING == 0,
            Rounding::None => !broadcast,
        };
        return if fits { Ok(()) } else { Err("an instruction that has a rounding mode") };
    }
    let Some(operand) = operands.iter().find(|operand| operand.memory) else {
        return Err("an instruction that may access memory");
    };
    if broadcast && operand.element == 0 {
        return Err("an instruction that can broadcast");
    }
    let relative = matches!(inst.mem(), Mem::Pool | Mem::Label);
    if relative && (inst.regs[operand.slot as usize].is_some() || inst.index.is_some()) {
        return Err("no base and no index beside the instruction pointer");
    }
    let index = inst.index;
    if index.is_some() && (index.class() != RegClass::Gpr || index.number() >= 16 || index == RSP) {
        return Err("a general-purpose register other than rsp as index");
    }
    Ok(())
}

fn check_immediate(inst: &MInst, code: &Code) -> Result<(), &'static str> {
    let short = code.imm == 1 && code.flags & Code::RELATIVE == 0 && code.is4 == NOWHERE;
    if short && !(-128..=255).contains(&inst.imm) { Err("an immediate of eight bits") } else { Ok(()) }
}
