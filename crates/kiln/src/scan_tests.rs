//! Looks at the bytes of random functions through an independent disassembler: what must be true of every one.
//!
//! The one idea: code need not run to be looked at, so every level and both conventions are scanned on every host. The
//! instructions must cover the code, belong to the level, agree on one spelling of vector instructions, and address
//! nothing but the frame, the inputs and results, and the constants.

#![forbid(unsafe_code)]

use crate::differential::{Random, soup, soup_of};
use crate::ir::build::BuildOptions;
use crate::isa::x64::abi::{Convention, SYSV, WIN64};
use crate::isa::x64::features::Level;
use crate::isa::x64::lower::X64;
use crate::mach::walk::Chaos;
use crate::pipeline::{Compiler, Target};
use crate::types::Type;
use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, EncodingKind, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

/// The features that belong to each level, and not to the one before it.
pub(crate) const FEATURES: [&[CpuidFeature]; 4] = {
    use CpuidFeature::*;
    [
        &[INTEL8086, INTEL186, INTEL386, INTEL486, X64, CMOV, SSE, SSE2, MULTIBYTENOP],
        &[SSE3, SSSE3, SSE4_1, SSE4_2, POPCNT],
        &[AVX, AVX2, FMA, F16C, BMI1, BMI2, LZCNT],
        &[AVX512F, AVX512DQ, AVX512BW, AVX512VL, AVX512CD],
    ]
};

/// Must the instruction's memory operand be aligned to its size?
pub(crate) fn needs_alignment(inst: &Instruction) -> bool {
    use Mnemonic::*;
    let size = inst.memory_size().size();
    let always = [Vmovaps, Vmovapd, Vmovdqa, Vmovdqa32, Vmovdqa64, Vmovntps, Vmovntpd, Vmovntdq, Vmovntdqa];
    let never = [Movups, Movupd, Movdqu, Lddqu];
    match inst.encoding() {
        EncodingKind::Legacy => size == 16 && !never.contains(&inst.mnemonic()),
        _ => always.contains(&inst.mnemonic()),
    }
}

/// What is looked at in a function's code.
struct Scan<'a> {
    bytes: &'a [u8],
    code: usize,
    marks: &'a [u32],
    level: Level,
    /// Bytes behind each pointer that the function is given.
    given: u64,
    /// Bytes of stack arguments, shadow space included.
    incoming: i64,
}

impl Scan<'_> {
    fn run(&self) -> Result<(), String> {
        let mut decoder = Decoder::with_ip(64, &self.bytes[..self.code], 0, DecoderOptions::NONE);
        let mut info = InstructionInfoFactory::new();
        let (mut depth, mut depths) = (0, std::collections::HashMap::<u64, i64>::new());
        let (mut legacy, mut vex) = (None, None);
        let mut starts = std::collections::HashSet::new();
        while decoder.can_decode() {
            let inst = decoder.decode();
            let fail = |why: &str| Err(format!("{:x}: {inst}: {why}", inst.ip()));
            if inst.is_invalid() {
                return fail("no instruction");
            }
            starts.insert(inst.ip());
            if let Some(&known) = depths.get(&inst.ip()) {
                depth = known;
            }
            let allowed = FEATURES[..=self.level as usize].concat();
            if inst.cpuid_features().iter().any(|feature| !allowed.contains(feature)) {
                return fail("a feature beyond the level");
            }
            let vector = info.info(&inst).used_registers().iter().any(|r| r.register().is_vector_register());
            if vector {
                let seen = if inst.encoding() == EncodingKind::Legacy { &mut legacy } else { &mut vex };
                *seen = Some(inst.ip());
            }
            let operand = (0..inst.op_count()).find(|&i| inst.op_kind(i) == OpKind::Memory);
            // What fills the space before a loop names memory and leaves it alone.
            let real = inst.memory_size().size() > 0 && inst.mnemonic() != Mnemonic::Nop;
            if let Some(operand) = operand.filter(|_| real) {
                let access = info.info(&inst).op_access(operand);
                if access != OpAccess::NoMemAccess {
                    self.memory(&inst, depth, access != OpAccess::Read)?;
                }
            }
            if inst.is_jcc_short_or_near() || inst.is_jmp_short_or_near() {
                depths.insert(inst.near_branch_target(), depth);
            } else if inst.mnemonic() != Mnemonic::Call && inst.mnemonic() != Mnemonic::Ret {
                depth += match (inst.mnemonic(), inst.op0_register()) {
                    (Mnemonic::Sub, Register::RSP) => -(inst.immediate(1) as i64),
                    (Mnemonic::Add, Register::RSP) => inst.immediate(1) as i64,
                    _ => i64::from(inst.stack_pointer_increment()),
                };
            }
        }
        if let (Some(a), Some(b)) = (legacy, vex) {
            return Err(format!("both legacy and VEX: at {a:x} and {b:x}"));
        }
        if let Some(mark) =
            self.marks.iter().find(|&&m| u64::from(m) != self.code as u64 && !starts.contains(&m.into()))
        {
            return Err(format!("{mark:x}: an instruction that the decoder does not see"));
        }
        Ok(())
    }

    /// A memory operand: of the frame, of what the function is given, or a constant.
    fn memory(&self, inst: &Instruction, depth: i64, written: bool) -> Result<(), String> {
        let fail = |why: &str| Err(format!("{:x}: {inst}: {why}", inst.ip()));
        let (size, disp) = (inst.memory_size().size() as i64, inst.memory_displacement64() as i64);
        let aligned = needs_alignment(inst);
        if inst.memory_index() != Register::None {
            return fail("an index");
        }
        match inst.memory_base() {
            Register::RIP => {
                let (start, end) = (self.code as i64, self.bytes.len() as i64);
                if written || disp < start || disp + size > end || aligned && disp % 16 != 0 {
                    return fail("not a constant that it may use so");
                }
            }
            Register::RSP => {
                let place = depth + disp;
                // The probes of a large frame touch what will be the frame; they write nothing new.
                let probe = inst.mnemonic() == Mnemonic::Or && matches!(inst.try_immediate(1), Ok(0)) && disp < 0;
                let inside = disp >= 0 && place + size <= 0;
                let argument = !written && place >= 8 && place + size <= 8 + self.incoming;
                if aligned || !(probe || inside || argument) {
                    return fail("outside the frame");
                }
            }
            _ if aligned || disp < 0 || (disp + size) as u64 > self.given => return fail("outside what was given"),
            _ => {}
        }
        Ok(())
    }
}

