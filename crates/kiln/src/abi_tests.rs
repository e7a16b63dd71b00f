//! The two ends of compiled functions, from outside: what a caller that fills every register sees.
//!
//! The one idea: a trampoline, made with our own encoder, loads every register from memory, calls, and stores every
//! register to memory. So arguments can be put where a convention wants them, with garbage in all the bits that it
//! leaves open, and afterwards it can be seen which registers still hold what they held. Where arguments go is written
//! down here once more ([`place`]), and held against the Rust compiler's idea of it by calls of typed pointers.

use crate::differential::{Random, levels, shows_a_nan, soup, soup_of};
use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::{Func, Ref};
use crate::isa::x64::abi::{Convention, SYSV, WIN64};
use crate::isa::x64::encode::{PADDING, encode};
use crate::isa::x64::features::Level;
use crate::isa::x64::insts::*;
use crate::isa::x64::lower::X64;
use crate::isa::x64::regs::{R8, R9, RAX, RCX, RDI, RDX, RSI, RSP};
use crate::mach::buffer::{CodeBuffer, Pool};
use crate::mach::walk::Chaos;
use crate::mach::{Inst, MInst, Reg};
use crate::mem::{Arena, Mode, Sealed};
use crate::ops::Op;
use crate::pipeline::{Compiler, Limit, Target};
use crate::run::cpu;
use crate::run::host::{Context, HostFunction};
use crate::run::invoke::call_buffer;
use crate::types::{Type, Value};
use std::os::unix::thread::JoinHandleExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod kernels;

/// Words of stack arguments that the trampoline passes, shadow space included.
const STACK_WORDS: usize = 32;
/// The trampoline's frame above the stack arguments: a spare word, the callee, the machine.
const SPARE: i32 = 8 * STACK_WORDS as i32;
const CALLEE: i32 = SPARE + 8;
const MACHINE: i32 = SPARE + 16;
/// MXCSR as the system leaves it, and its bits that say what has happened.
const PLAIN_MXCSR: u32 = 0x1f80;
const MXCSR_STATUS: u32 = 0x3f;
/// The direction flag.
const DIRECTION: u64 = 1 << 10;
/// `pushfq`, `pop rax`, `cld`: no code of ours has them, so they are no rows of the table.
const TAKE_FLAGS: [u8; 3] = [0x9c, 0x58, 0xfc];

/// All registers, before a call and after it.
#[repr(C, align(64))]
#[derive(Clone, PartialEq, Debug)]
struct Machine {
    vectors: [[u64; 8]; 32],
    general: [u64; 16],
    masks: [u64; 8],
    stack: [u64; STACK_WORDS],
    callee: u64,
    /// As they are when the callee returns; it is entered with the direction flag clear.
    flags: u64,
    mxcsr: u32,
    plain: u32,
}

const GENERAL: i32 = std::mem::offset_of!(Machine, general) as i32;
const MASKS: i32 = std::mem::offset_of!(Machine, masks) as i32;
const STACK: i32 = std::mem::offset_of!(Machine, stack) as i32;

impl Machine {
    fn random(random: &mut Random) -> Machine {
        let mut word = || random.next() << 13 ^ random.next();
        Machine {
            vectors: [(); 32].map(|()| [(); 8].map(|()| word())),
            general: [(); 16].map(|()| word()),
            masks: [(); 8].map(|()| word()),
            stack: [(); STACK_WORDS].map(|()| word()),
            callee: 0,
            flags: 0,
            mxcsr: PLAIN_MXCSR,
            plain: PLAIN_MXCSR,
        }
    }
}

fn at(inst: Inst, base: Reg, disp: i32, other: Option<Reg>, memory_first: bool) -> MInst {
    let reg = other.unwrap_or(Reg::NONE);
    let regs = if memory_first { [base, reg, Reg::NONE] } else { [reg, base, Reg::NONE] };
    MInst { mode: 1, disp, regs, ..MInst::new(inst) }
}

