//! What an instruction does to registers, flags and memory, as far as the allocation checker asks.
//!
//! The one idea: reads and writes come from the operand roles of the instruction's row, which the tests hold against
//! an independent disassembler; only moves, control flow and what changes the stack pointer are known by name here.
//! A row that nobody names here is an operation whose result is new: that is never wrong, at worst too strict, and so
//! who adds an instruction adds nothing unless the walk uses it to move values.

#![forbid(unsafe_code)]

use super::abi::CALL_CLOBBERS;
use super::insts::{self, *};
use super::notation::{Access, NOWHERE};
use super::regs::{RAX, RDI, RDX, RSI, RSP};
use crate::mach::check::{Action, Effect, MemoryUse, Roles, set_of};
use crate::mach::{Inst, Label, MInst, Mem, Reg};

/// What `inst`, which is no pseudo instruction, does.
fn describe(inst: &MInst) -> Effect {
    let row = insts::row(inst.inst);
    let mut effect = Effect {
        reads: u128::from(row.info.reads),
        writes: u128::from(row.info.writes),
        address: 0,
        reads_flags: row.info.reads_flags,
        writes_flags: row.info.writes_flags,
        memory: None,
        action: Action::Other,
    };
    for operand in row.info.operands[..row.info.count as usize].iter().filter(|o| o.slot != NOWHERE) {
        let reg = if operand.slot == 3 { inst.mask } else { inst.regs[operand.slot as usize] };
        let access = insts::access(inst, operand);
        let (read, written) = match access {
            Access::Read => (true, false),
            Access::Write => (false, true),
            Access::ReadWrite => (true, true),
            Access::Address | Access::None => (false, false),
        };
        if operand.memory && inst.mem() != Mem::None {
            let parts = if matches!(inst.mem(), Mem::Pool | Mem::Label) { 0 } else { set_of(reg) | set_of(inst.index) };
            match access {
                Access::Address => effect.reads |= parts,
                Access::None => {}
                _ => {
                    let broadcast = inst.mode & MInst::BROADCAST != 0;
                    let bytes = i32::from(if broadcast { operand.element } else { operand.bytes });
                    effect.address = parts;
                    effect.memory = Some(MemoryUse { read, written, base: reg, bytes });
                }
            }
            continue;
        }
        effect.reads |= if read { set_of(reg) } else { 0 };
        effect.writes |= if written { set_of(reg) } else { 0 };
    }
    if row.code.is4 == NOWHERE {
        // A write mask.
        effect.reads |= set_of(inst.mask);
    }
    effect.action = action(inst, effect.memory);
    if effect.action == Action::Call {
        effect.writes |= u128::from(CALL_CLOBBERS[0]) | ALL_VECTORS_AND_MASKS;
        effect.writes_flags = true;
    }
    if inst.inst == VZEROUPPER {
        // What is left of the first sixteen is no value of many rows.
        effect.writes |= 0xffff << 32;
    }
    effect
}

/// No convention has a callee keep the whole of one of these.
const ALL_VECTORS_AND_MASKS: u128 = 0xff_ffff_ffff << 32;

/// x86-64 for the checker. Calls are thunks under System V: three integer arguments, two words of result.
pub(crate) const ROLES: Roles = Roles {
    describe,
    exchange,
    stack: RSP,
    call_arguments: [RDI, RSI, RDX],
    call_results: [RAX, RDX],
    status: RAX,
    // The return address has been pushed.
    call_depth: 8,
    page: 4096,
};

/// If the three instructions, of which later ones may be missing, begin with an exchange by three xors: of what?
fn exchange(insts: [Option<&MInst>; 3]) -> Option<(Reg, Reg)> {
    let [Some(first), Some(second), Some(third)] = insts else { return None };
    let parts = |inst: &MInst| match inst.inst {
        XORPS if inst.mem() == Mem::None => Some((inst.regs[0], inst.regs[1])),
        VXORPS_128 | VXORPS_256 | VXORPS_512 | KXORQ if inst.mem() == Mem::None && inst.regs[0] == inst.regs[1] => {
            Some((inst.regs[0], inst.regs[2]))
        }
        _ => None,
    };
    let (a, b) = parts(first)?;
    (a != b && parts(second)? == (b, a) && parts(third)? == (a, b)).then_some((a, b))
}

