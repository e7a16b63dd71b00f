//! Nanoseconds per call of the loops in `examples/`, beside the same loops in C.
//!
//! The C compiler's program answers questions on its standard input, so that its rounds and Kiln's take turns. The results
//! of both must have the same bits. Both call through a pointer, give three doubles and take one.

use super::call::column;
use super::{median, root};
use kiln::{Engine, RunError, TypedFunction};
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// As in the C part.
const ROWS: usize = 1024;

/// The lowest and highest value of each input.
type Ranges = [(f64, f64); 3];

/// Name, ranges of the inputs, how Kiln's function is called.
const KERNELS: &[(&str, Ranges, Kind)] = &[
    ("mandelbrot", [(-2.0, 0.5), (-1.2, 1.2), (0.0, 0.0)], Kind::Points),
    ("newton", [(0.5, 100.0), (0.0, 0.0), (0.0, 0.0)], Kind::Number),
    ("series", [(-3.0, 3.0), (0.0, 0.0), (0.0, 0.0)], Kind::Number),
    ("runge_kutta", [(-2.0, 2.0), (-2.0, 2.0), (0.1, 3.0)], Kind::Numbers),
    ("collatz", [(1.0, 1e6), (0.0, 0.0), (0.0, 0.0)], Kind::Integer),
];

#[derive(Clone, Copy)]
enum Kind {
    Points,
    Number,
    Numbers,
    Integer,
}

/// The C program, waiting for questions.
struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Compiles the C part with `compiler`, for this machine, and starts it.
    fn start(compiler: &str) -> Result<Peer, String> {
        let source = root().join("xtask/src/bench/loops.c");
        let program = root().join("target/loops-c");
        let flags = ["-O3", "-march=native", "-ffp-contract=off", "-o"];
        let status = Command::new(compiler).args(flags).arg(&program).arg(source).arg("-lm").status();
        if !status.map_err(|error| format!("{compiler}: {error}"))?.success() {
            return Err(format!("{compiler} does not compile the C part"));
        }
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let (questions, answers) = questions.zip(answers).ok_or("the C program has no pipes")?;
        Ok(Peer { child, questions, answers: BufReader::new(answers) })
    }

    /// Nanoseconds per call, and what the results are.
    fn measure(&mut self, name: &str, ranges: &Ranges) -> Result<(f64, u64), String> {
        let ranges: Vec<String> = ranges.iter().map(|(low, high)| format!("{low} {high}")).collect();
        writeln!(self.questions, "{name} {}", ranges.join(" ")).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        let (ns, bits) = line.trim().split_once(' ').ok_or("the C program does not answer")?;
        Ok((ns.parse().map_err(|_| "no number")?, u64::from_str_radix(bits, 16).map_err(|_| "no bits")?))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn run(compiler: &str, rounds: usize) -> Result<(), String> {
    let version = Command::new(compiler).arg("--version").output().map_err(|error| format!("{compiler}: {error}"))?;
    println!("C: {}", String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or("?"));
    println!("\nnanoseconds per call, medians of {rounds} interleaved rounds over {ROWS} rows of inputs\n");
    println!(
        "| loop | Kiln | C -O3 -march=native -ffp-contract=off | Kiln / C | same bits | compile, us |\n|---|---|---|---|---|---|"
    );
    let mut peer = Peer::start(compiler)?;
    for (name, ranges, kind) in KERNELS {
        let path = root().join(format!("examples/{name}.kiln"));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let engine = Engine::new();
        let start = Instant::now();
        engine.compile(&text).map_err(|error| format!("{name}: {error}"))?;
        let compile = start.elapsed().as_secs_f64() * 1e6;
        let columns: Vec<Vec<f64>> = (1..).zip(ranges).map(|(i, &(low, high))| column(i, low, high, ROWS)).collect();
        let mut kernel = kernel(&engine, &text, *kind, columns).map_err(|error| format!("{name}: {error}"))?;
        let (mut ours, mut theirs, mut same) = (Vec::new(), Vec::new(), true);
        for _ in 0..rounds {
            let start = Instant::now();
            let out = kernel();
            ours.push(start.elapsed().as_secs_f64() * 1e9 / ROWS as f64);
            let (ns, bits) = peer.measure(name, ranges)?;
            theirs.push(ns);
            same &= bits == out.iter().fold(0, |bits: u64, value| bits.rotate_left(1) ^ value.to_bits());
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        let same = if same { "yes" } else { "NO" };
        println!("| {name} | {ours:.1} | {theirs:.1} | {:.2} | {same} | {compile:.0} |", ours / theirs);
    }
    Ok(())
}

/// A function that calls the formula for every row.
fn kernel(
    engine: &Engine,
    text: &str,
    kind: Kind,
    columns: Vec<Vec<f64>>,
) -> Result<Box<dyn FnMut() -> Vec<f64>>, String> {
    let formula = engine.formula(text);
    let failed = |error: kiln::Error| error.to_string();
    Ok(match kind {
        Kind::Points => {
            let f: TypedFunction<fn(f64, f64) -> i32> = formula.compile_typed().map_err(failed)?;
            rows(columns, move |x, y, _| f64::from(f.call(x, y)))
        }
        Kind::Number => {
            let f: TypedFunction<fn(f64) -> f64> = formula.compile_typed().map_err(failed)?;
            rows(columns, move |x, _, _| f.call(x))
        }
        Kind::Numbers => {
            let f: TypedFunction<fn(f64, f64, f64) -> f64> = formula.compile_typed().map_err(failed)?;
            rows(columns, move |x, y, z| f.call(x, y, z))
        }
        Kind::Integer => {
            let f: TypedFunction<fn(i64) -> Result<i64, RunError>> = formula.compile_typed().map_err(failed)?;
            rows(columns, move |x, _, _| f.call(x as i64).map_or(f64::NAN, |steps| steps as f64))
        }
    })
}

fn rows(columns: Vec<Vec<f64>>, f: impl Fn(f64, f64, f64) -> f64 + 'static) -> Box<dyn FnMut() -> Vec<f64>> {
    Box::new(move || {
        let columns = black_box(&columns);
        (0..ROWS).map(|row| f(columns[0][row], columns[1][row], columns[2][row])).collect()
    })
}
