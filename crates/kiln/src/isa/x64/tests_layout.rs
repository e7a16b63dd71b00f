//! Whole functions: branch sizes, alignment, marks, the listing; and what levels detection gives.

use proptest::prelude::*;

use super::*;
use crate::mach::listing;

/// A piece of a random program.
#[derive(Clone, Debug)]
enum Piece {
    /// So many bytes of instructions without branches.
    Filler(u8),
    /// A branch to the label with this number, modulo the number of labels.
    Branch(u8, u32),
    Bind,
    Align(u8),
    Constant(u64),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        4 => (0..60u8).prop_map(Piece::Filler),
        3 => (0..17u8, any::<u32>()).prop_map(|(kind, label)| Piece::Branch(kind, label)),
        3 => Just(Piece::Bind),
        1 => (0..7u8).prop_map(Piece::Align),
        1 => (0..4u64).prop_map(Piece::Constant),
    ];
    proptest::collection::vec(piece, 0..120)
}

fn program(pieces: &[Piece], pool: &mut Pool) -> Vec<MInst> {
    let labels = pieces.iter().filter(|piece| matches!(piece, Piece::Bind)).count() as u32;
    let mut bound = 0;
    let mut list = Vec::new();
    for piece in pieces {
        match *piece {
            Piece::Filler(count) => list.extend((0..count).map(|_| MInst::new(insts::NOP))),
            Piece::Branch(_, _) if labels == 0 => {}
            Piece::Branch(kind, label) => {
                let inst = if kind == 16 { insts::JMP } else { Inst(insts::JO.0 + 2 * u16::from(kind)) };
                list.push(MInst { imm: (label % labels) as i32, ..MInst::new(inst) });
            }
            Piece::Bind => {
                list.push(MInst { imm: bound, ..MInst::new(Inst::BIND) });
                bound += 1;
            }
            Piece::Align(power) => list.push(MInst { imm: 1 << power, ..MInst::new(Inst::ALIGN) }),
            Piece::Constant(bits) => {
                let disp = pool.add(&bits.to_le_bytes());
                list.push(MInst { regs: [XMM1, Reg::NONE, Reg::NONE], mode: 5, disp, ..MInst::new(insts::MOVSD_LOAD) });
            }
        }
    }
    list
}

