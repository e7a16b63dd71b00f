//! Holds the instruction table, the encoder and the listing against two independent parties: a disassembler
//! (iced-x86) and an assembler (GNU as), and against a list of encodings that a third one was tested with.
//!
//! The one idea: [`samples`] makes machine instructions for any row, and [`compare`] says how a decoded instruction
//! differs from one of ours; every test is a way to bring the two together. A new row is covered by being a row.

use std::collections::HashMap;
use std::fmt::Write as _;

use iced_x86::{
    Code as IcedCode, Decoder, DecoderOptions, Formatter, Instruction, InstructionInfoFactory, IntelFormatter,
    OpAccess, OpKind, Register, RoundingControl,
};

use super::encode::{self, PADDING, encode, encode_all};
use super::features::{CpuidWords, Features, Level};
use super::insts::{self, ROWS};
use super::notation::{Access, Code, Kind, NOWHERE, Operand, Rounding, Row, Space};
use super::regs::*;
use super::text::push_text;
use crate::mach::buffer::{CodeBuffer, Pool};
use crate::mach::{Inst, Label, MInst, Mem, Reg};

/// A displacement of each kind: none, short, and each side of every boundary.
const DISPLACEMENTS: [i32; 10] = [0, 1, -1, 127, 128, -128, -129, 0x1000, i32::MAX, i32::MIN];

fn buffer() -> CodeBuffer {
    CodeBuffer::new(&PADDING, 1 << 20)
}

fn reg_at(width: Width, number: u8) -> Reg {
    match width {
        Width::B8 | Width::B16 | Width::B32 | Width::B64 => Reg::gpr(number),
        Width::Xmm | Width::Ymm | Width::Zmm => Reg::vec(number),
        Width::Mask => Reg::mask(number),
    }
}

fn reg_count(width: Width, space: Space) -> u8 {
    match width {
        Width::Mask => 8,
        Width::Xmm | Width::Ymm | Width::Zmm if space == Space::Evex => 32,
        _ => 16,
    }
}

fn operands(row: &Row) -> &[Operand] {
    &row.info.operands[..row.info.count as usize]
}

fn set(inst: &mut MInst, slot: u8, reg: Reg) {
    match slot {
        3 => inst.mask = reg,
        _ => inst.regs[slot as usize] = reg,
    }
}

/// The row's instruction with register operands 3, 6, 9 ... (none of them implicit anywhere), memory where it must be.
fn plain(index: usize) -> MInst {
    let row = &ROWS[index];
    let mut inst = MInst::new(Inst(index as u16));
    for operand in operands(row) {
        match operand.kind {
            Kind::Reg(width) => {
                let number = 3 * (operand.slot + 1) % reg_count(width, row.code.space);
                set(&mut inst, operand.slot, reg_at(width, number));
            }
            Kind::Memory => {
                set(&mut inst, operand.slot, RDI);
                inst.mode = 1;
            }
            _ => {}
        }
    }
    inst
}

fn memory_slot(row: &Row) -> Option<u8> {
    operands(row).iter().find(|operand| operand.memory).map(|operand| operand.slot)
}

/// The plain instruction with a memory operand, if it can have one.
fn with_memory(index: usize, base: Reg, index_reg: Reg, scale: u8, disp: i32) -> Option<MInst> {
    let slot = memory_slot(&ROWS[index])?;
    let mut inst = plain(index);
    set(&mut inst, slot, base);
    inst.index = index_reg;
    inst.mode = scale + 1;
    inst.disp = disp;
    Some(inst)
}