fn action(inst: &MInst, memory: Option<MemoryUse>) -> Action {
    let [a, b, c] = inst.regs;
    let label = Label(inst.imm as u32);
    match inst.inst {
        MOV_RM64_R64 | MOV_R64_RM64 => transfer(memory, a, b, 8, false),
        MOV_RM32_R32 | MOV_R32_RM32 => transfer(memory, a, b, 4, true),
        MOVZX_R32_RM8 => transfer(memory, a, b, 1, true),
        MOVAPS | MOVUPS | MOVUPS_STORE | VMOVAPS_128 | VMOVUPS_128 | VMOVUPS_STORE_128 => {
            transfer(memory, a, b, 16, false)
        }
        VMOVAPS_E128 | VMOVUPS_E128 | VMOVUPS_STORE_E128 => transfer(memory, a, b, 16, false),
        VMOVAPS_256 | VMOVUPS_256 | VMOVUPS_STORE_256 => transfer(memory, a, b, 32, false),
        VMOVAPS_E256 | VMOVUPS_E256 | VMOVUPS_STORE_E256 => transfer(memory, a, b, 32, false),
        VMOVAPS_512 | VMOVUPS_512 | VMOVUPS_STORE_512 => transfer(memory, a, b, 64, false),
        MOVNTPS_STORE | VMOVNTPS_STORE_128 | VMOVNTPS_STORE_E128 => transfer(memory, a, b, 16, false),
        VMOVNTPS_STORE_256 | VMOVNTPS_STORE_E256 => transfer(memory, a, b, 32, false),
        VMOVNTPS_STORE_512 => transfer(memory, a, b, 64, false),
        MOVQ | MOVQ_STORE | VMOVQ | VMOVQ_STORE if memory.is_some() => transfer(memory, a, b, 8, false),
        KMOVQ | KMOVQ_STORE => transfer(memory, a, b, 8, false),
        VBROADCASTSS_LOAD_128 | VBROADCASTSS_LOAD_256 | VBROADCASTSS_E128 | VBROADCASTSS_E256 | VBROADCASTSS_512
            if memory.is_some() =>
        {
            transfer(memory, a, b, 4, false)
        }
        VBROADCASTSD_LOAD | VBROADCASTSD_512 if memory.is_some() => transfer(memory, a, b, 8, false),
        MOVSS_LOAD | MOVSS_STORE | VMOVSS_LOAD | VMOVSS_STORE => transfer(memory, a, b, 4, false),
        MOVSD_LOAD | MOVSD_STORE | VMOVSD_LOAD | VMOVSD_STORE => transfer(memory, a, b, 8, false),
        XOR_R32_RM32 | XOR_R64_RM64 | XORPS if memory.is_none() && a == b => Action::Constant { to: a, bits: 0 },
        VXORPS_128 | VXORPS_256 | VXORPS_512 | KXORW if memory.is_none() && b == c => {
            Action::Constant { to: a, bits: 0 }
        }
        PXOR if memory.is_none() && a == b => Action::Constant { to: a, bits: 0 },
        VPXOR_128 | VPXOR_256 | VPXORD_E128 | VPXORD_E256 | VPXORD_512 if memory.is_none() && b == c => {
            Action::Constant { to: a, bits: 0 }
        }
        PCMPEQD if memory.is_none() && a == b => Action::Constant { to: a, bits: u64::MAX },
        VPCMPEQD_128 | VPCMPEQD_256 | KXNORW if memory.is_none() && b == c => {
            Action::Constant { to: a, bits: u64::MAX }
        }
        MOV_R32_IMM32 => Action::Constant { to: a, bits: u64::from(inst.imm as u32) },
        MOV_RM64_IMM32 if memory.is_none() => Action::Constant { to: a, bits: i64::from(inst.imm) as u64 },
        MOV_R64_IMM64 => {
            Action::Constant { to: a, bits: u64::from(inst.imm as u32) | u64::from(inst.disp as u32) << 32 }
        }
        MOV_RM32_IMM32 if memory.is_some() => Action::StoreImm,
        XCHG_RM64_R64 if memory.is_none() => Action::Exchange { a, b },
        OR_RM32_IMM8 if memory.is_some() && inst.imm == 0 => Action::Touch,
        PUSH_R64 => Action::Push { from: a },
        POP_R64 => Action::Pop { to: a },
        SUB_RM64_IMM32 | SUB_RM64_IMM8 if a == RSP && memory.is_none() => Action::MoveStack { by: -inst.imm },
        ADD_RM64_IMM32 | ADD_RM64_IMM8 if a == RSP && memory.is_none() => Action::MoveStack { by: inst.imm },
        AND_RM64_IMM8 | AND_RM64_IMM32 if a == RSP && memory.is_none() => Action::AlignStack { bytes: -inst.imm },
        LEA_R64 if a == RSP => Action::SetStack { base: b, disp: inst.disp },
        CALL | CALL_RM64 => Action::Call,
        RET => Action::Return,
        JMP | JMP_REL8 => Action::Jump { to: label, always: true },
        other if is_branch(other) => Action::Jump { to: label, always: false },
        _ => Action::Other,
    }
}

fn is_branch(inst: Inst) -> bool {
    let info = &insts::row(inst).info;
    info.reads_flags && info.text.starts_with('J')
}

fn transfer(memory: Option<MemoryUse>, a: Reg, b: Reg, bytes: i32, zero_extends: bool) -> Action {
    match memory {
        None => Action::Copy { to: a, from: b, bytes, zero_extends },
        Some(m) if m.written => Action::Store { from: b, bytes },
        Some(_) => Action::Load { to: a, bytes, zero_extends },
    }
}
