//! The formulas of a run, compiled, and the order in which a row goes through them.
//!
//! Owns the slots: one for each column of the file, then one for each result of each `--let`. The one idea: a cell is
//! read when the first formula that is reached wants it, and once; a formula with a missing argument is not called, its
//! results are missing. The filter goes first, with those new columns that it uses, so rows that are dropped cost nothing more.
//!
//! A name in a `--let` is the nearest earlier `--let` of that name, else a column. In `--where` columns go first.

use super::Header;
use super::types::{self, Column, Kind, Nulls};
use crate::args::RunArgs;
use crate::eval::{clean, run_failure};
use crate::report::{Failure, Printer};
use csv::ByteRecord;
use kiln::{Diagnostic, Engine, Error, Function, Output, RunError, Span, Type, Value};
use std::collections::HashMap;
use std::ops::Range;

/// A `--let` as it was given.
pub(crate) struct Request {
    /// The name of the new column, or what the names of several begin with; none if the formula names them.
    name: Option<String>,
    formula: String,
}

/// Where a cell of the output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// As it came, from this column.
    Column(usize),
    /// The value in this slot.
    Slot(usize),
}

/// A compiled formula and the slots of its arguments.
struct Step {
    origin: String,
    function: Function,
    arguments: Vec<usize>,
    /// The slots of the results.
    targets: Range<usize>,
}

impl Step {
    /// An error of the computation, with the row in which it happened.
    fn failure(&self, error: &RunError, place: &Place) -> Failure {
        let origin = format!("{} at {}, line {}", self.origin, place.file, place.line);
        run_failure(&self.function, error, Some(&origin))
    }
}

/// All formulas of a run.
pub(crate) struct Plan {
    names: Vec<String>,
    columns: Vec<Column>,
    filter: Option<Step>,
    /// The new columns, in the order in which they are computed; the first `early` of them are what the filter uses.
    steps: Vec<Step>,
    early: usize,
    values: Vec<Option<Value>>,
    loaded: Vec<bool>,
    arguments: Vec<Value>,
}

/// Reads the `--let` options.
pub(crate) fn requests(args: &RunArgs) -> Result<Vec<Request>, Failure> {
    args.lets.iter().map(|option| request(option)).collect()
}

/// Reads a `--let` option.
fn request(option: &str) -> Result<Request, Failure> {
    let wrong = || {
        let failure = Failure::usage(format!("--let '{}' is not of the form NAME = FORMULA", clean(option)));
        failure.help("for instance --let 'bmi = weight / height^2'")
    };
    let text = option.trim();
    if names_its_results(text) {
        return Ok(Request { name: None, formula: text.to_owned() });
    }
    let (name, formula) = match text.strip_prefix('`') {
        Some(ticked) => {
            let (name, rest) = ticked.split_once('`').ok_or_else(wrong)?;
            (name, rest.trim_start().strip_prefix('=').ok_or_else(wrong)?)
        }
        None => text.split_once('=').ok_or_else(wrong)?,
    };
    let name = name.trim();
    let plain = text.starts_with('`') || is_word(name);
    if name.is_empty() || formula.starts_with('=') {
        return Err(wrong());
    }
    if !plain {
        let help = format!("names that are not plain words stand in back-ticks: `{}` = ...", clean(name));
        return Err(wrong().help(help));
    }
    Ok(Request { name: Some(name.to_owned()), formula: formula.trim().to_owned() })
}

/// Does the text begin as only a formula without a name before it can: with results, a signature or a statement?
fn names_its_results(text: &str) -> bool {
    let word = |word: &&str| {
        let rest = text.strip_prefix(*word).filter(|rest| rest.starts_with(char::is_whitespace));
        rest.is_some_and(|rest| !rest.trim_start().starts_with('='))
    };
    text.starts_with(['{', '|', '#']) || ["fn", "let", "var", "for", "while", "if"].iter().any(word)
}

impl Request {
    /// How messages call it.
    fn origin(&self) -> String {
        format!("--let {}", clean(self.name.as_ref().unwrap_or(&self.formula)))
    }