/// Instructions of one row: every register in every place, some addresses, masks, broadcasts, rounding, immediates.
fn samples(index: usize) -> Vec<MInst> {
    let row = &ROWS[index];
    if row.code.flags & Code::RELATIVE != 0 {
        return Vec::new();
    }
    let mut list = vec![plain(index)];
    for operand in operands(row) {
        if let Kind::Reg(width) = operand.kind {
            for number in 0..reg_count(width, row.code.space) {
                let mut inst = plain(index);
                set(&mut inst, operand.slot, reg_at(width, number));
                list.push(inst);
            }
        }
    }
    let scale = 1 << row.code.scale[0];
    for disp in DISPLACEMENTS.into_iter().chain([scale, scale * 127, scale * 128, scale * -128, scale * -129]) {
        list.extend(with_memory(index, RAX, Reg::NONE, 0, disp));
        list.extend(with_memory(index, R13, R12, 3, disp));
    }
    for number in 0..16 {
        list.extend(with_memory(index, Reg::gpr(number), Reg::NONE, 0, 0));
        if number != 4 {
            list.extend(with_memory(index, Reg::NONE, Reg::gpr(number), 2, 64));
        }
    }
    list.extend(with_memory(index, Reg::NONE, Reg::NONE, 0, 0x1234));
    let immediates: &[i32] = match row.code.imm {
        0 => &[],
        1 if row.code.is4 != NOWHERE => &[],
        1 => &[0, 1, -1, 127, -128],
        _ => &[0, 1, -1, 127, 128, -128, -129, 0x1234_5678, i32::MAX, i32::MIN],
    };
    let forms: Vec<MInst> = [Some(plain(index)), with_memory(index, RSP, RBP, 1, -8)].into_iter().flatten().collect();
    for &form in &forms {
        list.extend(immediates.iter().map(|&imm| MInst { imm, ..form }));
        if row.code.imm == 8 {
            list.push(MInst { imm: -2, disp: 0x1234, ..form });
        }
        if row.info.masked {
            for number in 1..8 {
                list.push(MInst { mask: Reg::mask(number), ..form });
            }
            if row.info.zeroing && !(operands(row)[0].memory && form.mem() != Mem::None) {
                list.push(MInst { mask: K1, mode: form.mode | MInst::ZEROING, ..form });
            }
        }
    }
    for operand in operands(row) {
        if operand.element != 0 {
            let element = i32::from(operand.element);
            for disp in [0, element, element * 127, element * 128, element * -128, 1] {
                let inst = with_memory(index, RDI, RCX, 3, disp).expect("a broadcast has memory");
                list.push(MInst { mode: inst.mode | MInst::BROADCAST, ..inst });
            }
        }
    }
    let modes = match row.info.rounding {
        Rounding::None => 0,
        Rounding::Suppress => 1,
        Rounding::Embedded => 4,
    };
    for rounding in 0..modes {
        list.push(MInst { mode: MInst::BROADCAST | rounding << 3, ..plain(index) });
    }
    list.retain(|inst| encode::check(inst).is_ok());
    assert!(!list.is_empty(), "{}", row.info.text);
    list
}

fn all_samples() -> impl Iterator<Item = MInst> {
    (0..ROWS.len()).flat_map(samples)
}

fn iced_register(reg: Reg, width: Width) -> Register {
    let number = u32::from(reg.number());
    match width {
        _ if !reg.is_some() => Register::None,
        Width::B8 if number < 4 => Register::AL + number,
        Width::B8 => Register::SPL + (number - 4),
        Width::B16 => Register::AX + number,
        Width::B32 => Register::EAX + number,
        Width::B64 => Register::RAX + number,
        Width::Xmm => Register::XMM0 + number,
        Width::Ymm => Register::YMM0 + number,
        Width::Zmm => Register::ZMM0 + number,
        Width::Mask => Register::K0 + number,
    }
}

fn decode(bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE).decode()
}

/// Encodes one instruction alone, without fixups.
fn bytes_of(inst: &MInst, out: &mut CodeBuffer) -> Vec<u8> {
    out.clear();
    encode(inst, out);
    out.bytes().to_vec()
}

