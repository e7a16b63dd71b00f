//! Random functions, compiled at every level and under every chaos switch, against the interpreter.

use crate::ir::build::BuildOptions;
use crate::ir::build::Builder;
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::{Func, Ref};
use crate::isa::x64::abi::Convention;
use crate::isa::x64::features::Level;
use crate::isa::x64::lower::X64;
use crate::mach::walk::Chaos;
use crate::mem::{Arena, Mode};
use crate::ops::{Op, Sig};
use crate::pipeline::{Compiler, Target, instructions};
use crate::run::host::Context;
use crate::run::{cpu, invoke};
use crate::types::{Type, Value};

/// A small generator of numbers (Knuth's MMIX multiplier), seeded per test.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 ^ self.0 >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 8) as usize % n
    }

    /// Bits of a value of the type, often an awkward one.
    pub(crate) fn value(&mut self, ty: Type) -> u64 {
        let awkward: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            2.5,
            -2.5,
            3.0,
            1e-310,
            -1e-310,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            4503599627370495.5,
            0.49999999999999994,
            2147483648.0,
            -2147483649.0,
            9.3e18,
            8388607.5,
            1e-40,
            7.0,
            100.25,
        ];
        let ints: &[i64] =
            &[0, 1, -1, 2, -2, 7, i64::MIN, i64::MAX, i32::MIN as i64, i32::MAX as i64, 31, 32, 63, 64, 1 << 40];
        let pick = self.next() % 4;
        match ty {
            Type::Bool => self.next() & 1,
            Type::F64 if pick == 0 => self.next() << 8 ^ self.next(),
            Type::F32 if pick == 0 => self.next() & 0xffff_ffff,
            Type::F64 => awkward[self.below(awkward.len())].to_bits(),
            Type::F32 => u64::from((awkward[self.below(awkward.len())] as f32).to_bits()),
            Type::I64 if pick == 0 => self.next() << 8 ^ self.next(),
            Type::I32 if pick == 0 => self.next() & 0xffff_ffff,
            Type::I64 => ints[self.below(ints.len())] as u64,
            Type::I32 => u64::from(ints[self.below(ints.len())] as u32),
        }
    }
}

/// Fills the builder with a random function; every type is among the inputs.
pub(crate) fn soup(builder: &mut Builder, random: &mut Random, size: usize, optimise: bool, checked: bool) {
    let options = BuildOptions { optimise, checked, ..BuildOptions::default() };
    let params: Vec<Type> = (0..8).map(|i| Type::ALL[i % 5]).collect();
    soup_of(builder, random, size, options, &params, false);
}

/// What is open while a random function is made, with the number of values that are visible around it.
enum Block {
    Then(usize),
    Else(usize, Vec<Ref>),
    /// A loop by number; its first carried value counts to a bound.
    Loop(usize, u32),
}

/// Fills the builder with a random function of inputs of these types, perhaps with loops.
pub(crate) fn soup_of(
    builder: &mut Builder,
    random: &mut Random,
    size: usize,
    options: BuildOptions,
    params: &[Type],
    loops: bool,
) {
    builder.reset(options);
    let mut values: Vec<Ref> = params.iter().map(|&ty| builder.param(ty)).collect();
    for ty in Type::ALL {
        for _ in 0..2 {
            let bits = random.value(ty);
            values.push(builder.const_bits(ty, bits));
        }
    }
    let mut open = Vec::new();
    for _ in 0..size {
        if random.below(12) == 0 && open.len() < 4 {
            if loops && random.below(2) == 0 {
                open.push(begin_loop(builder, random, &mut values));
            } else {
                let bool = pick(builder, random, &values, Type::Bool);
                builder.begin_if(bool);
                open.push(Block::Then(values.len()));
            }
        } else if random.below(8) == 0 {
            close(builder, random, &mut values, &mut open);
        }
        let r = step(builder, random, &values, loops);
        values.extend(r);
    }
    while !open.is_empty() {
        close(builder, random, &mut values, &mut open);
    }
    // The result gathers several values, so that much is alive.
    let ty = [Type::F64, Type::I64, Type::I32, Type::F32][random.below(4)];
    let mut sum = builder.small(ty, 1);
    let start = values.len().saturating_sub(12);
    for &r in &values[start..] {
        let v = builder.raw_convert(r, ty);
        sum = builder.raw2(Op::Add, sum, v);
    }
    builder.func.results.push(sum);
    if random.below(2) == 0 {
        let last = *values.last().unwrap();
        builder.func.results.push(last);
    }
}

/// One of the values of this type.
fn pick(builder: &Builder, random: &mut Random, values: &[Ref], ty: Type) -> Ref {
    let same: Vec<Ref> = values.iter().copied().filter(|&r| builder.ty(r) == ty).collect();
    same[same.len() - 1 - random.below(same.len())]
}