    /// The names of the columns that the results of its formula become.
    fn columns(&self, outputs: &[Output]) -> Result<Vec<String>, Failure> {
        let column = |output: &Output| match (&self.name, output.name.is_empty()) {
            (Some(name), true) => Ok(name.clone()),
            (Some(name), false) => Ok(format!("{name}.{}", output.name)),
            (None, false) => Ok(output.name.clone()),
            (None, true) => {
                let message = format!("{}: the new column has no name", self.origin());
                Err(Failure::usage(message).help("--let 'NAME = FORMULA', or --let '{ NAME: FORMULA, ... }'"))
            }
        };
        outputs.iter().map(column).collect()
    }
}

fn is_word(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_numeric()) && name.chars().all(is_word_part)
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `formula` uses `name` as a word of its own that is not called, or in back-ticks.
fn mention(formula: &str, name: &str) -> Option<Span> {
    let span = |start: usize, len: usize| Span::new(start as u32, (start + len) as u32);
    let ticked = format!("`{name}`");
    if let Some(at) = formula.find(&ticked) {
        return Some(span(at, ticked.len()));
    }
    let word = |(at, _): &(usize, &str)| {
        let (before, after) = (&formula[..*at], &formula[at + name.len()..]);
        // In `{ r: ... }` and `|r: f64|` the name is the formula's own.
        let named = after.trim_start().starts_with(':') && before.trim_end().ends_with(['{', ',', '|']);
        !before.ends_with(is_word_part)
            && !after.starts_with(is_word_part)
            && !after.trim_start().starts_with('(')
            && !named
    };
    let found = if name.is_empty() { None } else { formula.match_indices(name).find(word) };
    found.map(|(at, _)| span(at, name.len()))
}

/// The columns that formulas may use: those whose names stand in them. Other spellings of a name with letters beyond
/// ASCII can mean the same, so such columns always count.
pub(crate) fn candidates(
    header: &Header,
    requests: &[Request],
    filter: Option<&str>,
    overrides: &HashMap<usize, Kind>,
) -> Vec<usize> {
    let formulas = || requests.iter().map(|request| request.formula.as_str()).chain(filter);
    let used = |name: &str| !name.is_empty() && formulas().any(|formula| !name.is_ascii() || formula.contains(name));
    let columns = 0..header.names.len();
    columns.filter(|column| !overrides.contains_key(column) && used(&header.names[*column])).collect()
}

/// The names that a formula can use, while the plan is made.
struct Scope<'a> {
    header: &'a Header,
    columns: &'a [Column],
    /// Names, slots and types of new columns so far.
    lets: Vec<(String, usize, Type)>,
    /// In the filter, columns of the file go before new ones.
    columns_first: bool,
}

