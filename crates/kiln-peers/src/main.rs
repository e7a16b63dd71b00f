//! Kiln beside other engines.
//!
//! Owns the command line. The one idea: every engine gets the same formulas, the same inputs in the same memory and the same
//! turns on the same machine, so the ratios within a run mean something; the numbers alone mean little. `--markdown` makes
//! the tables of the pages.
//!
//! This crate is outside of the workspace's default members: it depends on other engines, and nothing depends on it.
//! Unsafe code stands in `foreign` alone, which calls what other compilers have made.
#![deny(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that reports")]

mod column;
mod engines;
#[allow(unsafe_code, reason = "it calls machine code that other engines have made, and loads libraries")]
mod foreign;
mod formula;
mod functions;
mod machine;
mod measure;
mod print;
mod reference;
mod report;
mod serve;
#[cfg(test)]
mod tests;

use clap::{Args, Parser, Subcommand};
use engines::{Choice, Engine, Purpose};
use formula::Formula;
use measure::{ROWS, Race};
use report::{Results, Table};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "kiln-peers", about = "Kiln beside other engines: times, ratios and errors")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What it takes from the text of a formula to something that can be called.
    Compile(Options),
    /// What one call costs, with inputs that change.
    Call(Options),
    /// What a row of columns costs.
    Columns(Options),
    /// All of these, with one table of means.
    All(Options),
    /// What a row of each function costs beside vector libraries, and how far off the results are.
    Functions(functions::Arguments),
    /// Answer lines `ENGINE FORMULA ROWS` with nanoseconds a row: for programs that take turns with this one.
    Serve(Options),
    /// Print the formulas in the syntax of an engine, as JSON.
    Print {
        /// The name of the syntax.
        syntax: String,
        #[command(flatten)]
        options: Options,
    },
    /// List the engines that are here, and what one has to know of them.
    Engines(Options),
}

#[derive(Args, Clone)]
struct Options {
    /// Formulas: lines of name, formula and inputs (name:low:high,...), separated by tabs. Without it, the suite.
    #[arg(long)]
    formulas: Option<PathBuf>,
    /// Only these formulas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these engines.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Numbers of rows for columns.
    #[arg(long, value_delimiter = ',', default_value = "4096", value_parser = clap::value_parser!(u64).range(1..=1 << 28))]
    rows: Vec<u64>,
    /// How many rounds; medians are shown.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// The engine that ratios refer to.
    #[arg(long, default_value = "rustc")]
    reference: String,
    /// How many threads Kiln may use over columns.
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// More options for the C compilers, such as -mprefer-vector-width=512.
    #[arg(long, value_delimiter = ' ', allow_hyphen_values = true)]
    c_flags: Vec<String>,
    /// Write all numbers to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Tables in Markdown.
    #[arg(long)]
    markdown: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be measured.
struct Session {
    options: Options,
    formulas: Vec<Formula>,
    engines: Vec<Box<dyn Engine>>,
}

impl Session {
    fn new(options: Options) -> Result<Session, String> {
        let mut formulas = formula::formulas(options.formulas.as_deref())?;
        if let Some(name) = options.only.iter().find(|name| !formulas.iter().any(|formula| formula.name == **name)) {
            return Err(format!("there is no formula {name}"));
        }
        formulas.retain(|formula| options.only.is_empty() || options.only.contains(&formula.name));
        let (names, threads, c_flags) = (options.engines.clone(), options.threads, options.c_flags.clone());
        let engines = engines::chosen(&Choice { names, threads, c_flags })?;
        Ok(Session { options, formulas, engines })
    }

    /// Compiles all formulas where that is done together.
    fn prepare(&mut self) -> Result<(), String> {
        for engine in &mut self.engines {
            engine.prepare(&self.formulas).map_err(|error| format!("{}: {error}", engine.name()))?;
        }
        Ok(())
    }

    fn results(&mut self, command: String, title: String, what: Option<(Purpose, usize)>) -> Results {
        let rounds = self.options.rounds as usize;
        let mut cells = vec![];
        for formula in &self.formulas {
            eprintln!("{command}: {}", formula.name);
            cells.push(match what {
                None => measure::compile(formula, &mut self.engines, rounds),
                Some((purpose, rows)) => {
                    Race::new(formula, &mut self.engines, purpose, rows).run(formula, &self.engines, rounds)
                }
            });
        }
        let formulas = self.formulas.iter().map(|formula| (formula.name.clone(), formula.kind())).collect();
        let engines = self.engines.iter().map(|engine| engine.name()).collect();
        Results { command, title, formulas, engines, cells }
    }

    /// Must come before `prepare`, after which the compilers have compiled everything.
    fn compile(&mut self) -> Results {
        let rounds = self.options.rounds;
        let title = format!("Text to callable, microseconds, medians of {rounds} rounds in turns; programs once");
        self.results("compile".to_owned(), title, None)
    }

