//! The `kiln` program: evaluate, inspect and run formulas compiled to machine code.
//!
//! Owns the way from the command line to an exit code. The one idea: every command is a function that writes its
//! results to `out` and returns a [`report::Failure`] or nothing; only this file turns failures into text on
//! standard error and into exit codes: 0 for success, 1 for a formula or an input that is wrong, 2 for a wrong command
//! line.
//!
//! To add a command: its variant with its help in `args`, its module, its line in `dispatch`, its contract in `tests/`.
#![forbid(unsafe_code)]

mod args;
mod asm;
mod bench;
mod beside;
mod describe;
mod entry;
mod eval;
mod fmt;
mod functions;
mod json;
mod library;
mod repl;
mod report;
mod run;
mod shell;
mod value;

use args::{Cli, Command};
use clap::Parser as _;
use report::{Failure, Printer};
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(cli.color);
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let result = dispatch(cli.command, &printer, &mut out).and_then(|()| Ok(out.flush()?));
    let code = match result {
        Ok(()) => 0,
        Err(failure) => {
            // What was computed before the failure is shown before it.
            let _ = out.flush();
            printer.failure(&failure)
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: Command, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    match command {
        Command::Eval(args) if args.json_lines => json::serve(&args, io::stdin().lock(), out),
        Command::Eval(args) => eval::eval(&args, printer, out),
        Command::Asm(args) => asm::asm(&args, printer, out),
        Command::Explain(args) => describe::explain(&args, printer, out),
        Command::Bench(args) => bench::bench(&args, printer, out),
        Command::Fmt(args) => fmt::fmt(&args, printer, out),
        Command::Functions(args) => functions::functions(&args, printer, out),
        Command::Repl(args) => repl::repl(&args, printer, out),
        Command::Run(args) => run::run(&args, printer, out),
        Command::Completions(args) => shell::completions(&args, out),
        Command::Man(args) => shell::man(&args, out),
    }
}