impl Scope<'_> {
    /// The slot and type that a name means.
    fn find(&self, name: &str) -> Option<(usize, Type)> {
        let new = self.lets.iter().find(|(known, ..)| known == name).map(|&(_, slot, ty)| (slot, ty));
        let column = self.header.find(name).and_then(|column| match self.columns[column].kind {
            Kind::Value(ty) => Some((column, ty)),
            Kind::Text { .. } | Kind::Ignored => None,
        });
        if self.columns_first { column.or(new) } else { new.or(column) }
    }

    /// Compiles a formula over these names.
    fn compile(&self, engine: &Engine, origin: &str, text: &str) -> Result<(Function, Vec<usize>), Failure> {
        let names = self.header.names.iter().map(String::as_str).filter(|name| !name.is_empty());
        let names =
            names.chain(self.lets.iter().map(|(name, ..)| name.as_str()).filter(|n| self.header.find(n).is_none()));
        let formula = names.fold(engine.formula(text), |formula, name| match self.find(name) {
            Some((_, ty)) => formula.known(name, ty),
            None => formula,
        });
        let function = formula.compile().map_err(|error| self.failure(origin, text, error))?;
        crate::report::say_if_interpreted(engine, &function);
        let mut arguments = Vec::new();
        for param in function.params() {
            let (slot, ty) = self.find(&param.name).ok_or_else(|| self.unknown(origin, text, &param.name))?;
            if ty != param.ty {
                let name = clean(&param.name);
                let message = format!("`{name}` is declared as {}, but the column is {ty}", param.ty);
                let place = mention(text, &param.name).unwrap_or_default();
                let diagnostic = Diagnostic::error("type", place, message);
                let diagnostic = diagnostic.help(format!("--type '{name}={}' reads it so", param.ty));
                return Err(Failure::diagnostic(origin, text, diagnostic));
            }
            arguments.push(slot);
        }
        Ok((function, arguments))
    }

    /// Why a formula does not compile, in words about columns where these explain it.
    fn failure(&self, origin: &str, text: &str, error: Error) -> Failure {
        let names = || self.header.names.iter().map(String::as_str).chain(self.lets.iter().map(|new| new.0.as_str()));
        if let Some(name) = names().find(|n| self.find(n).is_none() && mention(text, n).is_some()) {
            return self.unknown(origin, text, name);
        }
        let ends = |name: &str| name.starts_with(is_word_part) && name.ends_with(is_word_part);
        let plain = |span: &Span| !span.text(text).starts_with('`');
        let bare = |name: &str| mention(text, name).filter(|span| !is_word(name) && ends(name) && plain(span));
        let is_syntax = error.diagnostics().iter().any(|d| d.is_error() && d.code.starts_with("syntax"));
        match names().find_map(|name| Some((name, bare(name)?))).filter(|_| is_syntax) {
            Some((name, span)) => {
                let message = "a column whose name is no plain word stands in back-ticks";
                let diagnostic = Diagnostic::error("syntax", span, message).fix(span, format!("`{name}`"));
                Failure::diagnostic(origin, text, diagnostic)
            }
            None => Failure::Formula { origin: Some(origin.to_owned()), error },
        }
    }

    /// Compiles the filter.
    fn filter(&self, engine: &Engine, text: &str, printer: &Printer) -> Result<Step, Failure> {
        let origin = "--where".to_owned();
        let (function, arguments) = self.compile(engine, &origin, text)?;
        printer.warnings(Some(&origin), text, function.warnings());
        let whole = Span::new(0, text.len() as u32);
        let diagnostic = match function.outputs() {
            [output] if output.ty == Type::Bool => {
                return Ok(Step { origin, function, arguments, targets: 0..0 });
            }
            [output] => {
                let message = format!("the filter gives {}, not true or false", output.ty);
                Diagnostic::error("type", whole, message).help("compare it: `... > 0`")
            }
            outputs => {
                let message = format!("the filter has {} results, and only one can be true or false", outputs.len());
                Diagnostic::error("type", whole, message).help("--let makes columns of several results")
            }
        };
        Err(Failure::diagnostic(origin, text, diagnostic))
    }

    /// The error that a name means nothing that formulas can compute with.
    fn unknown(&self, origin: &str, text: &str, name: &str) -> Failure {
        let place = mention(text, name).unwrap_or_default();
        let shown = clean(name);
        let diagnostic = match self.header.find(name).map(|column| &self.columns[column].kind) {
            Some(Kind::Text { line, cell }) => {
                let message = format!("the column `{shown}` is text, and formulas compute with numbers and bools");
                let cell = clean(cell);
                Diagnostic::error("type", place, message)
                    .help(format!("line {line} has `{cell}`; if that means a missing value: --null '{cell}'"))
            }
            Some(_) => {
                let message = format!("the column `{shown}` is read as text, as --type says");
                Diagnostic::error("type", place, message)
            }
            None => {
                let near = self.header.suggestion(name);
                let near = match crate::report::similar(name, self.lets.iter().map(|(known, ..)| known.as_str())) {
                    Some(new) => format!("did you mean `{}`?", clean(new)),
                    None => near,
                };
                Diagnostic::error("unknown-name", place, format!("there is no column `{shown}`")).help(near)
            }
        };
        Failure::diagnostic(origin, text, diagnostic)
    }
}

