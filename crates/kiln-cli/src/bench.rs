//! `kiln bench`: what a formula costs on this machine, and how far that is from what the machine could do.
//!
//! Owns the clock and the table. The one idea: a bound is measured, not looked up. What moving the columns costs is what the
//! cheapest formula over as many columns of the same types costs, their sum; what arithmetic costs is what a formula of
//! nothing but multiplications and additions, or divisions, or roots, costs for each of them. Both are measured in turns with
//! the formula, so that a busy machine slows all of them.

use crate::args::BenchArgs;
use crate::eval::option_or;
use crate::report::{Failure, Ink, Printer};
use kiln::measure::Stages;
use kiln::{AsColumn, AsColumnMut, Column, Engine, Function, Type, Value};
use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::time::Instant;

/// A measurement lasts at least so long, in seconds.
const SPAN: f64 = 2e-3;

/// Runs the command.
pub(crate) fn bench(args: &BenchArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let formula = args.source.read()?;
    let default_type = args.formula_args.ty.into();
    let mut options = args.formula_args.machine.options(default_type);
    options.threads = Some(args.threads);
    let engine = Engine::with_options(options)?;
    let compiled = args.formula_args.declare(engine.formula_bytes(&formula)).compile();
    let function = compiled.map_err(|error| option_or(&formula, error.into()))?;
    let heading = |text: &str| printer.ink(Ink::Heading, text);
    writeln!(out, "{}\n{}", heading("compiling"), compiling(&engine, &function, args.rounds))?;
    writeln!(out, "{}\n{}", heading("a call"), call(&function, args)?)?;
    writeln!(out, "{} ({:?}, {} thread(s))", heading("columns"), function.column_engine(), args.threads)?;
    write!(out, "{}", columns(&engine, &function, args)?)?;
    Ok(())
}

/// The middle one.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The least: what a bound is made of.
fn least(times: impl Iterator<Item = f64>) -> f64 {
    times.fold(f64::INFINITY, f64::min)
}

/// Seconds that `work` takes once, measured over enough repetitions.
fn seconds(mut work: impl FnMut()) -> f64 {
    let mut times = 1;
    loop {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        let taken = start.elapsed().as_secs_f64();
        if taken >= SPAN {
            return taken / f64::from(times);
        }
        times = if taken > SPAN / 64.0 { (f64::from(times) * SPAN / taken).ceil() as u32 + 1 } else { times * 16 };
    }
}

/// Time as people read it.
fn shown(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "us"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{value:.3} {unit}")
}

/// What compiling costs, stage by stage; each includes what the ones before it need, which is taken off.
fn compiling(engine: &Engine, function: &Function, rounds: usize) -> String {
    let source = function.source();
    let mut stages = Stages::new(engine.level(), engine.options().memory).with(engine.options(), function.params());
    if !stages.check(source) {
        return "  (a formula over columns, or with host functions: not measured by stages)\n".to_owned();
    }
    let names = ["parse", "check and optimise", "allocate", "encode", "make executable", "kernel over columns"];
    let mut times = names.map(|_| Vec::new());
    for _ in 0..rounds {
        let parse = seconds(|| stages.parse(source));
        let check = seconds(|| _ = stages.check(source));
        times[0].push(parse);
        times[1].push((check - parse).max(0.0));
        times[2].push(seconds(|| _ = stages.allocate()));
        times[3].push(seconds(|| _ = stages.encode()));
        times[4].push(seconds(|| drop(black_box(stages.seal()))));
        let kernel = seconds(|| {
            stages.check(source);
            stages.kernel();
        });
        times[5].push((kernel - check).max(0.0));
        stages.check(source);
        stages.allocate();
        stages.encode();
    }
    let mut text = String::new();
    let times = times.map(median);
    for (name, time) in names.iter().zip(times) {
        let _ = writeln!(text, "  {name:20} {:>12}", shown(time));
    }
    let _ = writeln!(text, "  {:20} {:>12}", "text to callable", shown(times[..5].iter().sum()));
    text
}

