//! One machine instruction as text, in Intel syntax.
//!
//! The one idea: the same row that encodes an instruction prints it, so a listing cannot name an instruction that the
//! encoder does not write. Labels print as `L3` and constants as `[pool+0x10]`; whoever knows more says it in a
//! comment. The form is that of GNU as with `.intel_syntax noprefix`.

#![forbid(unsafe_code)]

use super::insts::{self, ROWS};
use super::notation::{Info, Kind, NOWHERE, Operand, Rounding};
use super::regs::{Width, push_name};
use crate::mach::{Inst, MInst, Mem};

/// Appends the text of an instruction or pseudo instruction.
pub(crate) fn push_text(inst: &MInst, out: &mut String) {
    if inst.inst.0 as usize >= ROWS.len() {
        match inst.inst {
            Inst::ALIGN => {
                out.push_str("align ");
                push_number(i64::from(inst.imm), out);
            }
            _ => {
                push_label(inst.imm, out);
                out.push(':');
            }
        }
        return;
    }
    let info = &insts::row(inst.inst).info;
    let end = info.text.find(' ').unwrap_or(info.text.len());
    out.extend(info.text[..end].chars().map(|c| c.to_ascii_lowercase()));
    let operands = &info.operands[..info.count as usize];
    let last_register = operands.iter().rposition(|operand| operand.slot != NOWHERE);
    for (place, operand) in operands.iter().enumerate() {
        out.push_str(if place == 0 { " " } else { ", " });
        push_operand(inst, info, operand, out);
        if place == 0 && info.masked && inst.mask.is_some() {
            out.push('{');
            push_name(inst.mask, Width::Mask, out);
            out.push_str(if inst.mode & MInst::ZEROING != 0 { "}{z}" } else { "}" });
        }
        let register_form = inst.mem() == Mem::None && inst.mode & MInst::BROADCAST != 0;
        if register_form && Some(place) == last_register {
            out.push_str(match (info.rounding, (inst.mode & MInst::ROUNDING) >> 3) {
                (Rounding::Embedded, 0) => "{rn-sae}",
                (Rounding::Embedded, 1) => "{rd-sae}",
                (Rounding::Embedded, 2) => "{ru-sae}",
                (Rounding::Embedded, _) => "{rz-sae}",
                _ => "{sae}",
            });
        }
    }
}

fn push_operand(inst: &MInst, info: &Info, operand: &Operand, out: &mut String) {
    match operand.kind {
        Kind::Imm => {
            let wide = insts::row(inst.inst).code.imm == 8;
            let value = if wide { i64::from(inst.disp) << 32 | i64::from(inst.imm as u32) } else { inst.imm.into() };
            push_number(value, out);
        }
        Kind::Rel => push_label(inst.imm, out),
        Kind::One => out.push('1'),
        Kind::Cl => out.push_str("cl"),
        Kind::Xmm0 => out.push_str("xmm0"),
        Kind::Memory | Kind::Reg(_) if operand.memory && inst.mem() != Mem::None => {
            push_memory(inst, operand, out);
        }
        Kind::Memory => out.push('?'),
        Kind::Reg(width) => {
            let reg = if operand.slot == 3 { inst.mask } else { inst.regs[operand.slot as usize] };
            push_name(reg, width, out);
        }
    }
    debug_assert!(info.count <= 4);
}

fn push_memory(inst: &MInst, operand: &Operand, out: &mut String) {
    let broadcast = inst.mode & MInst::BROADCAST != 0;
    out.push_str(match if broadcast { operand.element } else { operand.bytes } {
        1 => "byte ptr ",
        2 => "word ptr ",
        4 => "dword ptr ",
        8 => "qword ptr ",
        16 => "xmmword ptr ",
        32 => "ymmword ptr ",
        64 => "zmmword ptr ",
        _ => "",
    });
    out.push('[');
    match inst.mem() {
        Mem::None => {}
        Mem::Label => push_label(inst.disp, out),
        Mem::Pool => {
            out.push_str("pool");
            push_displacement(inst.disp, out);
        }
        Mem::Base1 | Mem::Base2 | Mem::Base4 | Mem::Base8 => {
            let base = inst.regs[operand.slot as usize];
            if base.is_some() {
                push_name(base, Width::B64, out);
            }
            if inst.index.is_some() {
                if base.is_some() {
                    out.push('+');
                }
                push_name(inst.index, Width::B64, out);
                out.push_str(["*1", "*2", "*4", "*8"][(inst.mode & 7) as usize - 1]);
            }
            if base.is_some() || inst.index.is_some() {
                push_displacement(inst.disp, out);
            } else {
                push_number(i64::from(inst.disp), out);
            }
        }
    }
    out.push(']');
    if broadcast {
        out.push_str("{1to");
        push_number(i64::from(operand.bytes / operand.element.max(1)), out);
        // The count of a broadcast is decimal: 16 is the only one above nine.
        if out.ends_with("0x10") {
            out.truncate(out.len() - 4);
            out.push_str("16");
        }
        out.push('}');
    }
}

/// A displacement after something else; nothing for zero.
fn push_displacement(value: i32, out: &mut String) {
    if value != 0 {
        if value > 0 {
            out.push('+');
        }
        push_number(i64::from(value), out);
    }
}

/// Decimal below ten, else hexadecimal with `0x`.
fn push_number(value: i64, out: &mut String) {
    use std::fmt::Write;
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    // Writing to a String cannot fail.
    let _ = if magnitude < 10 { write!(out, "{sign}{magnitude}") } else { write!(out, "{sign}{magnitude:#x}") };
}

fn push_label(number: i32, out: &mut String) {
    use std::fmt::Write;
    let _ = write!(out, "L{}", number as u32);
}
