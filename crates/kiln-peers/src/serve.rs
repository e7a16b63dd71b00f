//! Measuring on request, for a program in another language that measures its own engines in between.
//!
//! A line `ENGINE FORMULA ROWS` is answered by a line: nanoseconds a row of one sample, `-` if the engine cannot, or
//! `error` and why. What was compiled stays until another formula or another number of rows is asked for.
//! `results FORMULA ROWS FILE` writes what the inputs are (column by column) and what the results should be, to the nearest
//! double, as little-endian doubles.

use crate::column::Data;
use crate::engines::{Engine, Precision, Purpose};
use crate::formula::Formula;
use crate::measure::{self, Race};
use crate::reference::Reference;
use std::fs;
use std::io::{BufRead, Write};
use std::time::Duration;

/// A process that has slept runs slower for a while: the first that was asked for took 1.6 times as long as the same engine
/// asked for last.
const AWAKE: Duration = Duration::from_millis(5);

/// What is compiled, and how often each engine repeats it in a sample.
struct Current {
    formula: String,
    rows: usize,
    race: Race,
    repeats: Vec<Option<u32>>,
}

/// Answers until the input ends.
pub(crate) fn serve(
    formulas: &[Formula],
    engines: &mut [Box<dyn Engine>],
    input: impl BufRead,
    out: &mut dyn Write,
) -> Result<(), String> {
    let mut current: Option<Current> = None;
    for line in input.lines() {
        let line = line.map_err(|error| error.to_string())?;
        let answer = match answer(&line, formulas, engines, &mut current) {
            Ok(answer) => answer,
            Err(error) => format!("error {error}"),
        };
        writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn find<'a>(formulas: &'a [Formula], name: &str, rows: &str) -> Result<(&'a Formula, usize), String> {
    let formula = formulas.iter().find(|formula| formula.name == name);
    let formula = formula.ok_or_else(|| format!("there is no formula {name}"))?;
    let rows = rows.parse().ok().filter(|rows| (1..=1 << 28).contains(rows));
    Ok((formula, rows.ok_or("rows are a number up to 2^28")?))
}

fn answer(
    line: &str,
    formulas: &[Formula],
    engines: &mut [Box<dyn Engine>],
    current: &mut Option<Current>,
) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["results", name, rows, path] = words[..] {
        let (formula, rows) = find(formulas, name, rows)?;
        return results(formula, rows, path);
    }
    let [engine, name, rows] = words[..] else { return Err("ENGINE FORMULA ROWS is expected".to_owned()) };
    let (formula, rows) = find(formulas, name, rows)?;
    let at = engines.iter().position(|other| other.name() == engine);
    let at = at.ok_or_else(|| format!("there is no engine {engine}"))?;
    if current.as_ref().is_none_or(|current| current.formula != name || current.rows != rows) {
        // The old columns go before the new ones come.
        drop(current.take());
        let race = Race::new(formula, engines, Purpose::Columns, rows);
        *current = Some(Current { formula: name.to_owned(), rows, race, repeats: vec![None; engines.len()] });
    }
    let Some(current) = current else { return Ok("-".to_owned()) };
    let sample = current.race.sample(at, &mut current.repeats[at], AWAKE);
    Ok(sample.map_or("-".to_owned(), |time| time.to_string()))
}

fn results(formula: &Formula, rows: usize, path: &str) -> Result<String, String> {
    let data = Data::new(formula, rows);
    let reference = Reference::new(formula, &data, rows.min(measure::ROWS), Precision::Double);
    let exact = reference.ok_or("no reference")?.nearest();
    let numbers = data.inputs.iter().flat_map(|column| column.iter().copied()).chain(exact);
    let bytes: Vec<u8> = numbers.flat_map(f64::to_le_bytes).collect();
    fs::write(path, bytes).map_err(|error| format!("cannot write {path}: {error}"))?;
    Ok("written".to_owned())
}