/// `fn(machine)`: loads all of it, calls, stores all of it.
fn trampoline(arena: &Arena) -> Sealed {
    let mut code = CodeBuffer::new(&PADDING, 1 << 16);
    let one = |inst, reg| MInst { regs: [reg, Reg::NONE, Reg::NONE], ..MInst::new(inst) };
    let load = |to, base, disp| at(MOV_R64_RM64, base, disp, Some(to), false);
    let store = |base, disp, from| at(MOV_RM64_R64, base, disp, Some(from), true);
    let wide = cpu::level() >= Level::V4;
    let (vector_load, vector_store) = if wide { (VMOVUPS_512, VMOVUPS_STORE_512) } else { (MOVUPS, MOVUPS_STORE) };
    let vectors = if wide { 32 } else { 16 };
    let general = || (0..16).map(Reg::gpr).filter(|&r| r != RSP && r != RDI);
    let saved = [3, 5, 12, 13, 14, 15].map(Reg::gpr);
    let mut list = Vec::new();
    list.extend(saved.map(|reg| one(PUSH_R64, reg)));
    // A return address and six words lie above: with these, the calls are aligned.
    let frame = MACHINE + 8;
    list.push(MInst { imm: frame, ..one(SUB_RM64_IMM32, RSP) });
    list.push(store(RSP, MACHINE, RDI));
    list.push(load(RAX, RDI, std::mem::offset_of!(Machine, callee) as i32));
    list.push(store(RSP, CALLEE, RAX));
    for i in 0..STACK_WORDS as i32 {
        list.extend([load(RAX, RDI, STACK + 8 * i), store(RSP, 8 * i, RAX)]);
    }
    list.push(store(RDI, GENERAL + 8 * 4, RSP));
    list.push(at(LDMXCSR, RDI, std::mem::offset_of!(Machine, mxcsr) as i32, None, true));
    list.extend((0..vectors).map(|n| at(vector_load, RDI, 64 * i32::from(n), Some(Reg::vec(n)), false)));
    if wide {
        list.extend((0..8).map(|n| at(KMOVQ, RDI, MASKS + 8 * i32::from(n), Some(Reg::mask(n)), false)));
    }
    list.extend(general().map(|reg| load(reg, RDI, GENERAL + 8 * i32::from(reg.number()))));
    list.push(load(RDI, RDI, GENERAL + 8 * i32::from(RDI.number())));
    list.push(at(CALL_RM64, RSP, CALLEE, None, true));
    list.push(store(RSP, SPARE, RDI));
    list.push(load(RDI, RSP, MACHINE));
    list.extend(general().map(|reg| store(RDI, GENERAL + 8 * i32::from(reg.number()), reg)));
    list.extend([load(RAX, RSP, SPARE), store(RDI, GENERAL + 8 * i32::from(RDI.number()), RAX)]);
    // What the stack pointer is off by shows as a difference from what was stored before the call.
    list.push(load(RAX, RDI, GENERAL + 8 * 4));
    list.push(MInst { regs: [RAX, RSP, Reg::NONE], ..MInst::new(SUB_R64_RM64) });
    list.push(store(RDI, GENERAL + 8 * 4, RAX));
    for inst in list.drain(..) {
        encode(&inst, &mut code);
    }
    code.extend(&TAKE_FLAGS);
    list.push(store(RDI, std::mem::offset_of!(Machine, flags) as i32, RAX));
    list.extend((0..vectors).map(|n| at(vector_store, RDI, 64 * i32::from(n), Some(Reg::vec(n)), true)));
    if wide {
        list.extend((0..8).map(|n| at(KMOVQ_STORE, RDI, MASKS + 8 * i32::from(n), Some(Reg::mask(n)), true)));
        list.push(MInst::new(VZEROUPPER));
    }
    list.push(at(STMXCSR, RDI, std::mem::offset_of!(Machine, mxcsr) as i32, None, true));
    list.push(at(LDMXCSR, RDI, std::mem::offset_of!(Machine, plain) as i32, None, true));
    list.push(MInst { imm: frame, ..one(ADD_RM64_IMM32, RSP) });
    list.extend(saved.into_iter().rev().map(|reg| one(POP_R64, reg)));
    list.push(MInst::new(RET));
    for inst in &list {
        encode(inst, &mut code);
    }
    code.finish(&Pool::new()).expect("a small function");
    arena.seal(code.bytes()).expect("executable memory")
}