/// How does a decoded instruction differ from one of ours? Addresses relative to rip are `addresses`' business.
fn compare(inst: &MInst, length: usize, decoded: &Instruction) -> Result<(), String> {
    let row = insts::row(inst.inst);
    let differ = |what: &str, ours: String, theirs: String| Err(format!("{what}: ours {ours}, theirs {theirs}"));
    if decoded.is_invalid() || decoded.len() != length {
        return differ("length", length.to_string(), format!("{} ({:?})", decoded.len(), decoded.code()));
    }
    let mnemonic = row.info.text.split(' ').next().unwrap_or("");
    if !format!("{:?}", decoded.mnemonic()).eq_ignore_ascii_case(mnemonic) {
        return differ("mnemonic", mnemonic.into(), format!("{:?}", decoded.mnemonic()));
    }
    let list = operands(row);
    let explicit = list.iter().filter(|operand| operand.kind != Kind::Xmm0).count();
    if explicit != decoded.op_count() as usize {
        return differ("operands", explicit.to_string(), decoded.op_count().to_string());
    }
    for (place, operand) in list.iter().enumerate() {
        compare_operand(inst, row, operand, decoded, place as u32)
            .map_err(|text| format!("operand {place}: {text}"))?;
    }
    let mask = if row.code.is4 == NOWHERE { iced_register(inst.mask, Width::Mask) } else { Register::None };
    if decoded.op_mask() != mask {
        return differ("mask", format!("{mask:?}"), format!("{:?}", decoded.op_mask()));
    }
    if decoded.zeroing_masking() != (inst.mode & MInst::ZEROING != 0) {
        return differ("zeroing", inst.mode.to_string(), decoded.zeroing_masking().to_string());
    }
    let b = inst.mode & MInst::BROADCAST != 0;
    if decoded.is_broadcast() != (b && inst.mem() != Mem::None) {
        return differ("broadcast", b.to_string(), decoded.is_broadcast().to_string());
    }
    let rounds = b && inst.mem() == Mem::None && row.info.rounding == Rounding::Embedded;
    let control = match (inst.mode & MInst::ROUNDING) >> 3 {
        _ if !rounds => RoundingControl::None,
        0 => RoundingControl::RoundToNearest,
        1 => RoundingControl::RoundDown,
        2 => RoundingControl::RoundUp,
        _ => RoundingControl::RoundTowardZero,
    };
    if decoded.rounding_control() != control {
        return differ("rounding", format!("{control:?}"), format!("{:?}", decoded.rounding_control()));
    }
    let suppress = b && inst.mem() == Mem::None && row.info.rounding == Rounding::Suppress;
    if decoded.suppress_all_exceptions() != suppress {
        return differ("suppression", suppress.to_string(), decoded.suppress_all_exceptions().to_string());
    }
    Ok(())
}

fn compare_operand(
    inst: &MInst,
    row: &Row,
    operand: &Operand,
    decoded: &Instruction,
    place: u32,
) -> Result<(), String> {
    let equal = |same: bool, ours: String, theirs: String| {
        if same { Ok(()) } else { Err(format!("ours {ours}, theirs {theirs}")) }
    };
    if operand.kind == Kind::Xmm0 {
        return Ok(());
    }
    let kind = decoded.op_kind(place);
    if operand.memory && inst.mem() != Mem::None {
        if kind != OpKind::Memory {
            return Err(format!("memory, theirs {kind:?}"));
        }
        let broadcast = inst.mode & MInst::BROADCAST != 0;
        let size = if broadcast { operand.element } else { operand.bytes } as usize;
        let theirs = decoded.memory_size();
        let their_size = if broadcast { theirs.element_size() } else { theirs.size() };
        let unsized_load = operand.access == Access::Address || operand.access == Access::None;
        equal(size == their_size || unsized_load, format!("{size} bytes"), format!("{theirs:?}"))?;
        if matches!(inst.mem(), Mem::Pool | Mem::Label) {
            return equal(decoded.memory_base() == Register::RIP, "rip".into(), format!("{:?}", decoded.memory_base()));
        }
        let base = iced_register(inst.regs[operand.slot as usize], Width::B64);
        equal(decoded.memory_base() == base, format!("{base:?}"), format!("{:?}", decoded.memory_base()))?;
        let index = iced_register(inst.index, Width::B64);
        equal(decoded.memory_index() == index, format!("{index:?}"), format!("{:?}", decoded.memory_index()))?;
        let scale = if inst.index.is_some() { 1 << ((inst.mode & 7) - 1) } else { 1 };
        equal(decoded.memory_index_scale() == scale, scale.to_string(), decoded.memory_index_scale().to_string())?;
        let disp = decoded.memory_displacement64();
        return equal(disp == inst.disp as i64 as u64, inst.disp.to_string(), disp.to_string());
    }
    match operand.kind {
        Kind::Reg(width) => {
            let reg = if operand.slot == 3 { inst.mask } else { inst.regs[operand.slot as usize] };
            let ours = iced_register(reg, width);
            let is_register = kind == OpKind::Register;
            let theirs = if is_register { decoded.op_register(place) } else { Register::None };
            equal(ours == theirs, format!("{ours:?}"), format!("{theirs:?}"))
        }
        Kind::Cl => {
            equal(kind == OpKind::Register && decoded.op_register(place) == Register::CL, "cl".into(), "".into())
        }
        Kind::One => equal(decoded.immediate(place) == 1, "1".into(), decoded.immediate(place).to_string()),
        _ => {
            let theirs = decoded.immediate(place);
            let ours = inst.imm as i64 as u64;
            let same = match row.code.imm {
                1 => ours as u8 == theirs as u8,
                4 => ours as u32 == theirs as u32 && matches!(theirs >> 32, 0 | 0xffff_ffff),
                _ => u64::from(inst.imm as u32) | (inst.disp as u32 as u64) << 32 == theirs,
            };
            equal(same, format!("{ours:#x}"), format!("{theirs:#x}"))
        }
    }
}

