//! `kiln completions` and `kiln man`: what is generated from the definition of the command line.

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::eval::clean;
use crate::report::Failure;
use clap::CommandFactory as _;
use std::io;

/// Writes the completion script.
pub(crate) fn completions(args: &CompletionsArgs, out: &mut dyn io::Write) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kiln", &mut script);
    Ok(out.write_all(&script)?)
}

/// Writes the manual page of the program or of one command.
pub(crate) fn man(args: &ManArgs, out: &mut dyn io::Write) -> Result<(), Failure> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::usage(format!("there is no command `{}`", clean(name))))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(out.write_all(&page)?)
}
