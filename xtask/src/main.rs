//! Maintenance commands of the workspace: `cargo xtask <command>`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program that reports")]
#![forbid(unsafe_code)]

mod bench;
mod math;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Maintenance commands of the Kiln workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run everything that continuous integration runs, but install nothing.
    Check,
    /// Rewrite everything that tests compare with files: tables, the list of public items, expectations.
    Bless,
    /// Rewrite the generated pages docs/ir.md and docs/math.md.
    Gen,
    /// Measure compile times or calls.
    Bench(bench::Arguments),
    /// Measure the accuracy of built-in functions; build with `--release`.
    Math(math::Arguments),
}

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a command in the root; did it succeed?
fn run(mut command: Command) -> bool {
    eprintln!("running {command:?}");
    match command.current_dir(root()).status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?}: {error}");
            false
        }
    }
}

fn cargo(words: &[&str], bless: bool) -> bool {
    let mut command = Command::new(env!("CARGO"));
    command.args(words);
    if bless {
        command.env("KILN_BLESS", "1");
    }
    run(command)
}

fn report(result: Result<(), String>) -> bool {
    result.inspect_err(|message| eprintln!("{message}")).is_ok()
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Task::Check => {
            let mut command = Command::new("bash");
            command.args([".ci/run", "--no-install"]);
            run(command)
        }
        Task::Bless => cargo(&["test"], true),
        Task::Gen => cargo(&["test", "-p", "kiln", "--lib", "tables"], true),
        Task::Bench(arguments) => report(bench::run(&arguments)),
        Task::Math(arguments) => report(math::run(&arguments)),
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
