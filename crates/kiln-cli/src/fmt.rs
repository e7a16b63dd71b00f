//! `kiln fmt`: formulas in their canonical form.
//!
//! Owns what becomes of files; the form itself is the library's. The one idea: a file that is wrong is reported and left
//! alone, and the others are still done.

use crate::args::FmtArgs;
use crate::beside;
use crate::eval::{read_file, utf8};
use crate::report::{Failure, Printer};
use std::io;
use std::path::Path;

/// How messages call standard input.
const STDIN: &str = "standard input";

/// Runs the command.
pub(crate) fn fmt(args: &FmtArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    if let Some(formula) = &args.formula {
        let canonical = kiln::format(formula)?;
        if !args.check {
            writeln!(out, "{canonical}")?;
        }
        return if args.check && canonical != *formula { Err(Failure::Reported) } else { Ok(()) };
    }
    let stdin = [Path::new("-").to_path_buf()];
    let mut failed = false;
    for path in if args.files.is_empty() { &stdin[..] } else { &args.files } {
        match file(path, args.check, out) {
            Ok(fine) => failed |= !fine,
            Err(failure @ Failure::Io(_)) => return Err(failure),
            Err(failure) => {
                out.flush()?;
                printer.failure(&failure);
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Formats a file, or says with `false` that it is to be formatted.
fn file(path: &Path, check: bool, out: &mut dyn io::Write) -> Result<bool, Failure> {
    let stdin = path == Path::new("-");
    let name = if stdin { STDIN.to_owned() } else { path.display().to_string() };
    let text = utf8(&name, read_file(path)?)?;
    let new = canonical(&text).map_err(|error| Failure::Formula { origin: Some(name.clone()), error })?;
    if check {
        if new != text {
            writeln!(out, "{name}")?;
        }
        return Ok(new == text);
    }
    if stdin {
        out.write_all(new.as_bytes())?;
    } else if new != text {
        beside::replace(path, new.as_bytes())?;
    }
    Ok(true)
}

/// The canonical form of a file's text, with line ends as they are in its first line.
fn canonical(text: &str) -> Result<String, kiln::Error> {
    let mut new = kiln::format(text)?;
    if !new.is_empty() {
        new.push('\n');
    }
    let crlf = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
    Ok(if crlf { new.replace('\n', "\r\n") } else { new })
}
