//! Random formulas over columns: the code of every level against the interpreter, row by row, strict, fast and checked.
//!
//! A fixed seed for some seconds; `KILN_FUZZ_SECONDS` makes it a campaign with another seed each time, and
//! `KILN_FUZZ_SEED` repeats one.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::print_stdout, reason = "the seed and the count are the point")]

mod support;

use kiln::{ColumnEngine, Engine, EngineKind, Function, RunError, Type, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};
use support::Random;
use support::columns::{Own, over_columns};
use support::generate::{Program, Shape, program};

/// How many formulas a test checks unless it is told for how long.
const FORMULAS: usize = 120;

/// Columns have up to so many rows.
const ROWS: u64 = 200;

fn engine(kind: EngineKind, level: kiln::Level, fast: bool, checked: bool) -> Engine {
    let mut options = support::options(kind, level);
    (options.fast, options.checked) = (fast, checked);
    // Loops that never end are to be met, and not waited for.
    options.limits.steps = 5_000;
    Engine::with_options(options).unwrap()
}

fn compile(engine: &Engine, program: &Program) -> Function {
    let made = engine.formula(&program.text).params(&program.params).compile();
    made.unwrap_or_else(|e| panic!("refused: |{}|\n{}\n{e}", program.params, program.text))
}

fn by_rows(function: &Function, inputs: &[Own], rows: usize) -> Result<Vec<Vec<Value>>, RunError> {
    let row = |row: usize| {
        let args: Vec<Value> = inputs.iter().map(|column| column.get(row)).collect();
        function.call_all(&args).map_err(|error| RunError::Row { row, error: Box::new(error) })
    };
    (0..rows).map(row).collect()
}

/// Runs formulas at every level.
fn campaign(seed: u64, shape: Shape, fast: bool, checked: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("KILN_FUZZ_SECONDS").map(Duration::from_secs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number("KILN_FUZZ_SEED").unwrap_or(if seconds.is_some() { now ^ seed } else { seed });
    println!("seed {seed}");
    let start = Instant::now();
    let levels = support::levels().into_iter().map(|level| {
        let make = |kind| engine(kind, level, fast, checked);
        (level, make(EngineKind::Interpreter), make(EngineKind::Jit))
    });
    let levels: Vec<_> = levels.collect();
    let (mut formulas, mut kernels, mut failed) = (0, 0, 0);
    while seconds.map_or(formulas < FORMULAS, |limit| start.elapsed() < limit) {
        let seed = seed.wrapping_add(formulas as u64);
        let mut random = Random(seed);
        let program = program(&mut random, shape);
        let rows = (random.next() % (ROWS + 1)) as usize;
        let mut inputs: Vec<Own> = program.types.iter().map(|ty| Own::new(Type::ALL[*ty as usize], rows)).collect();
        for column in &mut inputs {
            let mut column = column.column_mut().as_column_mut();
            for row in 0..rows {
                column.set(row, random.value(column.ty()));
            }
        }
        let mut want = None;
        for (level, interpreter, machine) in &levels {
            let note = || format!("seed {seed}, {level:?}, {rows} rows: |{}|\n{}", program.params, program.text);
            // Under `fast` results depend on the level.
            if want.is_none() || fast {
                want = Some(by_rows(&compile(interpreter, &program), &inputs, rows));
            }
            let function = compile(machine, &program);
            let got = catch_unwind(AssertUnwindSafe(|| over_columns(&function, &inputs, rows)))
                .unwrap_or_else(|_| panic!("a panic: {}", note()));
            kernels += usize::from(function.column_engine() == ColumnEngine::Kernel);
            match (want.as_ref().unwrap(), got) {
                (Ok(want), Ok(got)) => {
                    for (row, results) in want.iter().enumerate() {
                        for (i, (want, got)) in results.iter().zip(&got).enumerate() {
                            let got = got.get(row);
                            let args: Vec<Value> = inputs.iter().map(|column| column.get(row)).collect();
                            assert!(
                                got.same(*want),
                                "{}\nrow {row}, result {i} of {args:?}: {got}, not {want}",
                                note()
                            );
                        }
                    }
                }
                (Err(want), Err(got)) => {
                    failed += 1;
                    assert_eq!(&got, want, "{}", note());
                }
                (Ok(_), Err(got)) => panic!("{}\n{got}", note()),
                (Err(want), Ok(_)) => panic!("{}\nno error, but {want}", note()),
            }
        }
        formulas += 1;
    }
    println!("{formulas} formulas, {kernels} kernels, {failed} columns with errors");
    assert!(kernels > 0, "nothing was compiled");
}

#[test]
fn strict() {
    campaign(11 << 20, Shape { depth: 5, routines: true, statements: false }, false, false);
}

#[test]
fn strict_and_deep() {
    campaign(12 << 20, Shape { depth: 8, routines: false, statements: false }, false, false);
}

#[test]
fn fast() {
    campaign(13 << 20, Shape { depth: 6, routines: false, statements: false }, true, false);
}

#[test]
fn checked() {
    campaign(14 << 20, Shape { depth: 5, routines: false, statements: false }, false, true);
}

#[test]
fn programs() {
    campaign(15 << 20, Shape { depth: 4, routines: false, statements: true }, false, false);
}

#[test]
fn checked_programs() {
    campaign(16 << 20, Shape { depth: 4, routines: false, statements: true }, false, true);
}