fn ours(inst: &MInst) -> String {
    let mut text = String::new();
    push_text(inst, &mut text);
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Fails with the first few of a list of complaints.
fn expect_none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints[..complaints.len().min(40)].join("\n")
    );
}

#[test]
fn rows_round_trip() {
    let mut out = buffer();
    let mut complaints = Vec::new();
    let mut count = 0;
    for inst in all_samples() {
        let bytes = bytes_of(&inst, &mut out);
        count += 1;
        if let Err(text) = compare(&inst, bytes.len(), &decode(&bytes)) {
            complaints.push(format!("{} {}: {text}", ours(&inst), hex(&bytes)));
        }
    }
    println!("{} rows, {count} instructions", ROWS.len());
    expect_none(&complaints);
}

/// Every base, index, scale and displacement; a row sees one address in `stride`, and all rows together see each
/// address many times over.
#[test]
fn addresses_round_trip() {
    let mut out = buffer();
    let mut complaints = Vec::new();
    let stride = if cfg!(debug_assertions) { 16 } else { 1 };
    let mut count = 0;
    for (index, row) in ROWS.iter().enumerate() {
        let Some(slot) = memory_slot(row) else { continue };
        let mut turn = index;
        let template = plain(index);
        let none_then = |count: u8| (0..=count).map(move |n| if n == count { Reg::NONE } else { Reg::gpr(n) });
        for base in none_then(16) {
            for index_reg in none_then(16).filter(|&reg| reg != RSP) {
                for scale in 0..if index_reg.is_some() { 4 } else { 1 } {
                    for disp in DISPLACEMENTS {
                        turn += 1;
                        if turn % stride != 0 {
                            continue;
                        }
                        let mut inst = MInst { index: index_reg, mode: scale + 1, disp, ..template };
                        set(&mut inst, slot, base);
                        out.clear();
                        encode(&inst, &mut out);
                        count += 1;
                        if let Err(text) = compare(&inst, out.len(), &decode(out.bytes())) {
                            complaints.push(format!("{} {}: {text}", ours(&inst), hex(out.bytes())));
                        }
                    }
                }
            }
        }
    }
    println!("{count} addresses");
    expect_none(&complaints);
}

/// Pool and label addresses reach their target whatever follows the displacement in the instruction.
#[test]
fn relative_addresses_reach_their_target() {
    let mut out = buffer();
    let mut pool = Pool::new();
    pool.add(&[1; 4]);
    let entry = pool.add(&[7; 64]);
    for (index, row) in ROWS.iter().enumerate() {
        let Some(slot) = memory_slot(row) else { continue };
        for mode in [5, 6] {
            let mut inst = plain(index);
            set(&mut inst, slot, Reg::NONE);
            inst.mode = mode;
            inst.disp = if mode == 5 { entry } else { 0 };
            out.clear();
            encode(&inst, &mut out);
            let length = out.len();
            out.extend(&[0x90; 3]);
            out.bind(Label(0));
            out.finish(&pool).expect("lays out");
            let decoded = decode(out.bytes());
            assert_eq!(compare(&inst, length, &decoded), Ok(()), "{}", ours(&inst));
            let target = decoded.memory_displacement64() as usize;
            if mode == 5 {
                assert_eq!(target % 64, 0);
                assert_eq!(&out.bytes()[target..target + 64], &[7; 64], "{}", ours(&inst));
            } else {
                assert_eq!(target, length + 3, "{}", ours(&inst));
            }
        }
    }
}