fn scan(compiler: &Compiler, target: &Target) -> Result<(), String> {
    let func = &compiler.builder.func;
    let native = matches!(target.convention, Convention::Native(_));
    Scan {
        bytes: compiler.buffer.bytes(),
        code: compiler.buffer.code_len(),
        marks: compiler.buffer.marks(),
        level: target.isa.level,
        // One word for each, and the context has one that code writes.
        given: if native { 0 } else { 8 * func.params.len().max(func.results.len()).max(1) as u64 },
        incoming: 8 * (func.params.len() as i64 + 4),
    }
    .run()
}

fn chaos(seed: u64) -> Chaos {
    let registers = [[u32::MAX; 3], [0b1_0010_1111, 0b11_1111, 0]][seed as usize / 2 % 2];
    Chaos { registers, seed: seed % 2 * (seed + 1) }
}

#[test]
fn every_function_keeps_to_its_level_its_frame_and_its_constants() {
    let mut compiler = Compiler::new(&[]);
    for seed in 0..400 {
        for level in Level::ALL {
            for convention in [Convention::Buffer, Convention::Native(&SYSV), Convention::Native(&WIN64)] {
                let mut random = Random(seed * 2 + 1);
                let size = 1 + random.below(60);
                if matches!(convention, Convention::Buffer) {
                    soup(&mut compiler.builder, &mut random, size, seed % 3 != 0, seed % 2 == 0);
                } else {
                    let params: Vec<Type> = (0..random.below(16)).map(|_| Type::ALL[random.below(5)]).collect();
                    soup_of(
                        &mut compiler.builder,
                        &mut random,
                        size,
                        BuildOptions::default(),
                        &params,
                        size.is_multiple_of(2),
                    );
                    compiler.builder.func.results.truncate(1);
                }
                let target = Target { isa: X64::new(level), convention, chaos: chaos(seed), mark: true };
                compiler.generate(&target).unwrap();
                assert_eq!(scan(&compiler, &target), Ok(()), "seed {seed} {level:?} {convention:?}");
            }
        }
    }
}

/// The scan itself: code that breaks each rule.
#[test]
fn the_scan_can_fail() {
    let bad: [(&str, Level, &[u8]); 8] = [
        ("addsd then vaddsd", Level::V3, &[0xF2, 0x0F, 0x58, 0xC1, 0xC5, 0xFB, 0x58, 0xC1, 0xC3]),
        ("vaddsd at v2", Level::V2, &[0xC5, 0xFB, 0x58, 0xC1, 0xC3]),
        ("roundsd at v1", Level::V1, &[0x66, 0x0F, 0x3A, 0x0B, 0xC0, 0x09, 0xC3]),
        ("mov [rsp-8], rax", Level::V1, &[0x48, 0x89, 0x44, 0x24, 0xF8, 0xC3]),
        ("mov [rsp], rax: the return address", Level::V1, &[0x48, 0x89, 0x04, 0x24, 0xC3]),
        ("mov rax, [rdi+64]", Level::V1, &[0x48, 0x8B, 0x47, 0x40, 0xC3]),
        ("andps xmm0, [rdi]", Level::V1, &[0x0F, 0x54, 0x07, 0xC3]),
        ("mov rax, [rip]: its own code", Level::V1, &[0x48, 0x8B, 0x05, 0, 0, 0, 0, 0xC3]),
    ];
    for (what, level, bytes) in bad {
        let whole = Scan { bytes, code: bytes.len(), marks: &[], level, given: 16, incoming: 0 };
        assert!(whole.run().is_err(), "{what}");
    }
    let good = Scan { bytes: &[0x90, 0xC3], code: 2, marks: &[0, 1, 2], level: Level::V1, given: 0, incoming: 0 };
    assert_eq!(good.run(), Ok(()));
    assert!(Scan { bytes: &[0x66, 0x90, 0xC3], code: 3, marks: &[0, 1], ..good }.run().is_err(), "an odd mark");
}