/// What one call with values costs.
fn call(function: &Function, args: &BenchArgs) -> Result<String, Failure> {
    let rows = 64;
    let inputs = made(function, args.range, rows);
    let values: Vec<Vec<Value>> =
        (0..rows).map(|row| inputs.iter().map(|column| column.as_column().get(row)).collect()).collect();
    let mut at = 0;
    if let Err(error) = function.call_all(&values[0]) {
        return Ok(format!("  {error}\n"));
    }
    let mut once = || {
        at = (at + 1) % rows;
        if function.outputs().len() == 1 {
            _ = black_box(function.call(black_box(&values[at])));
        } else {
            _ = black_box(function.call_all(black_box(&values[at])));
        }
    };
    let time = median((0..args.rounds).map(|_| seconds(&mut once)).collect());
    Ok(format!("  {} (by a list of values; a typed call saves about half)\n", shown(time)))
}

/// A column with rows of its own.
enum Own {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Own {
    fn new(ty: Type, rows: usize, value: impl Fn(usize) -> f64) -> Own {
        match ty {
            Type::Bool => Own::Bool((0..rows).map(|i| value(i) > value(i + 1)).collect()),
            Type::I32 => Own::I32((0..rows).map(|i| value(i) as i32).collect()),
            Type::I64 => Own::I64((0..rows).map(|i| value(i) as i64).collect()),
            Type::F32 => Own::F32((0..rows).map(|i| value(i) as f32).collect()),
            Type::F64 => Own::F64((0..rows).map(value).collect()),
        }
    }

    fn as_mut(&mut self) -> &mut dyn AsColumnMut {
        match self {
            Own::Bool(rows) => rows,
            Own::I32(rows) => rows,
            Own::I64(rows) => rows,
            Own::F32(rows) => rows,
            Own::F64(rows) => rows,
        }
    }
}

impl AsColumn for Own {
    fn as_column(&self) -> Column<'_> {
        match self {
            Own::Bool(rows) => rows.as_column(),
            Own::I32(rows) => rows.as_column(),
            Own::I64(rows) => rows.as_column(),
            Own::F32(rows) => rows.as_column(),
            Own::F64(rows) => rows.as_column(),
        }
    }
}

/// Inputs whose rows are spread over the range, in no order.
fn made(function: &Function, (low, high): (f64, f64), rows: usize) -> Vec<Own> {
    // Weyl's sequence of the golden ratio, from another place for each input.
    let value = |column: usize, row: usize| {
        let place = (row as f64 + 0.37 * column as f64) * 0.618_033_988_749_894_9;
        low + (high - low) * place.fract()
    };
    let inputs = function.params().iter().enumerate();
    inputs.map(|(i, param)| Own::new(param.ty, rows, |row| value(i, row))).collect()
}

/// A formula with columns to run it over.
struct Job {
    function: Function,
    inputs: Vec<Own>,
    outputs: Vec<Own>,
}

impl Job {
    fn new(function: Function, range: (f64, f64), rows: usize) -> Job {
        let inputs = made(&function, range, rows);
        let outputs = function.outputs().iter().map(|output| Own::new(output.ty, rows, |_| 0.0)).collect();
        Job { function, inputs, outputs }
    }

    fn run(&mut self) -> Result<(), kiln::RunError> {
        let inputs: Vec<&dyn AsColumn> = self.inputs.iter().map(|column| column as &dyn AsColumn).collect();
        let mut outputs: Vec<&mut dyn AsColumnMut> = self.outputs.iter_mut().map(Own::as_mut).collect();
        self.function.eval_columns_all(&inputs, &mut outputs)
    }

    /// Seconds for all rows.
    fn time(&mut self) -> f64 {
        seconds(|| _ = black_box(self.run()))
    }
}