#[test]
fn branches_reach_their_target() {
    for (index, row) in ROWS.iter().enumerate() {
        if row.code.flags & Code::RELATIVE == 0 {
            continue;
        }
        for (before, after, force) in [(0, 0, false), (5, 0, false), (0, 100, false), (200, 0, false), (0, 200, true)] {
            if row.code.imm == 1 && (before > 120 || after > 120) {
                continue;
            }
            let mut out = buffer();
            out.force_long = force;
            if before > 0 {
                out.bind(Label(0));
                out.extend(&[0x90; 256][..before]);
            }
            let inst = MInst { imm: 0, ..MInst::new(Inst(index as u16)) };
            encode(&inst, &mut out);
            out.extend(&[0x90; 256][..after]);
            if before == 0 {
                out.bind(Label(0));
            }
            out.finish(&Pool::new()).expect("lays out");
            let mut decoder = Decoder::with_ip(64, &out.bytes()[before..], before as u64, DecoderOptions::NONE);
            let decoded = decoder.decode();
            let target = if before > 0 { 0 } else { (decoded.len() + after) as u64 };
            assert_eq!(decoded.near_branch_target(), target, "{}", row.info.text);
            assert!(
                format!("{:?}", decoded.mnemonic()).eq_ignore_ascii_case(row.info.text.split(' ').next().unwrap_or(""))
            );
            let near = before <= 120 && after <= 120 && !force && row.info.name != "CALL";
            assert_eq!(decoded.len() == 2, near || row.code.imm == 1, "{} {before} {after}", row.info.text);
        }
    }
}

fn iced_access(access: OpAccess) -> Access {
    match access {
        OpAccess::None => Access::None,
        OpAccess::Read | OpAccess::CondRead => Access::Read,
        OpAccess::Write => Access::Write,
        OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => Access::ReadWrite,
        OpAccess::NoMemAccess => Access::Address,
    }
}