/// A trampoline and what it needs.
struct Rig {
    arena: Arena,
    trampoline: Sealed,
}

impl Rig {
    fn new() -> Rig {
        let arena = Arena::new(Mode::Strict);
        let trampoline = trampoline(&arena);
        Rig { arena, trampoline }
    }

    /// Calls `code` with all registers from `machine`, and leaves there what they are afterwards.
    ///
    /// # Safety
    /// The code must be a function whose arguments `machine` holds.
    unsafe fn call(&self, code: &Sealed, machine: &mut Machine) {
        machine.callee = code.as_ptr() as u64;
        type Entry = unsafe extern "sysv64" fn(*mut Machine);
        // SAFETY: function and data pointers have one representation here, and the trampoline has this type.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(self.trampoline.as_ptr()) };
        // SAFETY: `machine` is a whole one; the caller vouches for the code. If the trampoline were wrong,
        // `a_function_that_preserves_nothing_is_noticed` would see it.
        unsafe { entry(machine) };
    }
}

/// A calling convention as these tests know it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sysv,
    Win64,
}

impl Kind {
    const BOTH: [Kind; 2] = [Kind::Sysv, Kind::Win64];

    fn convention(self) -> Convention {
        Convention::Native(if self == Kind::Sysv { &SYSV } else { &WIN64 })
    }
}

/// Puts arguments where the convention wants them, leaving the other bits as they are.
fn place(kind: Kind, params: &[Type], args: &[u64], machine: &mut Machine) {
    let ints: &[Reg] = if kind == Kind::Sysv { &[RDI, RSI, RDX, RCX, R8, R9] } else { &[RCX, RDX, R8, R9] };
    let floats = if kind == Kind::Sysv { 8 } else { 4 };
    let (mut int, mut float, mut stack) = (0, 0, if kind == Kind::Sysv { 0 } else { 4 });
    for (i, (&ty, &bits)) in params.iter().zip(args).enumerate() {
        if kind == Kind::Win64 {
            (int, float) = (i, i);
        }
        let word = if ty.is_float() && float < floats {
            float += 1;
            &mut machine.vectors[float - 1][0]
        } else if !ty.is_float() && int < ints.len() {
            int += 1;
            &mut machine.general[ints[int - 1].number() as usize]
        } else {
            stack += 1;
            &mut machine.stack[stack - 1]
        };
        let kept = match ty {
            Type::Bool => !0xff,
            Type::I32 | Type::F32 => !0xffff_ffff,
            Type::I64 | Type::F64 => 0,
        };
        *word = *word & kept | bits;
    }
}

/// Which registers are not as they were although they should be.
fn broken(kind: Kind, before: &Machine, after: &Machine) -> Vec<String> {
    let mut list = Vec::new();
    let mut general = vec![3, 5, 12, 13, 14, 15];
    if kind == Kind::Win64 {
        general.extend([6, 7]);
        for n in 6..16 {
            if before.vectors[n][..2] != after.vectors[n][..2] {
                list.push(format!("xmm{n}"));
            }
        }
    }
    list.extend(general.into_iter().filter(|&n| before.general[n] != after.general[n]).map(|n| format!("gpr {n}")));
    if after.general[4] != 0 {
        list.push(format!("rsp off by {}", after.general[4] as i64));
    }
    if (before.mxcsr ^ after.mxcsr) & !MXCSR_STATUS != 0 {
        list.push(format!("mxcsr {:x}", after.mxcsr));
    }
    if after.flags & DIRECTION != 0 {
        list.push("the direction flag".to_owned());
    }
    list
}

/// The bits of the result of a native function.
fn returned(ty: Type, machine: &Machine) -> Value {
    let word = if ty.is_float() { machine.vectors[0][0] } else { machine.general[0] };
    // A caller looks at the lowest byte of a bool and expects 0 or 1 there.
    assert!(ty != Type::Bool || word & 0xff < 2, "a bool of {word:x}");
    Value::from_bits(ty, word)
}