/// Starts a loop of a few iterations that carries a few values.
fn begin_loop(builder: &mut Builder, random: &mut Random, values: &mut Vec<Ref>) -> Block {
    let mark = values.len();
    let mut inits = vec![builder.small(Type::I64, 0)];
    // Now and then more than there are registers.
    let most = if random.below(6) == 0 { 40 } else { 5 };
    inits.extend((0..random.below(most)).map(|_| values[values.len() - 1 - random.below(values.len())]));
    let number = builder.begin_loop(&inits);
    values.extend((0..inits.len()).map(|at| builder.phi(number, at)));
    for _ in 0..random.below(4) {
        let r = step(builder, random, values, true);
        values.extend(r);
    }
    let counter = builder.phi(number, 0);
    // Some bounds are not constant.
    let bound = builder.small(Type::I64, random.below(5) as i32);
    let mask = builder.small(Type::I64, 3);
    let other = pick(builder, random, values, Type::I64);
    let bound = if random.below(3) == 0 { builder.raw2(Op::And, other, mask) } else { bound };
    let mut goes_on = builder.raw2(Op::Lt, counter, bound);
    if random.below(3) == 0 {
        let also = pick(builder, random, values, Type::Bool);
        goes_on = builder.raw2(Op::And, goes_on, also);
    }
    builder.begin_body(goes_on);
    Block::Loop(mark, number)
}

/// Ends an arm or a loop: goes on to the other arm, joins both, or carries on.
fn close(builder: &mut Builder, random: &mut Random, values: &mut Vec<Ref>, open: &mut Vec<Block>) {
    match open.pop() {
        None => {}
        Some(Block::Then(mark)) => {
            let count = if random.below(8) == 0 { 30 } else { 1 + random.below(3) };
            let firsts = (0..count).map(|_| values[values.len() - 1 - random.below(values.len().min(3 + count))]);
            let firsts = firsts.collect();
            values.truncate(mark);
            builder.begin_else();
            open.push(Block::Else(mark, firsts));
        }
        Some(Block::Else(mark, firsts)) => {
            let seconds: Vec<Ref> =
                firsts.iter().map(|&first| pick(builder, random, values, builder.ty(first))).collect();
            values.truncate(mark);
            let arms = builder.close_if();
            for (first, second) in firsts.into_iter().zip(seconds) {
                values.push(builder.merge(arms, first, second));
            }
        }
        Some(Block::Loop(mark, number)) => {
            let count = builder.func.loops[number as usize].carried().len();
            let (counter, one) = (builder.phi(number, 0), builder.small(Type::I64, 1));
            let mut nexts = vec![builder.raw2(Op::Add, counter, one)];
            for at in 1..count {
                let ty = builder.ty(builder.phi(number, at));
                nexts.push(pick(builder, random, values, ty));
            }
            builder.end_loop(&nexts);
            values.truncate(mark);
            for at in 0..count {
                if random.below(4) > 0 {
                    values.push(builder.exit(number, at));
                }
            }
        }
    }
}

fn step(builder: &mut Builder, random: &mut Random, values: &[Ref], loops: bool) -> Option<Ref> {
    let op = Op::ALL[random.below(Op::ALL.len())];
    // Which NaN it is shows in the result, perhaps of an iteration that is gone: see `shows_a_nan`.
    if loops && matches!(op, Op::Bitcast | Op::Copysign) {
        return None;
    }
    // Young values more often than old ones.
    let reach = if random.below(3) == 0 { values.len() } else { values.len().min(10) };
    let a = values[values.len() - 1 - random.below(reach)];
    let ty = builder.ty(a);
    let b = pick(builder, random, values, ty);
    let c = pick(builder, random, values, ty);
    Some(match op.row().sig {
        Sig::Same(_) | Sig::Test(_) if op.meaning(ty).is_none() => return None,
        // Over rows it is another operation.
        _ if op == Op::Any => return None,
        Sig::Same(1) => builder.unary(op, a),
        Sig::Same(2) | Sig::Test(2) => builder.binary(op, a, b),
        Sig::Same(_) => builder.raw3(op, a, b, c),
        Sig::Select => {
            let condition = pick(builder, random, values, Type::Bool);
            builder.select(condition, a, b)
        }
        Sig::Convert if op == Op::Bitcast => {
            let to = match ty {
                Type::F64 => Type::I64,
                Type::I64 => Type::F64,
                Type::F32 => Type::I32,
                Type::I32 => Type::F32,
                Type::Bool => return None,
            };
            builder.bitcast(a, to)
        }
        Sig::Convert => builder.convert(a, Type::ALL[random.below(5)]),
        Sig::Test(_) | Sig::Leaf | Sig::Special => return None,
    })
}