/// Operand roles, implicit registers, flags.
#[test]
fn effects_agree_with_the_disassembler() {
    let mut factory = InstructionInfoFactory::new();
    let mut complaints = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        let info = &row.info;
        let mut out = buffer();
        let mut forms: Vec<MInst> =
            [Some(plain(index)), with_memory(index, RSI, Reg::NONE, 0, 8)].into_iter().flatten().collect();
        if info.masked {
            forms.push(MInst { mask: K1, ..forms[0] });
        }
        for inst in forms {
            // A shift by zero leaves the flags alone, which is not what the row says.
            let inst = MInst { imm: if row.code.flags & Code::RELATIVE == 0 { 3 } else { 0 }, ..inst };
            if encode::check(&inst).is_err() {
                continue;
            }
            let bytes = if row.code.flags & Code::RELATIVE != 0 {
                out.clear();
                encode(&inst, &mut out);
                out.bind(Label(0));
                out.finish(&Pool::new()).expect("lays out");
                out.bytes().to_vec()
            } else {
                bytes_of(&inst, &mut out)
            };
            let decoded = decode(&bytes);
            let used = factory.info(&decoded);
            for (place, operand) in operands(row).iter().enumerate().filter(|(_, operand)| operand.slot != NOWHERE) {
                let theirs = iced_access(used.op_access(place as u32));
                let mine = insts::access(&inst, operand);
                if mine != theirs {
                    complaints.push(format!("{}: operand {place} {mine:?}, theirs {theirs:?}", ours(&inst)));
                }
            }
            let explicit = |reg: Register| {
                (0..decoded.op_count()).any(|place| {
                    decoded.op_kind(place) == OpKind::Register
                        && decoded.op_register(place).full_register() == reg
                        && operands(row)[place as usize].slot != NOWHERE
                }) || decoded.memory_base() == reg
                    || decoded.op_mask() == reg
            };
            let (mut reads, mut writes) = (0u64, 0u64);
            for register in used.used_registers() {
                let full = register.register().full_register();
                if explicit(full) {
                    continue;
                }
                let bit = match full {
                    _ if full.is_gpr64() => 1 << (full as u32 - Register::RAX as u32),
                    Register::ZMM0 => 1 << 32,
                    _ => continue,
                };
                let access = iced_access(register.access());
                reads |= if matches!(access, Access::Read | Access::ReadWrite) { bit } else { 0 };
                writes |= if matches!(access, Access::Write | Access::ReadWrite) { bit } else { 0 };
            }
            // The table does not list the upper halves that `vzeroupper` clears.
            if (reads, writes) != (info.reads, info.writes) && info.name != "VZEROUPPER" {
                complaints.push(format!(
                    "{}: implicit {:x} {:x}, theirs {reads:x} {writes:x}",
                    ours(&inst),
                    info.reads,
                    info.writes
                ));
            }
            let flags = (decoded.rflags_read() != 0, decoded.rflags_modified() != 0);
            if flags != (info.reads_flags, info.writes_flags) {
                complaints.push(format!(
                    "{}: flags {:?}, theirs {flags:?}",
                    ours(&inst),
                    (info.reads_flags, info.writes_flags)
                ));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn features_agree_with_the_disassembler() {
    let mut complaints = Vec::new();
    let mut out = buffer();
    for (index, row) in ROWS.iter().enumerate() {
        let info = &row.info;
        let Some(inst) = samples(index).into_iter().next() else { continue };
        let decoded = decode(&bytes_of(&inst, &mut out));
        let mut theirs: Vec<String> = decoded
            .cpuid_features()
            .iter()
            .map(|feature| format!("{feature:?}").replace('_', "."))
            .filter(|name| !name.starts_with("INTEL") && !["X64", "CMOV", "MULTIBYTENOP"].contains(&name.as_str()))
            .collect();
        theirs.sort();
        let mut mine: Vec<&str> = info.features.names().collect();
        mine.sort_unstable();
        if mine != theirs {
            complaints.push(format!("{}: {mine:?}, theirs {theirs:?}", info.text));
        }
    }
    expect_none(&complaints);
}

fn formatter() -> IntelFormatter {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_signed_immediate_operands(true);
    options.set_memory_size_options(iced_x86::MemorySizeOptions::Always);
    options.set_always_show_scale(true);
    options.set_use_pseudo_ops(false);
    options.set_rip_relative_addresses(true);
    options.set_show_branch_size(false);
    formatter
}

fn theirs(formatter: &mut IntelFormatter, decoded: &Instruction) -> String {
    let mut text = String::new();
    formatter.format(decoded, &mut text);
    text
}

/// The disassembler writes `{rne-sae}` for `{rn-sae}` and puts it behind the first operand, which GNU as does not read.
fn without_rounding(text: &str) -> String {
    ["{rne-sae}", "{rn-sae}", "{rd-sae}", "{ru-sae}", "{rz-sae}", "{sae}"]
        .into_iter()
        .fold(text.to_string(), |text, word| text.replace(word, ""))
}

#[test]
fn listing_reads_like_the_disassembler() {
    let mut formatter = formatter();
    let mut out = buffer();
    let mut complaints = Vec::new();
    for inst in all_samples() {
        let bytes = bytes_of(&inst, &mut out);
        let mut text = theirs(&mut formatter, &decode(&bytes));
        if operands(insts::row(inst.inst)).iter().any(|operand| operand.kind == Kind::Xmm0) {
            text.push_str(", xmm0");
        }
        if without_rounding(&text) != without_rounding(&ours(&inst)) {
            complaints.push(format!("{} | {text}", ours(&inst)));
        }
    }
    expect_none(&complaints);
}

#[path = "tests_outside.rs"]
mod outside;

#[path = "tests_layout.rs"]
mod layout;