fn chaos(seed: u64) -> Chaos {
    match seed % 4 {
        0 => Chaos::default(),
        1 => Chaos { registers: [u32::MAX; 3], seed: seed * 2 + 1 },
        2 => Chaos { registers: [0xf00f, 0xfff0, 0], seed: seed * 2 },
        _ => Chaos { registers: [0b1_0010_1111, 0x1ff, 0], seed: 0 },
    }
}

/// A random function of up to twelve inputs, every fourth time of up to 24, with one result.
fn function(builder: &mut Builder, random: &mut Random, size: usize) {
    let most = if random.below(4) == 0 { 24 } else { 12 };
    let count = random.below(most + 1);
    let params: Vec<Type> = (0..count).map(|_| Type::ALL[random.below(5)]).collect();
    let size = 1 + random.below(size);
    soup_of(builder, random, size, BuildOptions::default(), &params, size.is_multiple_of(2));
    builder.func.results.truncate(1);
}

fn native(seeds: std::ops::Range<u64>, size: usize) {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    let mut scratch = Scratch::default();
    for seed in seeds {
        for level in levels() {
            for kind in Kind::BOTH {
                let mut random = Random(seed * 2 + 1);
                function(&mut compiler.builder, &mut random, size);
                let target =
                    Target { isa: X64::new(level), convention: kind.convention(), chaos: chaos(seed), mark: false };
                compiler.generate(&target).expect("within the limits");
                let code = rig.arena.seal(compiler.buffer.bytes()).expect("executable memory");
                let func = &compiler.builder.func;
                for _ in 0..3 {
                    let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
                    let mut machine = Machine::random(&mut random);
                    place(kind, &func.params, &args, &mut machine);
                    let before = machine.clone();
                    // SAFETY: the code was made of this function under this convention.
                    unsafe { rig.call(&code, &mut machine) };
                    let note = format!("seed {seed} {level:?} {kind:?} {:?}", func.params);
                    assert_eq!(broken(kind, &before, &machine), Vec::<String>::new(), "{note}");
                    evaluate(func, &args, &mut scratch).expect("nothing fails");
                    if !shows_a_nan(func, &scratch) {
                        let (r, want) = (func.results[0], scratch.value(func, func.results[0]));
                        let got = returned(func.ty(r), &machine);
                        assert!(want.same(got), "{note}: {got:?}, not {want:?}; {args:x?}");
                    }
                }
            }
        }
    }
}

#[test]
fn native_functions_give_their_results_and_keep_what_they_must() {
    native(0..150, 50);
}

/// Nothing but the entry: results are inputs, so most inputs are not wanted.
#[test]
fn native_functions_of_little_code() {
    native(1000..1150, 3);
}

#[test]
fn buffer_functions_keep_what_they_must() {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    for seed in 2000..2150 {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let size = 1 + random.below(60);
            soup(&mut compiler.builder, &mut random, size, true, seed % 2 == 0);
            let isa = X64::new(level);
            let target = Target { isa, convention: Convention::Buffer, chaos: chaos(seed), mark: false };
            compiler.generate(&target).unwrap();
            let code = rig.arena.seal(compiler.buffer.bytes()).unwrap();
            let func = &compiler.builder.func;
            let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
            let (mut out, mut plain) = (vec![0u64; func.results.len()], vec![0u64; func.results.len()]);
            let context = Context::default();
            let mut machine = Machine::random(&mut random);
            machine.general[7] = args.as_ptr() as u64;
            machine.general[6] = out.as_mut_ptr() as u64;
            machine.general[2] = (&raw const context) as u64;
            // Whoever rounds upwards and flushes subnormals finds it so afterwards.
            machine.mxcsr = if seed % 3 == 0 { 0xdfc0 } else { PLAIN_MXCSR };
            let before = machine.clone();
            // SAFETY: the code was made of this function; the slices are as long as it wants.
            unsafe { rig.call(&code, &mut machine) };
            assert_eq!(broken(Kind::Sysv, &before, &machine), Vec::<String>::new(), "seed {seed} {level:?}");
            // SAFETY: as above.
            let status = unsafe { call_buffer(code.as_ptr(), &args, &mut plain, &context) };
            if before.mxcsr == PLAIN_MXCSR {
                assert_eq!(
                    (u64::from(status), &plain),
                    (machine.general[0] & 0xffff_ffff, &out),
                    "seed {seed} {level:?}"
                );
            }
        }
    }
}

