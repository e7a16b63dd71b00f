//! `kiln functions`: the function table as text.

use crate::args::FunctionsArgs;
use crate::eval::clean;
use crate::report::{Failure, Ink, Printer, similar};
use kiln::FunctionInfo;
use std::io;

/// Runs the command.
pub(crate) fn functions(args: &FunctionsArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    match &args.name {
        Some(name) => one(name, printer, out),
        None => all(printer, out),
    }
}

fn all(printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let width = kiln::functions().map(|f| f.signature.chars().count()).max().unwrap_or(0);
    for function in kiln::functions() {
        let signature = printer.ink(Ink::Name, &format!("{:width$}", function.signature));
        writeln!(out, "{signature}  {}{}", function.doc, also(&function))?;
    }
    Ok(())
}

fn also(function: &FunctionInfo) -> String {
    if function.aliases.is_empty() { String::new() } else { format!(" (also: {})", function.aliases.join(", ")) }
}

/// Writes all that is known of one function.
pub(crate) fn one(name: &str, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let Some(function) = kiln::functions().find(|f| f.name == name || f.aliases.contains(&name)) else {
        let failure = Failure::input(format!("there is no function `{}`", clean(name)));
        let names = kiln::functions().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
        let near = similar(name, names).map(|near| format!("did you mean `{near}`?"));
        return Err(failure.help(near.unwrap_or_else(|| "`kiln functions` lists all of them".to_owned())));
    };
    writeln!(out, "{}", printer.ink(Ink::Name, function.signature))?;
    writeln!(out, "  {}", function.doc)?;
    let bound = match function.error_bound {
        0.0 => "exact, or as exact as the operations it is made of".to_owned(),
        b if b.is_infinite() => "small in absolute terms; not bounded in units in the last place".to_owned(),
        b => format!("at most {b} units in the last place (f64)"),
    };
    let rows = [
        ("also", function.aliases.join(", ")),
        ("domain", if function.domain.is_empty() { "everywhere".to_owned() } else { function.domain.to_owned() }),
        ("error", bound),
    ];
    for (title, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(out, "  {}  {text}", printer.ink(Ink::Faint, &format!("{title:6}")))?;
    }
    Ok(())
}