impl Plan {
    /// Compiles all formulas.
    pub(crate) fn compile(
        engine: &Engine,
        requests: &[Request],
        filter: Option<&str>,
        header: &Header,
        columns: Vec<Column>,
        printer: &Printer,
    ) -> Result<Plan, Failure> {
        let mut scope = Scope { header, columns: &columns, lets: Vec::new(), columns_first: false };
        let mut steps = Vec::new();
        let mut slot = header.names.len();
        for request in requests {
            let origin = request.origin();
            let (function, arguments) = scope.compile(engine, &origin, &request.formula)?;
            printer.warnings(Some(&origin), &request.formula, function.warnings());
            let outputs = function.outputs();
            let targets = slot..slot + outputs.len();
            for (name, output) in request.columns(outputs)?.into_iter().zip(outputs) {
                if scope.lets.iter().any(|(known, ..)| *known == name) {
                    return Err(Failure::usage(format!("two --let options define `{}`", clean(&name))));
                }
                scope.lets.push((name, slot, output.ty));
                slot += 1;
            }
            steps.push(Step { origin, function, arguments, targets });
        }
        scope.columns_first = true;
        let filter = match filter {
            Some(text) => Some(scope.filter(engine, text, printer)?),
            None => None,
        };
        let (steps, early) = filter_first(steps, filter.as_ref());
        let names: Vec<String> = header.names.iter().cloned().chain(scope.lets.into_iter().map(|new| new.0)).collect();
        let slots = names.len();
        let (values, loaded, arguments) = (vec![None; slots], vec![false; slots], Vec::new());
        Ok(Plan { names, columns, filter, steps, early, values, loaded, arguments })
    }

    /// The slot of the new column of this name.
    pub(crate) fn replacement(&self, name: &str) -> Option<usize> {
        (self.columns.len()..self.names.len()).find(|&slot| self.names[slot] == name)
    }

    /// The slots of new columns that replace none.
    pub(crate) fn added<'a>(&'a self, header: &'a Header) -> impl Iterator<Item = usize> + 'a {
        (self.columns.len()..self.names.len()).filter(|&slot| header.find(&self.names[slot]).is_none())
    }

    /// The name of a slot.
    pub(crate) fn name(&self, slot: usize) -> &str {
        &self.names[slot]
    }

    /// The value in a slot, for the row that was computed last.
    pub(crate) fn value(&self, slot: usize) -> Option<Value> {
        self.values[slot]
    }

    /// Computes a row; `false` if the filter drops it.
    pub(crate) fn row(&mut self, file: &str, record: &ByteRecord, line: u64, nulls: &Nulls) -> Result<bool, Failure> {
        self.loaded.fill(false);
        let place = Place { file, record, line, nulls };
        let cells = &mut Cells {
            columns: &self.columns,
            names: &self.names,
            values: &mut self.values,
            loaded: &mut self.loaded,
            arguments: &mut self.arguments,
        };
        for step in &self.steps[..self.early] {
            cells.run(step, &place)?;
        }
        if let Some(filter) = &self.filter
            && !matches!(cells.one(filter, &place)?, Some(Value::Bool(true)))
        {
            return Ok(false);
        }
        for step in &self.steps[self.early..] {
            cells.run(step, &place)?;
        }
        Ok(true)
    }
}

/// Moves what the filter uses to the front, otherwise keeping the order.
fn filter_first(steps: Vec<Step>, filter: Option<&Step>) -> (Vec<Step>, usize) {
    let mut wanted: Vec<usize> = filter.map(|step| step.arguments.clone()).unwrap_or_default();
    let is_wanted = |wanted: &[usize], step: &Step| wanted.iter().any(|slot| step.targets.contains(slot));
    for step in steps.iter().rev() {
        if is_wanted(&wanted, step) {
            wanted.extend_from_slice(&step.arguments);
        }
    }
    let (mut first, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| is_wanted(&wanted, step));
    let early = first.len();
    first.extend(rest);
    (first, early)
}