/// The trampoline itself: a function that spoils everything it may not, and one that keeps everything.
#[test]
fn a_function_that_preserves_nothing_is_noticed() {
    let rig = Rig::new();
    let mut code = CodeBuffer::new(&PADDING, 1 << 12);
    for n in (0..16).filter(|&n| n != 4) {
        encode(&MInst { regs: [Reg::gpr(n), Reg::NONE, Reg::NONE], imm: 5, ..MInst::new(MOV_R32_IMM32) }, &mut code);
        encode(&MInst { regs: [Reg::vec(n), Reg::vec(n), Reg::NONE], ..MInst::new(XORPS) }, &mut code);
    }
    // std
    code.extend(&[0xfd]);
    encode(&MInst::new(RET), &mut code);
    code.finish(&Pool::new()).unwrap();
    let spoiler = rig.arena.seal(code.bytes()).unwrap();
    let keeper = rig.arena.seal(&[0xc3]).unwrap();
    let mut random = Random(7);
    for kind in Kind::BOTH {
        let before = Machine::random(&mut random);
        let mut machine = before.clone();
        // SAFETY: the function only writes registers that the trampoline does not rely on.
        unsafe { rig.call(&spoiler, &mut machine) };
        assert_eq!(broken(kind, &before, &machine).len(), if kind == Kind::Sysv { 7 } else { 19 });
        let mut machine = before.clone();
        // SAFETY: the function does nothing.
        unsafe { rig.call(&keeper, &mut machine) };
        assert_eq!(broken(kind, &before, &machine), Vec::<String>::new());
        let count = if cpu::level() >= Level::V4 { 32 } else { 16 };
        let words = if cpu::level() >= Level::V4 { 8 } else { 2 };
        for n in 0..count {
            assert_eq!(before.vectors[n][..words], machine.vectors[n][..words]);
        }
    }
}

/// Weighs each input, so that every one matters: `a0 + 3 * a1 + 5 * a2 ...` in i64, floats by their truncation.
fn weigh(builder: &mut Builder, params: &[Type]) {
    builder.reset(BuildOptions::default());
    let inputs: Vec<Ref> = params.iter().map(|&ty| builder.param(ty)).collect();
    let mut sum = builder.small(Type::I64, 0);
    for (i, &input) in inputs.iter().enumerate() {
        let value = builder.raw_convert(input, Type::I64);
        let weight = builder.small(Type::I64, 2 * i as i32 + 1);
        let product = builder.binary(Op::Mul, value, weight);
        sum = builder.binary(Op::Add, sum, product);
    }
    builder.func.results.push(sum);
}

/// Calls through pointers that the Rust compiler makes the calls of.
macro_rules! typed {
    ($name:ident $abi:literal $kind:ident: $($ty:ident $arg:expr),+) => {
        #[test]
        fn $name() {
            let rig = Rig::new();
            let mut compiler = Compiler::new(&[]);
            let args = [$({ let v: $ty = $arg; Value::from(v) }),+];
            let params: Vec<Type> = args.iter().map(|v| v.ty()).collect();
            weigh(&mut compiler.builder, &params);
            for level in levels() {
                let (isa, convention) = (X64::new(level), Kind::$kind.convention());
                compiler.generate(&Target { isa, convention, chaos: Chaos::default(), mark: false }).unwrap();
                let code = rig.arena.seal(compiler.buffer.bytes()).unwrap();
                type Entry = extern $abi fn($($ty),+) -> i64;
                // SAFETY: the code was made under this convention with inputs of these types and an i64 result.
                let entry = unsafe { std::mem::transmute::<*const u8, Entry>(code.as_ptr()) };
                let mut scratch = Scratch::default();
                let func = &compiler.builder.func;
                evaluate(func, &args.map(Value::to_bits), &mut scratch).unwrap();
                assert_eq!(entry($($arg),+) as u64, scratch.bits(func.results[0]), "{level:?}");
            }
        }
    };
}
typed!(typed_sysv_mixed "sysv64" Sysv: f64 100.5, i32 -7, bool true, f32 3.25, i64 1 << 40, f64 -9e9, i32 12, bool true,
    i64 -5, f32 77.0, bool true, i64 123456789012, i32 -8, bool true);
