//! Text to callable per formula and mode, stage by stage, and how it grows.

use super::{Formula, mean, median};
use kiln::measure::Stages;
use kiln::{Engine, Mode, Options};
use std::hint::black_box;
use std::time::Instant;

/// Compilations per round: enough for the clock, few enough to interleave.
const REPEAT: usize = 64;

const COLUMNS: [&str; 10] =
    ["strict", "batch", "dual", "parse", "check+build", "allocate", "encode", "seal strict", "seal dual", "kernel"];

pub(super) fn run(formulas: &[Formula], rounds: usize, scaling: bool) -> Result<(), String> {
    let engine = |mode| {
        let mut options = Options::default();
        options.memory = mode;
        Engine::with_options(options).map_err(|error| error.to_string())
    };
    let (strict, dual) = (engine(Mode::Strict)?, engine(Mode::DualMapped)?);
    let mut stages = [Mode::Strict, Mode::DualMapped].map(|mode| Stages::new(strict.level(), mode));
    for formula in formulas {
        strict.compile(&formula.text).map_err(|error| format!("{}: {error}", formula.name))?;
    }
    let mut times = vec![vec![Vec::new(); COLUMNS.len()]; formulas.len()];
    for _ in 0..rounds {
        for (formula, times) in formulas.iter().zip(&mut times) {
            for (times, time) in times.iter_mut().zip(round(&formula.text, &strict, &dual, &mut stages)) {
                times.push(time);
            }
        }
    }
    table(formulas, &mut times, &mut stages[0]);
    if scaling { grow(&strict) } else { Ok(()) }
}

/// Microseconds each, in the order of [`COLUMNS`].
fn round(text: &str, strict: &Engine, dual: &Engine, stages: &mut [Stages; 2]) -> [f64; 10] {
    let one = |engine: &Engine| time(|| drop(black_box(engine.compile(text))));
    let start = Instant::now();
    let mut batch = strict.batch();
    for _ in 0..REPEAT {
        let _ = black_box(batch.add(text));
    }
    let functions = black_box(batch.finish());
    let batch = start.elapsed().as_secs_f64() * 1e6 / REPEAT as f64;
    drop(functions);
    let [first, second] = stages;
    let parse = time(|| first.parse(black_box(text)));
    let parse_and_check = time(|| _ = black_box(first.check(text)));
    let check = parse_and_check - parse;
    let allocate = time(|| _ = black_box(first.allocate()));
    let encode = time(|| _ = black_box(first.encode()));
    let seal = time(|| drop(black_box(first.seal())));
    // Making a kernel takes the values with it.
    let kernel = time(|| {
        first.check(text);
        black_box(first.kernel());
    }) - parse_and_check;
    second.check(text);
    second.allocate();
    second.encode();
    let seal_dual = time(|| drop(black_box(second.seal())));
    [one(strict), batch, one(dual), parse, check, allocate, encode, seal, seal_dual, kernel]
}

/// Microseconds of one run of `work`.
fn time(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..REPEAT).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e6 / REPEAT as f64
}

fn table(formulas: &[Formula], times: &mut [Vec<Vec<f64>>], stages: &mut Stages) {
    println!("\nmicroseconds, medians of {} interleaved rounds of {REPEAT} compilations", times[0][0].len());
    println!("strict, batch, dual: text to callable, and dropped; the others: one stage with its memory reused;");
    println!("kernel: values to the bytes of a kernel over columns, functions within\n");
    println!("| formula | nodes | code bytes | {} |", COLUMNS.join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len() + 2));
    let medians: Vec<Vec<f64>> = times.iter_mut().map(|row| row.iter_mut().map(|t| median(t)).collect()).collect();
    for (formula, row) in formulas.iter().zip(&medians) {
        stages.check(&formula.text);
        stages.allocate();
        stages.encode();
        let cells: Vec<String> = row.iter().map(|t| format!("{t:.2}")).collect();
        println!("| {} | {} | {} | {} |", formula.name, stages.nodes(), stages.code_bytes(), cells.join(" | "));
    }
    let means: Vec<String> =
        (0..COLUMNS.len()).map(|i| format!("{:.2}", mean(medians.iter().map(|row| row[i])))).collect();
    println!("| **geometric mean** | | | {} |", means.join(" | "));
}

/// A sum of `n` different terms.
fn sum(n: usize) -> String {
    let terms: Vec<String> = (0..n).map(|i| format!("x*{i}.5")).collect();
    terms.join("+")
}

fn grow(engine: &Engine) -> Result<(), String> {
    println!("\na sum of n terms `x*k.5`, text to callable, strict\n");
    println!("| n | ms | ns per term | time(2n)/time(n) |\n|---|---|---|---|");
    for n in [100, 1_000, 10_000, 100_000, 1_000_000] {
        let (one, two) = (sum(n), sum(2 * n));
        let rounds = if n > 10_000 { 3 } else { 9 };
        let (mut single, mut double) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (text, times) in [(&one, &mut single), (&two, &mut double)] {
                let start = Instant::now();
                let function = engine.compile(text).map_err(|error| format!("{n} terms: {error}"))?;
                times.push(start.elapsed().as_secs_f64());
                drop(black_box(function));
            }
        }
        let (single, double) = (median(&mut single), median(&mut double));
        println!("| {n} | {:.3} | {:.0} | {:.2} |", single * 1e3, single * 1e9 / n as f64, double / single);
    }
    Ok(())
}
