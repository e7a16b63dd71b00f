//! `kiln asm`: the machine code of a formula.
//!
//! Owns the listing's layout, which `kiln explain` shares. Each line: address, bytes, instruction, and the part of the
//! formula that asked for it.

use crate::args::{AsmArgs, Emit, FormulaArgs};
use crate::eval::option_or;
use crate::report::{Failure, Ink, Printer};
use kiln::{Engine, Inspection};
use std::fmt::Write as _;
use std::io;

/// How many bytes of an instruction stand in one line.
const LINE_BYTES: usize = 8;
/// The width of the column of instructions; longer ones push the formula part to the right.
const TEXT_WIDTH: usize = 40;

/// Compiles the formula and keeps everything that happened.
pub(crate) fn inspect(
    engine: &Engine,
    args: &FormulaArgs,
    formula: &[u8],
    printer: &Printer,
) -> Result<Inspection, Failure> {
    let inspected = args.declare(engine.formula_bytes(formula)).inspect();
    let inspection = inspected.map_err(|error| option_or(formula, error.into()))?;
    printer.warnings(None, &inspection.source, &inspection.warnings);
    Ok(inspection)
}

/// Runs the command.
pub(crate) fn asm(args: &AsmArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let formula = args.source.read()?;
    let inspection = inspect(&args.formula_args.build()?, &args.formula_args, &formula, printer)?;
    let heading = |text: &str| printer.ink(Ink::Heading, text);
    match args.emit {
        Emit::Asm => out.write_all(listing(&inspection, printer).as_bytes())?,
        Emit::Hex => writeln!(out, "{}", hex(&inspection.bytes, " "))?,
        Emit::Raw => out.write_all(&inspection.bytes)?,
        Emit::Ir => writeln!(out, "{}", inspection.ir.trim_end())?,
        Emit::Ast => writeln!(out, "{}", inspection.ast.trim_end())?,
        Emit::All => {
            writeln!(out, "{}\n{}\n", heading("syntax tree"), inspection.ast.trim_end())?;
            writeln!(out, "{}\n{}\n", heading("operations"), inspection.ir.trim_end())?;
            writeln!(out, "{}\n{}", heading("machine code"), listing(&inspection, printer))?;
            writeln!(out, "{}\n{}", heading("bytes"), hex(&inspection.bytes, " "))?;
        }
    }
    Ok(())
}

/// The bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

/// The code with the formula parts that its lines come from.
pub(crate) fn listing(inspection: &Inspection, printer: &Printer) -> String {
    let mut text = String::new();
    for line in &inspection.code {
        let mut chunks = line.bytes.chunks(LINE_BYTES);
        let bytes = hex(chunks.next().unwrap_or(&[]), " ");
        let part = line.span.map_or("", |span| inspection.part(span));
        let width = 3 * LINE_BYTES;
        let address = printer.ink(Ink::Faint, &format!("{:04x}", line.offset));
        let bytes = printer.ink(Ink::Faint, &format!("{bytes:width$}"));
        let instruction = if part.is_empty() {
            line.text.clone()
        } else {
            format!("{:TEXT_WIDTH$} {}", line.text, printer.ink(Ink::Name, &format!("; {}", one_line(part))))
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{address}  {bytes}  {instruction}");
        for (n, chunk) in chunks.enumerate() {
            let offset = line.offset + (n + 1) * LINE_BYTES;
            let address = printer.ink(Ink::Faint, &format!("{offset:04x}"));
            let _ = writeln!(text, "{address}  {}", printer.ink(Ink::Faint, &hex(chunk, " ")));
        }
    }
    text
}

/// A part of a formula on one line, cut where it is long.
pub(crate) fn one_line(part: &str) -> String {
    const LONGEST: usize = 48;
    let words = part.split_whitespace().take(LONGEST).collect::<Vec<_>>().join(" ");
    let mut chars = words.chars().filter(|c| !c.is_control());
    let mut short: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() {
        short.push_str("...");
    }
    short
}