typed!(typed_win64_mixed "win64" Win64: f64 100.5, i32 -7, bool true, f32 3.25, i64 1 << 40, f64 -9e9, i32 12, bool true,
    i64 -5, f32 77.0, bool true, i64 123456789012, i32 -8, bool true);
typed!(typed_sysv_floats "sysv64" Sysv: f64 1.5, f64 2.5, f32 3.5, f64 4.5, f64 5.5, f32 6.5, f64 7.5, f64 8.5, f64 9.5,
    f32 10.5, bool true, i32 -11);
typed!(typed_win64_ints "win64" Win64: i32 -1, bool true, i64 3, i32 -4, bool true, i32 -6, i64 7, f32 8.5, f64 9.5);

/// Bools that come on the stack, with garbage above their lowest byte, and wait there until registers are free.
#[test]
fn bools_on_the_stack_are_spilled_whole() {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    compiler.walk.recording = false;
    let mut scratch = Scratch::default();
    for kind in Kind::BOTH {
        let builder = &mut compiler.builder;
        builder.reset(BuildOptions { optimise: false, ..BuildOptions::default() });
        let inputs: Vec<Ref> = (0..20).map(|_| builder.param(Type::Bool)).collect();
        let mut sum = inputs[0];
        for &input in inputs.iter().chain(&inputs) {
            sum = builder.raw2(Op::Or, input, sum);
        }
        let sum = builder.raw_convert(sum, Type::I64);
        builder.func.results.push(sum);
        let target = Target { isa: X64::new(Level::V1), convention: kind.convention(), chaos: chaos(3), mark: false };
        compiler.generate(&target).unwrap();
        let code = rig.arena.seal(compiler.buffer.bytes()).unwrap();
        let func = &compiler.builder.func;
        for seed in 0..50 {
            let mut random = Random(seed);
            let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
            let mut machine = Machine::random(&mut random);
            place(kind, &func.params, &args, &mut machine);
            // SAFETY: the code was made of this function under this convention.
            unsafe { rig.call(&code, &mut machine) };
            evaluate(func, &args, &mut scratch).unwrap();
            assert_eq!(machine.general[0], scratch.bits(sum), "{kind:?}");
        }
    }
}

/// A function that keeps `count` values alive at once.
fn wide(builder: &mut Builder, ty: Type, count: i32) {
    builder.reset(BuildOptions { optimise: false, ..BuildOptions::default() });
    let x = builder.param(ty);
    let values: Vec<Ref> = (1..=count)
        .map(|i| {
            let c = builder.small(ty, i);
            builder.raw2(Op::Mul, x, c)
        })
        .collect();
    let mut sum = x;
    for &v in values.iter().chain(values.iter().rev()) {
        let twice = builder.raw2(Op::Add, sum, v);
        sum = builder.raw2(Op::Sub, twice, x);
    }
    builder.func.results.push(sum);
}