/// Every branch and constant address of the finished code reaches what the program says, and every branch that
/// could be short is.
fn check_layout(list: &[MInst], out: &CodeBuffer, pool: &Pool, force: bool) -> Result<(), TestCaseError> {
    let start = |place: usize| out.marks().get(place).map_or(out.code_len(), |&at| at as usize);
    let place_of = |label: i32| list.iter().position(|inst| inst.inst == Inst::BIND && inst.imm == label);
    for (place, inst) in list.iter().enumerate() {
        let (at, end) = (start(place), start(place + 1));
        if inst.inst == Inst::ALIGN && place + 1 < list.len() {
            prop_assert_eq!(end % inst.imm as usize, 0);
            let mut decoder = Decoder::with_ip(64, &out.bytes()[at..end], 0, DecoderOptions::NONE);
            prop_assert!(decoder.iter().all(|decoded| decoded.mnemonic() == iced_x86::Mnemonic::Nop));
        }
        if inst.inst.0 as usize >= ROWS.len() {
            continue;
        }
        let decoded = Decoder::with_ip(64, &out.bytes()[at..end], at as u64, DecoderOptions::NONE).decode();
        prop_assert_eq!(decoded.len(), end - at);
        if insts::row(inst.inst).code.flags & Code::RELATIVE != 0 {
            let target = start(place_of(inst.imm).expect("a bound label")) as u64;
            prop_assert_eq!(decoded.near_branch_target(), target);
            let reach = target as i64 - (at as i64 + 2);
            // A forward branch that shrinks comes closer by as much itself.
            let own = if target > at as u64 { decoded.len() as i64 - 2 } else { 0 };
            let short = i64::from((reach - own) as i8) == reach - own;
            prop_assert_eq!(decoded.len() == 2, short && !force, "{} at {:x} to {:x}", ours(inst), at, target);
        } else if inst.inst == insts::MOVSD_LOAD {
            let target = decoded.memory_displacement64() as usize;
            prop_assert_eq!(&out.bytes()[target..target + 8], &pool.bytes()[inst.disp as usize..][..8]);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layouts_are_right_and_tight(pieces in pieces(), force: bool) {
        // Padding can grow when a branch before it shrinks, so with alignment tightness is not exactly defined.
        let aligned = pieces.iter().any(|piece| matches!(piece, Piece::Align(power) if *power > 0));
        let mut pool = Pool::new();
        let list = program(&pieces, &mut pool);
        let mut out = buffer();
        out.force_long = force;
        // A reversed list, as the compiler keeps it, read backwards; twice, to see that nothing is left over.
        let reversed: Vec<MInst> = list.iter().rev().copied().collect();
        for _ in 0..2 {
            out.clear();
            encode_all(reversed.iter().rev(), true, &mut out);
            out.finish(&pool).expect("lays out");
        }
        if !aligned {
            check_layout(&list, &out, &pool, force)?;
        } else {
            check_reach(&list, &out)?;
        }
    }
}

/// The part of [`check_layout`] that alignment does not blur.
fn check_reach(list: &[MInst], out: &CodeBuffer) -> Result<(), TestCaseError> {
    let start = |place: usize| out.marks().get(place).map_or(out.code_len(), |&at| at as usize);
    for (place, inst) in list.iter().enumerate() {
        let (at, end) = (start(place), start(place + 1));
        if inst.inst == Inst::ALIGN {
            prop_assert_eq!(end % inst.imm as usize, 0);
            let mut decoder = Decoder::with_ip(64, &out.bytes()[at..end], 0, DecoderOptions::NONE);
            prop_assert!(decoder.iter().all(|decoded| decoded.mnemonic() == iced_x86::Mnemonic::Nop));
        } else if (inst.inst.0 as usize) < ROWS.len() && insts::row(inst.inst).code.flags & Code::RELATIVE != 0 {
            let decoded = Decoder::with_ip(64, &out.bytes()[at..end], at as u64, DecoderOptions::NONE).decode();
            let to = list.iter().position(|other| other.inst == Inst::BIND && other.imm == inst.imm);
            prop_assert_eq!(decoded.near_branch_target(), start(to.expect("a bound label")) as u64);
        }
    }
    Ok(())
}

/// Branches that all depend on each other could keep the rounds busy forever; their number is bounded, at the price
/// that such code keeps some long branches.
#[test]
fn many_branches_lay_out_in_bounded_time() {
    let mut out = CodeBuffer::new(&PADDING, 64 << 20);
    let count = 200_000;
    let list: Vec<MInst> = (0..count)
        .flat_map(|n| {
            let branch = MInst { imm: (n + 30).min(count - 1), ..MInst::new(insts::JE) };
            [branch, MInst { imm: n, ..MInst::new(Inst::BIND) }]
        })
        .collect();
    let start = std::time::Instant::now();
    encode_all(list.iter(), false, &mut out);
    out.finish(&Pool::new()).expect("lays out");
    println!("{count} branches: {} bytes in {:?}", out.code_len(), start.elapsed());
    assert!(out.code_len() < 6 * count as usize);
}

#[test]
fn listing_shows_addresses_bytes_and_text() {
    let mut pool = Pool::new();
    let disp = pool.add(&1.5f64.to_bits().to_le_bytes());
    let list = [
        MInst { regs: [XMM0, XMM1, Reg::NONE], mode: 5, disp, ..MInst::new(insts::VADDSD) },
        MInst { imm: 0, ..MInst::new(Inst::BIND) },
        MInst { regs: [RAX, Reg::NONE, Reg::NONE], imm: 0x1234_5678, disp: -1, ..MInst::new(insts::MOV_R64_IMM64) },
        MInst {
            regs: [RDI, Reg::NONE, Reg::NONE],
            index: RCX,
            mode: 4,
            disp: 16,
            imm: 5,
            ..MInst::new(insts::ADD_RM64_IMM8)
        },
        MInst { imm: 0, ..MInst::new(insts::JNE) },
        MInst::new(insts::RET),
    ];
    let mut out = buffer();
    encode_all(list.iter(), true, &mut out);
    out.finish(&pool).expect("lays out");
    let mut text = String::new();
    listing::write(list.iter(), &out, push_text, &mut text);
    let expected = "     0  C5 F3 58 05 18 00 00 00  vaddsd xmm0, xmm1, qword ptr [pool]
L0:
     8  48 B8 78 56 34 12 FF FF  mov rax, -0xedcba988
    10  FF FF
    12  48 83 44 CF 10 05        add qword ptr [rdi+rcx*8+0x10], 5
    18  75 EE                    jne L0
    1a  C3                       ret
    1b  CC CC CC CC CC           ; constants
    20  00 00 00 00 00 00 F8 3F
";
    assert_eq!(text, expected);
}

#[test]
fn immediates_keep_their_bits() {
    let mut out = buffer();
    for value in [0, 1, -1, 0x7f, 0x80, -0x80, -0x81, 0x7fff_ffff, 0x8000_0000, i64::MIN, i64::MAX] {
        let inst = MInst {
            regs: [RBX, Reg::NONE, Reg::NONE],
            imm: value as i32,
            disp: (value >> 32) as i32,
            ..MInst::new(insts::MOV_R64_IMM64)
        };
        assert_eq!(decode(&bytes_of(&inst, &mut out)).immediate64(), value as u64);
    }
}

/// What a processor looks like to CPUID, as far as the feature table asks.
const HASWELL: CpuidWords = CpuidWords {
    leaf1_ecx: 0x7ffa_fbff,
    leaf1_edx: 0xbfeb_fbff,
    leaf7_ebx: 0x0000_27ab,
    extended1_ecx: 0x0000_0021,
    xcr0: 7,
};
const SKYLAKE_SERVER: CpuidWords = CpuidWords { leaf7_ebx: 0xd39f_ffeb, xcr0: 0xe7, ..HASWELL };

#[test]
fn levels_follow_from_cpuid_words() {
    const OSXSAVE: u32 = 1 << 27;
    let core2 = CpuidWords { leaf1_ecx: 0x0000_e3bd, leaf1_edx: 0xbfeb_fbff, ..CpuidWords::default() };
    let cases = [
        ("nothing", CpuidWords::default(), Level::V1),
        ("Core 2", core2, Level::V1),
        ("Nehalem", CpuidWords { leaf1_ecx: 0x0098_e3bd, ..core2 }, Level::V2),
        ("Haswell", HASWELL, Level::V3),
        ("without OSXSAVE", CpuidWords { leaf1_ecx: HASWELL.leaf1_ecx & !OSXSAVE, ..HASWELL }, Level::V2),
        ("XCR0 without ymm", CpuidWords { xcr0: 3, ..HASWELL }, Level::V2),
        ("XCR0 without xmm", CpuidWords { xcr0: 5, ..HASWELL }, Level::V2),
        ("without FMA", CpuidWords { leaf1_ecx: HASWELL.leaf1_ecx & !(1 << 12), ..HASWELL }, Level::V2),
        ("without BMI2", CpuidWords { leaf7_ebx: HASWELL.leaf7_ebx & !(1 << 8), ..HASWELL }, Level::V2),
        ("without LZCNT", CpuidWords { extended1_ecx: 1, ..HASWELL }, Level::V2),
        ("without POPCNT", CpuidWords { leaf1_ecx: HASWELL.leaf1_ecx & !(1 << 23), ..HASWELL }, Level::V1),
        ("Skylake server", SKYLAKE_SERVER, Level::V4),
        ("XCR0 without upper zmm", CpuidWords { xcr0: 0x67, ..SKYLAKE_SERVER }, Level::V3),
        ("XCR0 without masks", CpuidWords { xcr0: 0xc7, ..SKYLAKE_SERVER }, Level::V3),
        ("without VL", CpuidWords { leaf7_ebx: SKYLAKE_SERVER.leaf7_ebx & !(1 << 31), ..SKYLAKE_SERVER }, Level::V3),
        ("AVX-512 switched off", CpuidWords { xcr0: 7, ..SKYLAKE_SERVER }, Level::V3),
    ];
    for (name, words, level) in cases {
        assert_eq!(Level::detect(&words), level, "{name}");
    }
}

#[test]
fn levels_contain_each_other() {
    for pair in Level::ALL.windows(2) {
        assert!(pair[1].features().contains(pair[0].features()) && pair[0] < pair[1]);
        assert!(!pair[0].features().contains(pair[1].features()));
    }
    for level in Level::ALL {
        assert_eq!(Level::from_name(level.name()), Some(level));
    }
    assert_eq!(Level::from_name("v5"), None);
    let every = ROWS.iter().fold(Features::BASE, |set, row| set.and(row.info.features));
    assert!(Level::V4.features().contains(every), "a row that no level allows");
}

/// Wrong operands are named, and never crash the encoder.
#[test]
fn unfit_operands_are_found() {
    let add = MInst { regs: [RAX, RBX, Reg::NONE], ..MInst::new(insts::ADD_R32_RM32) };
    let vadd = MInst { regs: [XMM1, XMM2, XMM3], ..MInst::new(insts::VADDPD_512) };
    assert_eq!(encode::check(&add), Ok(()));
    assert_eq!(encode::check(&vadd), Ok(()));
    let unfit = [
        MInst { regs: [XMM0, RBX, Reg::NONE], ..add },
        MInst { regs: [RAX, Reg::NONE, Reg::NONE], ..add },
        MInst { mask: K1, ..add },
        MInst { mode: 1, index: RSP, ..add },
        MInst { index: RCX, ..add },
        MInst { mode: 1 | MInst::BROADCAST, ..add },
        MInst { mode: 5, ..add },
        MInst { regs: [XMM1, XMM2, XMM16], ..MInst::new(insts::VADDPD_256) },
        MInst { mask: K0, ..vadd },
        MInst { mode: MInst::ZEROING, ..vadd },
        MInst { regs: [RAX, Reg::NONE, Reg::NONE], imm: 256, ..MInst::new(insts::ADD_RM32_IMM8) },
    ];
    for (number, inst) in unfit.iter().enumerate() {
        assert!(encode::check(inst).is_err(), "case {number}");
    }
}

/// Speed, printed; run with optimisation for a number that means something.
#[test]
fn encoding_speed() {
    let list: Vec<MInst> = (0..1000u32)
        .map(|n| {
            let (a, b) = ((n % 16) as u8, (n / 16 % 16) as u8);
            match n % 5 {
                0 => MInst { regs: [Reg::vec(a), Reg::vec(b), XMM3], ..MInst::new(insts::VADDSD) },
                1 => MInst {
                    regs: [Reg::vec(a), RDI, Reg::NONE],
                    mode: 1,
                    disp: n as i32,
                    ..MInst::new(insts::MOVSD_LOAD)
                },
                2 => MInst { regs: [Reg::gpr(a), Reg::gpr(b), Reg::NONE], ..MInst::new(insts::ADD_R64_RM64) },
                3 => MInst {
                    regs: [Reg::vec(a), Reg::vec(b), Reg::NONE],
                    mode: 5,
                    disp: 0,
                    ..MInst::new(insts::VMULPD_256)
                },
                _ => MInst { regs: [Reg::vec(a), Reg::vec(b), XMM31], ..MInst::new(insts::VFMADD213PD_512) },
            }
        })
        .collect();
    let mut pool = Pool::new();
    pool.splat(1, 8, 32);
    let mut out = buffer();
    let rounds = if cfg!(debug_assertions) { 3 } else { 20_000 };
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        out.clear();
        encode_all(list.iter(), false, &mut out);
        out.finish(&pool).expect("lays out");
    }
    println!("{:.2} ns per instruction", start.elapsed().as_nanos() as f64 / f64::from(rounds) / 1000.0);
}