/// Arithmetic of which a processor can do so much: the operations that it stands for, the type, and a formula of one input
/// with so many of them.
const WORK: [(&[&str], Type, &str, f64); 6] = [
    (&["add", "sub", "mul", "fma"], Type::F64, POLYNOMIALS, 64.0),
    (&["add", "sub", "mul", "fma"], Type::F32, POLYNOMIALS, 64.0),
    (&["div"], Type::F64, "1/x + 2/x + 3/x + 4/x", 4.0),
    (&["div"], Type::F32, "1/x + 2/x + 3/x + 4/x", 4.0),
    (&["sqrt"], Type::F64, "sqrt(x) + sqrt(x + 1) + sqrt(x + 2) + sqrt(x + 3)", 4.0),
    (&["sqrt"], Type::F32, "sqrt(x) + sqrt(x + 1) + sqrt(x + 2) + sqrt(x + 3)", 4.0),
];

/// Sixteen steps of a polynomial for each of two arguments: 64 operations, hardly any of which wait.
const POLYNOMIALS: &str = "fn p(t) = ((((((((((((((((t+1)*t+2)*t+3)*t+4)*t+5)*t+6)*t+7)*t+8)*t+9)*t+10)*t+11)*t+12)*t+13)\
                           *t+14)*t+15)*t+16)*t; p(x) + p(x*0.5)";

/// What the formula's arithmetic takes for a row, at least, in seconds.
fn arithmetic(engine: &Engine, function: &Function, rounds: usize) -> f64 {
    let mut stages = Stages::new(engine.level(), engine.options().memory).with(engine.options(), function.params());
    if !stages.check(function.source()) {
        return 0.0;
    }
    let operations: Vec<(&str, Type)> = stages.operations().collect();
    let rows = 1024;
    let cost = |(names, ty, text, count): &(&[&str], Type, &str, f64)| {
        let wanted = operations.iter().filter(|(name, of)| names.contains(name) && of == ty).count();
        let formula = engine.formula(text).input("x", Some(*ty)).compile().ok().filter(|_| wanted > 0);
        formula.map_or(0.0, |formula| {
            let mut job = Job::new(formula, (0.5, 2.0), rows);
            let time = least((0..rounds).map(|_| job.time()));
            wanted as f64 * time / rows as f64 / count
        })
    };
    WORK.iter().map(cost).sum()
}

/// The cheapest formula over columns of the same types: their sum.
fn sum_of(engine: &Engine, function: &Function) -> Option<Function> {
    let result = function.outputs().first().filter(|_| function.outputs().len() == 1)?.ty;
    let number = |(i, ty): (usize, Type)| if ty == Type::Bool { format!("i32(x{i})") } else { format!("x{i}") };
    let types = function.params().iter().map(|param| param.ty).enumerate();
    let sum = types.clone().map(number).collect::<Vec<_>>().join(" + ");
    let text = match result {
        Type::Bool => format!("({sum}) > 0"),
        ty => format!("{}({sum})", ty.name()),
    };
    let formula = types.fold(engine.formula(&text), |f, (i, ty)| f.input(&format!("x{i}"), Some(ty)));
    formula.compile().ok()
}

/// The table of lengths.
fn columns(engine: &Engine, function: &Function, args: &BenchArgs) -> Result<String, Failure> {
    let arithmetic = arithmetic(engine, function, args.rounds) / args.threads.get() as f64;
    let mut text = format!("  {:>12} {:>12} {:>12} {:>10}   {}\n", "rows", "a call", "a row", "of bound", "bound");
    for &rows in &args.rows {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut job = Job::new(function.clone(), args.range, rows);
        job.run().map_err(|error| Failure::input(error.to_string()))?;
        let mut sum = sum_of(engine, function).map(|sum| Job::new(sum, args.range, rows));
        let (mut own, mut moving) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            own.push(job.time());
            moving.extend(sum.as_mut().map(Job::time));
        }
        let own = median(own);
        let memory = if moving.is_empty() { 0.0 } else { least(moving.into_iter()) };
        let bound = memory.max(arithmetic * rows as f64);
        let name = if memory >= arithmetic * rows as f64 { "memory" } else { "arithmetic" };
        let row = if rows == 0 { "-".to_owned() } else { shown(own / rows as f64) };
        let _ = writeln!(text, "  {rows:>12} {:>12} {row:>12} {:>9.0}%   {name}", shown(own), 100.0 * bound / own);
    }
    Ok(text)
}