#[test]
fn large_frames_are_probed_and_limited() {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    let mut scratch = Scratch::default();
    for level in levels() {
        for (ty, count) in [(Type::I64, 700), (Type::F64, 700), (Type::F64, 2500), (Type::I32, 4000)] {
            wide(&mut compiler.builder, ty, count);
            for convention in [Convention::Native(&SYSV), Convention::Native(&WIN64), Convention::Buffer] {
                let target = Target { isa: X64::new(level), convention, chaos: Chaos::default(), mark: false };
                compiler.generate(&target).unwrap();
                assert!(compiler.walk.stack_words as i32 > count - 40, "the values were not spilled");
                let (kind, is_native) = match convention {
                    Convention::Native(abi) if std::ptr::eq(abi, &WIN64) => (Kind::Win64, true),
                    Convention::Native(_) => (Kind::Sysv, true),
                    Convention::Buffer => (Kind::Sysv, false),
                };
                let code = rig.arena.seal(compiler.buffer.bytes()).unwrap();
                let func = &compiler.builder.func;
                let mut random = Random(count as u64);
                let args = [random.value(ty)];
                let (mut out, mut machine) = ([0u64], Machine::random(&mut random));
                if is_native {
                    place(kind, &func.params, &args, &mut machine);
                } else {
                    machine.general[7] = args.as_ptr() as u64;
                    machine.general[6] = out.as_mut_ptr() as u64;
                }
                let before = machine.clone();
                // SAFETY: the code was made of this function under this convention.
                unsafe { rig.call(&code, &mut machine) };
                assert_eq!(broken(kind, &before, &machine), Vec::<String>::new());
                evaluate(func, &args, &mut scratch).unwrap();
                let want = scratch.value(func, func.results[0]);
                let got = if is_native { returned(ty, &machine) } else { Value::from_bits(ty, out[0]) };
                assert!(want.same(got), "{level:?} {ty} {count}: {got:?}, not {want:?}");
            }
        }
        wide(&mut compiler.builder, Type::F64, 5000);
        let target =
            Target { isa: X64::new(level), convention: Convention::Buffer, chaos: Chaos::default(), mark: false };
        assert_eq!(compiler.generate(&target), Err(Limit::Frame));
    }
}

/// Values that live across calls of host functions, which spoil every register that they may.
#[test]
fn calls_of_host_functions_keep_what_is_alive() {
    let body = |args: &[Value]| match args {
        [Value::F64(x), Value::I64(n)] => Ok(Value::F64(x.sqrt() + *n as f64)),
        _ => Err("other types".to_owned()),
    };
    let params = vec![Type::F64, Type::I64];
    let host = Arc::new(HostFunction::new("f".into(), params, Type::F64, true, false, Box::new(body)));
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    let mut scratch = Scratch::default();
    for level in levels() {
        for kind in Kind::BOTH {
            let builder = &mut compiler.builder;
            builder.reset(BuildOptions::default());
            let x: Vec<Ref> = (0..6).map(|_| builder.param(Type::F64)).collect();
            let n: Vec<Ref> = (0..6).map(|_| builder.param(Type::I64)).collect();
            let mut sum = x[0];
            for i in 0..6 {
                let call = builder.call_host(&host, &[x[i], n[5 - i]]);
                let product = builder.binary(Op::Mul, call, x[5 - i]);
                sum = builder.binary(Op::Add, sum, product);
            }
            builder.func.results.push(sum);
            let target = Target { isa: X64::new(level), convention: kind.convention(), chaos: chaos(2), mark: false };
            compiler.generate(&target).unwrap();
            let code = rig.arena.seal(compiler.buffer.bytes()).unwrap();
            let func: &Func = &compiler.builder.func;
            let mut random = Random(11);
            for _ in 0..50 {
                let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
                let mut machine = Machine::random(&mut random);
                place(kind, &func.params, &args, &mut machine);
                let before = machine.clone();
                // SAFETY: the code was made of this function under this convention; the host function is alive.
                unsafe { rig.call(&code, &mut machine) };
                assert_eq!(broken(kind, &before, &machine), Vec::<String>::new());
                evaluate(func, &args, &mut scratch).unwrap();
                assert!(scratch.value(func, func.results[0]).same(returned(Type::F64, &machine)));
            }
        }
    }
}

/// Signals that were handled, and a place that the handler's writes can be seen at.
static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn scribble(_signal: libc::c_int) {
    // The handler's frame lies below the red zone of what was interrupted.
    let mut place = [0u64; 256];
    for word in &mut place {
        *std::hint::black_box(word) = 0xdead_beef_dead_beef;
    }
    std::hint::black_box(&place);
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Runs `work` in a thread that gets a signal every 50 microseconds or so. Gives whether it panicked.
fn under_signals(work: impl FnOnce() + Send + std::panic::UnwindSafe + 'static) -> bool {
    // SAFETY: all zero is a valid `sigaction`.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    action.sa_sigaction = scribble as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is initialised, and the handler only touches its frame and an atomic.
    assert_eq!(unsafe { libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) }, 0);
    let done = Arc::new(AtomicU64::new(0));
    let worker = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let result = std::panic::catch_unwind(work);
            done.store(1, Ordering::Release);
            // A signal that is on its way finds the thread alive.
            std::thread::sleep(std::time::Duration::from_millis(20));
            result
        }
    });
    // Only the thread that calls is disturbed, not the tests that run beside it.
    while done.load(Ordering::Acquire) == 0 {
        // SAFETY: the thread has not been joined, and the signal has a handler.
        unsafe { libc::pthread_kill(worker.as_pthread_t(), libc::SIGPROF) };
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
    worker.join().is_ok_and(|result| result.is_err())
}

