//! `kiln explain`: every stage between a formula and its machine code, to be read.
//!
//! Owns the order and the headings of the stages. The one idea: each stage says in half a line what it did, so that the
//! page can be read by someone who has never seen a compiler.

use crate::args::ExplainArgs;
use crate::asm::{hex, inspect, listing, one_line};
use crate::report::{Failure, Ink, Printer};
use kiln::Inspection;
use std::collections::HashMap;
use std::io;

/// Runs the command.
pub(crate) fn explain(args: &ExplainArgs, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let formula = args.source.read()?;
    let inspection = inspect(&args.formula_args.build()?, &args.formula_args, &formula, printer)?;
    write(&inspection, printer, out)
}

/// Writes all stages.
pub(crate) fn write(inspection: &Inspection, printer: &Printer, out: &mut dyn io::Write) -> Result<(), Failure> {
    let mut stages: Vec<(&str, String, String)> = vec![
        ("source", "the formula as it is read".to_owned(), inspection.canonical.clone()),
        ("syntax tree", "what belongs together".to_owned(), inspection.ast.clone()),
        ("operations", "one a line, as written".to_owned(), inspection.ir_unoptimised.clone()),
        ("simplified", rules(inspection), simplified(inspection)),
    ];
    if !inspection.passes.is_empty() {
        stages.push(("loops and calls", "what became of them".to_owned(), passes(inspection)));
    }
    stages.push(("machine code", summary(inspection), listing(inspection, printer)));
    let bytes = format!("{} bytes", inspection.bytes.len());
    stages.push(("bytes", bytes, lines_of_bytes(&inspection.bytes)));
    for (n, (name, note, text)) in stages.iter().enumerate() {
        let heading = printer.ink(Ink::Heading, &format!("{}. {name}", n + 1));
        writeln!(out, "{heading}  {}", printer.ink(Ink::Faint, note))?;
        for line in text.trim_end().lines() {
            writeln!(out, "   {line}")?;
        }
        writeln!(out)?;
    }
    if !inspection.stages.is_empty() {
        let total: std::time::Duration = inspection.stages.iter().map(|(_, time)| *time).sum();
        let each = inspection.stages.iter().map(|(name, time)| format!("{name} {time:.1?}"));
        let line = format!("{total:.1?} in all: {}", each.collect::<Vec<_>>().join(", "));
        writeln!(out, "{}  {line}", printer.ink(Ink::Heading, "time"))?;
    }
    Ok(())
}

fn rules(inspection: &Inspection) -> String {
    match inspection.rules.len() {
        0 => "no rule applied".to_owned(),
        1 => "one rule applied".to_owned(),
        n => format!("{n} rules applied"),
    }
}

fn simplified(inspection: &Inspection) -> String {
    let mut text = String::new();
    for fired in &inspection.rules {
        // What the compiler adds, such as the steps of a loop, stands nowhere.
        text += &match one_line(inspection.part(fired.span)) {
            part if part.is_empty() => format!("rule {} gives {}\n", fired.rule, fired.result),
            part => format!("rule {}: `{part}` becomes {}\n", fired.rule, fired.result),
        };
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &inspection.ir_built
}

/// What was done to loops and calls, each once with how often, and the operations after that.
fn passes(inspection: &Inspection) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for event in &inspection.passes {
        let line = format!("{}: `{}` {}", event.pass, one_line(inspection.part(event.span)), event.what);
        let place = *places.entry(line.clone()).or_insert(lines.len());
        match lines.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => lines.push((line, 1)),
        }
    }
    let mut text = String::new();
    for (line, count) in lines {
        text += &line;
        text += &if count > 1 { format!(" ({count} times)\n") } else { "\n".to_owned() };
    }
    if inspection.ir != inspection.ir_built {
        text.push('\n');
        text += &inspection.ir;
    }
    text
}

fn summary(inspection: &Inspection) -> String {
    let inputs = inspection.params.iter().map(|param| format!("{}: {}", param.name, param.ty)).collect::<Vec<_>>();
    format!("({}) -> {}, x86-64 {}", inputs.join(", "), results(inspection), inspection.level.name())
}

/// The type of the result, or the names and types of several.
fn results(inspection: &Inspection) -> String {
    match &inspection.outputs[..] {
        [only] if only.name.is_empty() => only.ty.to_string(),
        outputs => {
            let each = outputs.iter().map(|output| format!("{}: {}", output.name, output.ty)).collect::<Vec<_>>();
            format!("{{ {} }}", each.join(", "))
        }
    }
}

fn lines_of_bytes(bytes: &[u8]) -> String {
    const WIDTH: usize = 16;
    let lines = bytes.chunks(WIDTH).enumerate().map(|(n, line)| format!("{:04x}  {}", n * WIDTH, hex(line, " ")));
    lines.collect::<Vec<_>>().join("\n")
}
