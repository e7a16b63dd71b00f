//! `cargo xtask bench compile|call|loops`: times, as medians of interleaved rounds.
//!
//! Owns the formulas, the clock and the tables. A benchmark is a program and never a test: only ratios of what one run
//! measured side by side count, so machine and versions are printed with them.

mod call;
mod compile;
mod loops;

use crate::root;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::Command;

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure.
    what: What,
    /// File of formulas: name, formula, name:low:high,..., tab-separated.
    #[arg(long)]
    formulas: Option<PathBuf>,
    /// Only formulas whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Interleaved rounds; the median is reported.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// The C compiler to compare with (`loops`).
    #[arg(long, default_value = "clang")]
    c_compiler: String,
    /// Leave out the run over long formulas (`compile`).
    #[arg(long)]
    no_scaling: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum What {
    /// Text to callable, and stage by stage.
    Compile,
    /// One scalar call.
    Call,
    /// The loops in `examples/`, beside C.
    Loops,
}

/// A formula to measure.
struct Formula {
    name: String,
    text: String,
    /// Name and range of each input.
    inputs: Vec<(String, f64, f64)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let path = arguments.formulas.clone().unwrap_or_else(|| root().join("crates/kiln/benches/formulas.tsv"));
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut formulas = text.lines().filter(|line| !line.starts_with('#')).map(read).collect::<Result<Vec<_>, _>>()?;
    formulas.retain(|formula| formula.name.contains(&arguments.only));
    machine();
    match arguments.what {
        What::Compile => compile::run(&formulas, arguments.rounds, !arguments.no_scaling),
        What::Call => call::run(&formulas, arguments.rounds),
        What::Loops => loops::run(&arguments.c_compiler, arguments.rounds),
    }
}

fn read(line: &str) -> Result<Formula, String> {
    let wrong = || format!("not a line of formulas: {line}");
    let mut cells = line.split('\t');
    let (name, text, inputs) = (cells.next(), cells.next(), cells.next());
    let inputs = inputs.ok_or_else(wrong)?.split(',').map(|input| {
        let mut parts = input.split(':');
        let name = parts.next()?.to_owned();
        Some((name, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    let inputs = inputs.collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    Ok(Formula { name: name.ok_or_else(wrong)?.to_owned(), text: text.ok_or_else(wrong)?.to_owned(), inputs })
}

/// Prints what the numbers were measured on.
fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |m| m.trim_matches([' ', '\t', ':']));
    let threads = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc =
        Command::new("rustc").arg("--version").output().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let level = kiln::Engine::new().level();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "machine: {model}, {threads} threads, level {}, load {}",
        level.name(),
        load.split(' ').next().unwrap_or("?")
    );
    println!("versions: kiln {}, {}", env!("CARGO_PKG_VERSION"), rustc.unwrap_or_default());
}

/// The middle one.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The geometric mean.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value.ln(), count + 1.0));
    (sum / count).exp()
}