#[test]
fn signals_disturb_nothing() {
    assert!(!under_signals(call_for_two_seconds), "a result changed");
    assert!(SIGNALS.load(Ordering::Relaxed) > 100, "no signals came");
}

/// The signals themselves: a function that keeps a word below the red zone loses it.
#[test]
fn a_word_below_the_red_zone_is_lost() {
    let panicked = under_signals(|| {
        let rig = Rig::new();
        let mut code = CodeBuffer::new(&PADDING, 1 << 12);
        let again = code.new_label();
        encode(&at(MOV_RM64_R64, RSP, -1024, Some(RDI), true), &mut code);
        encode(&MInst { regs: [RCX, Reg::NONE, Reg::NONE], imm: 100_000, ..MInst::new(MOV_R32_IMM32) }, &mut code);
        code.bind(again);
        encode(&MInst { regs: [RCX, Reg::NONE, Reg::NONE], imm: 1, ..MInst::new(SUB_RM32_IMM8) }, &mut code);
        encode(&MInst { imm: again.0 as i32, ..MInst::new(JNE) }, &mut code);
        encode(&at(MOV_R64_RM64, RSP, -1024, Some(RAX), false), &mut code);
        encode(&MInst::new(RET), &mut code);
        code.finish(&Pool::new()).expect("a small function");
        let sealed = rig.arena.seal(code.bytes()).expect("executable memory");
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < 10 {
            let mut machine = Machine::random(&mut Random(3));
            machine.general[7] = 77;
            // SAFETY: the function writes a word that nobody owns, counts, and returns.
            unsafe { rig.call(&sealed, &mut machine) };
            assert_eq!(machine.general[0], 77, "as it should be");
        }
    });
    assert!(panicked, "the signals do not show what is wrong");
}

fn call_for_two_seconds() {
    let rig = Rig::new();
    let mut compiler = Compiler::new(&[]);
    let mut scratch = Scratch::default();
    let start = std::time::Instant::now();
    let mut seed = 0;
    while start.elapsed().as_millis() < 2000 {
        seed += 1;
        let mut random = Random(seed * 2 + 1);
        soup(&mut compiler.builder, &mut random, 60, true, false);
        let level = levels().nth(seed as usize % levels().count()).unwrap_or(Level::V1);
        let chaos = Chaos { registers: [0b1_0010_1111, 0b11_1111, 0], seed: 0 };
        let target = Target { isa: X64::new(level), convention: Convention::Buffer, chaos, mark: false };
        compiler.generate(&target).expect("within the limits");
        let code = rig.arena.seal(compiler.buffer.bytes()).expect("executable memory");
        let func = &compiler.builder.func;
        let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
        evaluate(func, &args, &mut scratch).expect("nothing fails");
        let mut first = vec![0; func.results.len()];
        let context = Context::default();
        // SAFETY: the code was made of this function; the slices are as long as it wants.
        unsafe { call_buffer(code.as_ptr(), &args, &mut first, &context) };
        for (&r, &bits) in func.results.iter().zip(&first) {
            let same = scratch.value(func, r).same(Value::from_bits(func.ty(r), bits));
            assert!(same || shows_a_nan(func, &scratch), "seed {seed}");
        }
        let mut out = vec![0; func.results.len()];
        for _ in 0..20_000 {
            // SAFETY: as above.
            unsafe { call_buffer(code.as_ptr(), &args, &mut out, &context) };
            assert_eq!(out, first, "seed {seed}");
        }
    }
}