/// Compiles and runs the function in the compiler, and holds it against the interpreter.
fn compare(compiler: &mut Compiler, random: &mut Random, target: &Target, arena: &Arena, note: &str) {
    compiler.generate(target).unwrap();
    let code = arena.seal(compiler.buffer.bytes()).unwrap();
    let func = &compiler.builder.func;
    let mut scratch = Scratch::default();
    for _ in 0..4 {
        let args: Vec<u64> = func.params.iter().map(|&ty| random.value(ty)).collect();
        let mut out = vec![0; func.results.len()];
        let context = Context::default();
        // SAFETY: the code was made of this function with the buffer entry, and the slices are as long as it wants.
        let status = unsafe { invoke::call_buffer(code.as_ptr(), &args, &mut out, &context) };
        let expected = evaluate(func, &args, &mut scratch);
        if shows_a_nan(func, &scratch) {
            continue;
        }
        match expected {
            Ok(()) => {
                assert_eq!(status, 0, "{note}: stopped at %{}", context.at);
                for (&r, &bits) in func.results.iter().zip(&out) {
                    let (want, got) = (scratch.value(func, r), Value::from_bits(func.ty(r), bits));
                    assert!(
                        want.same(got),
                        "{note}: %{} is {got:?}, not {want:?}; args {args:x?}\n{}",
                        r.0,
                        describe(compiler, &scratch)
                    );
                }
            }
            Err(stop) => {
                let found = (status, context.kind, context.at);
                assert_eq!(
                    found,
                    (1, stop.kind as u32, stop.at.0),
                    "{note}; {args:x?}\n{}",
                    describe(compiler, &scratch)
                );
            }
        }
    }
}

/// Does the evaluation look at the bits of a NaN? Which NaN it is, is not specified.
pub(crate) fn shows_a_nan(func: &Func, scratch: &Scratch) -> bool {
    func.nodes.iter().any(|n| match n.op {
        Op::Bitcast => scratch.value(func, Ref(n.a)).is_nan(),
        Op::Copysign => scratch.value(func, Ref(n.b)).is_nan(),
        _ => false,
    })
}

/// The code, and the values that the interpreter found.
fn describe(compiler: &Compiler, scratch: &Scratch) -> String {
    let mut text = String::new();
    crate::mach::listing::write(
        instructions(&compiler.walk),
        &compiler.buffer,
        crate::isa::x64::text::push_text,
        &mut text,
    );
    for (i, node) in compiler.builder.func.nodes.iter().enumerate() {
        text.push_str(&format!("%{i} = {:x} {node:?}\n", scratch.bits(Ref(i as u32))));
    }
    text
}

pub(crate) fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|&l| l <= cpu::level())
}

fn run(seeds: std::ops::Range<u64>, size: usize, optimise: bool, checked: bool, chaos: impl Fn(u64) -> Chaos) {
    let mut compiler = Compiler::new(&[]);
    let arena = Arena::new(Mode::Strict);
    for seed in seeds {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let size = 1 + random.below(size);
            soup(&mut compiler.builder, &mut random, size, optimise, checked);
            let isa = X64::new(level);
            let target = Target { isa, convention: Convention::Buffer, chaos: chaos(seed), mark: true };
            compare(&mut compiler, &mut random, &target, &arena, &format!("seed {seed} {level:?}"));
        }
    }
}

/// The same with loops.
fn run_loops(seeds: std::ops::Range<u64>, size: usize, optimise: bool, chaos: impl Fn(u64) -> Chaos) {
    let mut compiler = Compiler::new(&[]);
    let arena = Arena::new(Mode::Strict);
    let params: Vec<Type> = (0..8).map(|i| Type::ALL[i % 5]).collect();
    for seed in seeds {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let size = 5 + random.below(size);
            let options = BuildOptions { optimise, checked: seed % 3 == 0, ..BuildOptions::default() };
            soup_of(&mut compiler.builder, &mut random, size, options, &params, true);
            let isa = X64::new(level);
            let target = Target { isa, convention: Convention::Buffer, chaos: chaos(seed), mark: true };
            compare(&mut compiler, &mut random, &target, &arena, &format!("seed {seed} {level:?}"));
        }
    }
}

#[test]
fn random_loops() {
    run_loops(4000..4600, 60, false, |_| Chaos::default());
    run_loops(5000..5600, 90, true, |_| Chaos::default());
}

#[test]
fn random_allocation_of_loops() {
    run_loops(6000..6600, 60, true, |seed| Chaos { seed: seed * 2 + 1, ..Chaos::default() });
}

#[test]
fn loops_with_few_registers() {
    run_loops(7000..7400, 60, true, |seed| {
        let registers = [[0b1_0010_1111, 0b1110_0110, 0xf100][seed as usize % 3], [0x3f, 0xfc00][seed as usize % 2]];
        Chaos { registers: [registers[0], registers[1], 0], seed: seed % 2 * 77 }
    });
}

#[test]
fn random_functions() {
    run(0..600, 60, false, false, |_| Chaos::default());
}

#[test]
fn random_functions_with_rules() {
    run(0..600, 60, true, false, |_| Chaos::default());
}

#[test]
fn random_checked_functions() {
    run(1000..1600, 60, true, true, |_| Chaos::default());
}

#[test]
fn random_allocation() {
    run(2000..2600, 60, true, false, |seed| Chaos { seed: seed * 2 + 1, ..Chaos::default() });
}

#[test]
fn few_registers() {
    run(3000..3400, 60, true, true, |seed| {
        let registers = [[0b1_0010_1111, 0b1110_0110, 0xf100][seed as usize % 3], [0x3f, 0xfc00][seed as usize % 2]];
        Chaos { registers: [registers[0], registers[1], 0], seed: seed % 2 * 77 }
    });
}
