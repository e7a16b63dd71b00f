//! Random functions as kernels, at every level and under every chaos switch, against the interpreter, row by row.

use crate::differential::{Random, levels, shows_a_nan, soup_of};
use crate::ir::build::BuildOptions;
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::{Func, Ref};
use crate::isa::x64::features::Level;
use crate::mach::walk::Chaos;
use crate::mem::{Arena, Mode};
use crate::ops::Op;
use crate::pipeline::Compiler;
use crate::run::host::Context;
use crate::run::kernel::Stores;
use crate::run::view::bytes_of;
use crate::types::{Type, Value};

/// As many rows as the longest step has, twice over.
const ROWS: usize = 128;

/// Rows of a step of any kernel begin at the beginning of one.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u8; 64]);

/// What a row should become; none if it shows which NaN there is, which nobody promises.
enum Row {
    Values(Vec<Value>),
    Unspecified,
    Fails,
}

fn rows_of(func: &Func, random: &mut Random) -> (Vec<Vec<u64>>, Vec<Row>) {
    let mut scratch = Scratch::default();
    let args: Vec<Vec<u64>> = (0..ROWS).map(|_| func.params.iter().map(|&ty| random.value(ty)).collect()).collect();
    let row = |args: &Vec<u64>| match evaluate(func, args, &mut scratch) {
        Err(_) => Row::Fails,
        Ok(()) if shows_a_nan(func, &scratch) => Row::Unspecified,
        Ok(()) => Row::Values(func.results.iter().map(|&r| scratch.value(func, r)).collect()),
    };
    let rows = args.iter().map(row).collect();
    (args, rows)
}

/// Compiles the function in the compiler to a kernel and runs that.
fn compare(compiler: &mut Compiler, random: &mut Random, level: Level, chaos: Chaos, arena: &Arena, note: &str) {
    let stores = if random.below(3) == 0 { Stores::Streaming } else { Stores::Cached };
    let func = &compiler.builder.func;
    let (args, rows) = rows_of(func, random);
    let note = &format!("{note}\n{}", crate::ir::text::print(func));
    let outputs: Vec<Type> = func.results.iter().map(|&r| func.ty(r)).collect();
    let mut columns: Vec<Vec<Line>> = Vec::new();
    for (i, &ty) in func.params.iter().enumerate() {
        let bytes = args.iter().flat_map(|row| row[i].to_le_bytes().into_iter().take(bytes_of(ty)));
        let bytes: Vec<u8> = bytes.collect();
        columns.push(bytes.chunks_exact(64).map(|line| Line(line.try_into().unwrap())).collect());
    }
    columns.extend(outputs.iter().map(|&ty| vec![Line([0; 64]); ROWS * bytes_of(ty) / 64]));
    let inputs = func.params.len();
    let made = compiler.emit_kernel_with(level, stores, chaos, false).unwrap_or_else(|| panic!("{note}: no kernel"));
    let kernel = compiler.emitted_kernel(made).seal(arena).unwrap();
    let step = kernel.rows_per_step();
    let places: Vec<*mut u8> = columns.iter_mut().map(|column| column.as_mut_ptr().cast()).collect();
    // SAFETY: every column is aligned and has as many rows as the steps have, and the outputs are apart from all else.
    let done = unsafe { kernel.run(&places, ROWS / step, &Context::default()) };
    let fails = rows.iter().position(|row| matches!(row, Row::Fails)).unwrap_or(ROWS);
    assert_eq!(done, fails / step, "{note}: steps done; row {fails} fails");
    for (row, want) in rows.iter().enumerate().take(done * step) {
        let Row::Values(want) = want else { continue };
        for (i, (want, &ty)) in want.iter().zip(&outputs).enumerate() {
            let mut word = [0; 8];
            let size = bytes_of(ty);
            word[..size].copy_from_slice(&columns[inputs + i][row * size / 64].0[row * size % 64..][..size]);
            let word = u64::from_le_bytes(word);
            assert!(ty != Type::Bool || word < 2, "{note}: a bool of {word}");
            let got = Value::from_bits(ty, word);
            assert!(got.same(*want), "{note}: row {row}, result {i} of {:x?}: {got}, not {want}", args[row]);
        }
    }
}

/// Functions of inputs of all types, or of one type alone, so that rows per step vary.
fn run(seeds: std::ops::Range<u64>, size: usize, loops: bool, chaos: impl Fn(u64) -> Chaos) {
    let mut compiler = Compiler::new(&[]);
    let arena = Arena::new(Mode::Strict);
    let mixed: Vec<Type> = (0..8).map(|i| Type::ALL[i % 5]).collect();
    let narrow = [Type::F32, Type::I32, Type::Bool, Type::F32, Type::I32];
    for seed in seeds {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let size = 3 + random.below(size);
            let options = BuildOptions { optimise: seed % 2 == 0, checked: seed % 5 == 0, ..BuildOptions::default() };
            let params = if seed % 4 == 3 { &narrow[..] } else { &mixed };
            soup_of(&mut compiler.builder, &mut random, size, options, params, loops);
            let note = format!("seed {seed} {level:?}");
            compare(&mut compiler, &mut random, level, chaos(seed), &arena, &note);
        }
    }
}

/// More results than are in registers when the first one is stored: an output may be in the place of an input, so no input
/// is read after that, which the allocation checker sees.
#[test]
fn kernels_of_many_results() {
    let mut compiler = Compiler::new(&[]);
    let arena = Arena::new(Mode::Strict);
    for seed in 4000..4150 {
        for level in levels() {
            let mut random = Random(seed * 2 + 1);
            let (size, count) = (3 + random.below(40), 2 + random.below(12));
            let params: Vec<Type> = (0..3 + random.below(10)).map(|_| Type::ALL[random.below(5)]).collect();
            let options = BuildOptions::default();
            soup_of(&mut compiler.builder, &mut random, size, options, &params, seed % 2 == 0);
            let func = &mut compiler.builder.func;
            let values = (0..func.nodes.len()).filter(|&i| {
                let node = &func.nodes[i];
                node.region == 0 && !matches!(node.op, Op::If | Op::Loop | Op::Trap)
            });
            let values: Vec<Ref> = values.map(|i| Ref(i as u32)).collect();
            func.results.extend((0..count).map(|_| values[random.below(values.len())]));
            let few = Chaos { registers: [u32::MAX, 0xff, 0x3e], ..Chaos::default() };
            let chaos = if seed % 3 == 0 { few } else { Chaos::default() };
            compare(&mut compiler, &mut random, level, chaos, &arena, &format!("seed {seed} {level:?}"));
        }
    }
}

#[test]
fn random_kernels() {
    run(0..400, 60, false, |_| Chaos::default());
}

#[test]
fn random_kernels_with_loops() {
    run(1000..1400, 60, true, |_| Chaos::default());
}

#[test]
fn random_allocation() {
    run(2000..2300, 60, true, |seed| Chaos { seed: seed * 2 + 1, ..Chaos::default() });
}

#[test]
fn few_registers() {
    run(3000..3300, 40, true, |seed| Chaos { registers: [u32::MAX, 0xff, 0x3e], seed: seed % 2 * 77 });
}
