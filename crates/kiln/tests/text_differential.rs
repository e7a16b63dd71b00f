//! Random formulas as text: machine code of every level against the interpreter, strict, fast and checked.
//!
//! A fixed seed for some seconds; `KILN_FUZZ_SECONDS` makes it a campaign with another seed each time, and
//! `KILN_FUZZ_SEED` repeats one.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::print_stdout, reason = "the seed and the count are the point")]

mod support;

use kiln::{Engine, EngineKind, Function, Type, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};
use support::Random;
use support::generate::{Program, Shape, program};

/// How many formulas a test checks unless it is told for how long.
const FORMULAS: usize = 400;

/// Argument lists per formula.
const CALLS: usize = 12;

/// Two engines for each level: the interpreter and machine code with the same options.
fn pairs(fast: bool, checked: bool) -> Vec<(String, Engine, Engine)> {
    let engine = |kind, level| {
        let mut options = support::options(kind, level);
        (options.fast, options.checked) = (fast, checked);
        Engine::with_options(options).unwrap()
    };
    let pair = |level: kiln::Level| {
        (level.name().to_owned(), engine(EngineKind::Interpreter, level), engine(EngineKind::Jit, level))
    };
    support::levels().into_iter().map(pair).collect()
}

fn compile(engine: &Engine, program: &Program) -> Function {
    let made = catch_unwind(AssertUnwindSafe(|| engine.formula(&program.text).params(&program.params).compile()));
    let made = made.unwrap_or_else(|_| panic!("a panic in the compiler: |{}|\n{}", program.params, program.text));
    made.unwrap_or_else(|e| panic!("refused: |{}|\n{}\n{e}", program.params, program.text))
}

/// Runs formulas through `pairs`; results may differ between levels only if `fast`.
fn campaign(seed: u64, shape: Shape, fast: bool, checked: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("KILN_FUZZ_SECONDS").map(Duration::from_secs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("KILN_FUZZ_SEED").unwrap_or(if seconds.is_some() { now ^ seed } else { seed });
    println!("seed {seed}");
    let start = Instant::now();
    let pairs = pairs(fast, checked);
    let (mut formulas, mut calls, mut failed) = (0, 0, 0);
    while seconds.map_or(formulas < FORMULAS, |limit| start.elapsed() < limit) {
        let mut random = Random(seed.wrapping_add(formulas as u64));
        let program = program(&mut random, shape);
        let compiled: Vec<(&str, Function, Function)> =
            pairs.iter().map(|(name, a, b)| (name.as_str(), compile(a, &program), compile(b, &program))).collect();
        for _ in 0..CALLS {
            let args: Vec<Value> = program.types.iter().map(|ty| random.value(Type::ALL[*ty as usize])).collect();
            let mut first = None;
            for (level, interpreted, machine) in &compiled {
                let (want, got) = (interpreted.call(&args), machine.call(&args));
                let note = || {
                    format!(
                        "seed {}, {level}: |{}|\n{}\nof {args:?}",
                        seed.wrapping_add(formulas as u64),
                        program.params,
                        program.text
                    )
                };
                match (&want, &got) {
                    (Ok(want), Ok(got)) => assert!(got.same(*want), "{}\nis {got:?}, interpreted {want:?}", note()),
                    (Err(want), Err(got)) => assert_eq!(got, want, "{}", note()),
                    _ => panic!("{}\nis {got:?}, interpreted {want:?}", note()),
                }
                if !fast {
                    match (first.get_or_insert_with(|| want.clone()), &want) {
                        (Ok(a), Ok(b)) => assert!(a.same(*b), "{}\nis {b:?}, at the lowest level {a:?}", note()),
                        (a, b) => assert_eq!(a.is_err(), b.is_err(), "{}", note()),
                    }
                }
                failed += usize::from(want.is_err());
                calls += 1;
            }
        }
        formulas += 1;
    }
    println!("{formulas} formulas, {calls} calls, {failed} of them errors");
}

#[test]
fn strict() {
    campaign(1 << 20, Shape { depth: 5, routines: true, statements: false }, false, false);
}

#[test]
fn strict_and_deep() {
    campaign(2 << 20, Shape { depth: 8, routines: false, statements: false }, false, false);
}

#[test]
fn fast() {
    campaign(3 << 20, Shape { depth: 6, routines: false, statements: false }, true, false);
}

#[test]
fn checked() {
    campaign(4 << 20, Shape { depth: 5, routines: false, statements: false }, false, true);
}

#[test]
fn programs() {
    campaign(5 << 20, Shape { depth: 4, routines: false, statements: true }, false, false);
}

#[test]
fn checked_programs() {
    campaign(6 << 20, Shape { depth: 4, routines: false, statements: true }, false, true);
}