/// The row at hand.
struct Place<'a> {
    file: &'a str,
    record: &'a ByteRecord,
    line: u64,
    nulls: &'a Nulls<'a>,
}

/// The slots of the row at hand.
struct Cells<'a> {
    columns: &'a [Column],
    names: &'a [String],
    values: &'a mut [Option<Value>],
    loaded: &'a mut [bool],
    arguments: &'a mut Vec<Value>,
}

impl Cells<'_> {
    /// Runs a step and puts its results into their slots.
    fn run(&mut self, step: &Step, place: &Place) -> Result<(), Failure> {
        if step.targets.len() == 1 {
            self.values[step.targets.start] = self.one(step, place)?;
        } else if self.gather(step, place)? {
            let values = step.function.call_all(self.arguments).map_err(|error| step.failure(&error, place))?;
            for (slot, value) in step.targets.clone().zip(values) {
                self.values[slot] = Some(value);
            }
        } else {
            self.values[step.targets.clone()].fill(None);
        }
        Ok(())
    }

    /// The one result of a step; nothing if an argument is missing.
    fn one(&mut self, step: &Step, place: &Place) -> Result<Option<Value>, Failure> {
        if !self.gather(step, place)? {
            return Ok(None);
        }
        step.function.call(self.arguments).map(Some).map_err(|error| step.failure(&error, place))
    }

    /// Collects the arguments of a step; `false` if one is missing.
    fn gather(&mut self, step: &Step, place: &Place) -> Result<bool, Failure> {
        self.arguments.clear();
        for &slot in &step.arguments {
            if slot < self.columns.len() && !self.loaded[slot] {
                self.values[slot] = self.load(slot, place)?;
                self.loaded[slot] = true;
            }
            match self.values[slot] {
                Some(value) => self.arguments.push(value),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads a cell.
    fn load(&self, column: usize, place: &Place) -> Result<Option<Value>, Failure> {
        let Kind::Value(ty) = self.columns[column].kind else { return Ok(None) };
        let cell = types::text(&place.record[column]);
        types::read(cell, ty, place.nulls).map_err(|end| {
            let name = clean(&self.names[column]);
            let message = format!("{}, line {}, column `{name}`: `{}` {end}", place.file, place.line, clean(cell));
            let failure = Failure::input(message);
            if self.columns[column].guessed {
                return failure.help(format!("{ty} is what the first rows were; for instance --type '{name}=f64'"));
            }
            failure.help(format!("if it means a missing value: --null '{}'", clean(cell)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_whole_words() {
        assert_eq!(mention("max(x1, x)", "x"), Some(Span::new(8, 9)));
        assert_eq!(mention("max(1, 2)", "max"), None);
        assert_eq!(mention("2 * `a b`", "a b"), Some(Span::new(4, 9)));
        assert_eq!(mention("x", ""), None);
        assert_eq!(mention("{ x: y, xy: 2 * x }", "x"), Some(Span::new(16, 17)));
        assert_eq!(mention("if y {x} else {0}", "x"), Some(Span::new(6, 7)));
    }

    #[test]
    fn names_stand_before_a_formula_or_in_it() {
        let name = |option| request(option).ok().map(|request| request.name.unwrap_or_default());
        let some = |text: &str| Some(text.to_owned());
        for (option, expected) in [
            ("y = x", some("y")),
            (" `a b` = x == y", some("a b")),
            ("let = x", some("let")),
            ("lets = x", some("lets")),
            ("p = { r: x, ok: x == y }", some("p")),
            ("{ r: x, ok: x == y }", some("")),
            ("|x: f64| { r: x == y }", some("")),
            ("let t = 2 * x\n{ a: t, b: t == y }", some("")),
            ("# c\n{ a: x == y }", some("")),
            ("x", None),
            ("x == y", None),
            ("a b = x", None),
        ] {
            assert_eq!(name(option), expected, "{option}");
        }
    }
}