    fn call(&mut self) -> Results {
        let rounds = self.options.rounds;
        let title = format!("A call, nanoseconds, medians of {rounds} rounds in turns over {ROWS} rows of inputs");
        self.results("call".to_owned(), title, Some((Purpose::Calls, ROWS)))
    }

    fn columns(&mut self) -> Vec<Results> {
        let rounds = self.options.rounds;
        let rows = self.options.rows.clone();
        let measured = |&rows: &u64| {
            let title = format!("Columns of {rows} rows, nanoseconds a row, medians of {rounds} rounds in turns");
            self.results(format!("columns {rows}"), title, Some((Purpose::Columns, rows as usize)))
        };
        rows.iter().map(measured).collect()
    }

    /// Shows and writes what was measured.
    fn show(&self, all: &[&Results]) -> Result<(), String> {
        let (markdown, reference) = (self.options.markdown, &self.options.reference);
        let heading = |text: &str| if markdown { format!("### {text}\n") } else { text.to_owned() };
        for results in all {
            println!("\n{}", heading(&results.title));
            print!("{}", results.times(reference).show(markdown));
            if let Some(table) = results.accuracy(reference) {
                println!("\n{}", heading("The worst error of these results, units of the last place"));
                print!("{}", table.show(markdown));
            }
        }
        let Some(path) = &self.options.json else { return Ok(()) };
        let values: Vec<_> = all.iter().flat_map(|results| results.json()).collect();
        let value = serde_json::json!({ "machine": machine::machine(), "results": values });
        std::fs::write(path, value.to_string()).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Machine, versions, and what one has to know of the engines.
    fn head(&self) {
        println!("{}\n{}\n", machine::machine(), machine::packages());
        print!("{}", self.notes().show(self.options.markdown));
    }

    fn notes(&self) -> Table {
        let mut table = Table::new(["engine", "what one has to know"]).prose();
        for engine in &self.engines {
            let row_by_row = if engine.goes_row_by_row() { "; columns are calls row by row" } else { "" };
            table.push(vec![engine.name().to_owned(), engine.note() + row_by_row]);
        }
        table
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Compile(options) => {
            let mut session = Session::new(options)?;
            session.head();
            let results = session.compile();
            session.show(&[&results])
        }
        Command::Call(options) => {
            let mut session = Session::new(options)?;
            session.head();
            session.prepare()?;
            let results = session.call();
            session.show(&[&results])
        }
        Command::Columns(options) => {
            let mut session = Session::new(options)?;
            session.head();
            session.prepare()?;
            let results = session.columns();
            session.show(&results.iter().collect::<Vec<_>>())
        }
        Command::All(options) => {
            let mut session = Session::new(options)?;
            session.head();
            let compile = session.compile();
            session.prepare()?;
            let call = session.call();
            let columns = session.columns();
            let (markdown, reference) = (session.options.markdown, &session.options.reference);
            println!("\n{}\n", report::legend(reference));
            print!("{}", report::summary(&compile, &call, &columns, reference).show(markdown));
            let all: Vec<&Results> = [&compile, &call].into_iter().chain(&columns).collect();
            session.show(&all)
        }
        Command::Functions(arguments) => functions::run(&arguments),
        Command::Serve(options) => {
            let mut session = Session::new(options)?;
            session.prepare()?;
            serve::serve(
                &session.formulas,
                &mut session.engines,
                std::io::stdin().lock(),
                &mut std::io::stdout().lock(),
            )
        }
        Command::Print { syntax, options } => {
            let found = print::SYNTAXES.iter().find(|row| row.name == syntax);
            let known = || print::SYNTAXES.map(|row| row.name).join(", ");
            let found = found.ok_or_else(|| format!("there is no syntax {syntax}; these are: {}", known()))?;
            let session = Session::new(Options { engines: vec!["kiln".to_owned()], ..options })?;
            let formulas: Vec<_> = session.formulas.iter().map(|formula| described(formula, found)).collect();
            println!("{}", serde_json::Value::from(formulas));
            Ok(())
        }
        Command::Engines(options) => {
            let session = Session::new(options)?;
            session.head();
            Ok(())
        }
    }
}

/// A formula for another program.
fn described(formula: &Formula, syntax: &print::Syntax) -> serde_json::Value {
    let inputs: Vec<_> = formula.inputs.iter().map(|input| &input.name).collect();
    let printed = print::print(formula, syntax);
    serde_json::json!({
        "name": formula.name, "kind": formula.kind().to_string(), "inputs": inputs,
        "lets": printed.as_ref().map(|printed| &printed.lets), "result": printed.as_ref().map(|printed| &printed.result),
    })
}
