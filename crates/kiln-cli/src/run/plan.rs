//! The formulas of a run: what the options say, the program that is made of it, and what is wrong in words about options,
//! files and columns.
//!
//! The one idea: which name means which column, and in which order things are computed, is the business of
//! `kiln_arrow::Program`; this module knows how the parts of a program are called on the command line, and what the
//! columns of a file looked like.

use super::Header;
use super::piece::{Misfit, Piece, Places};
use super::types::{Column, Kind};
use crate::eval::{clean, run_failure};
use crate::report::{Failure, Printer};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use kiln::{Diagnostic, Engine, Type};
use kiln_arrow::{Builder, Feed, Part, Program, ReadError, Reading, RunError, Wrong};
use std::collections::{HashMap, HashSet};

/// A `--let` or `--agg` as it was given.
pub(crate) struct Request {
    /// The option.
    option: &'static str,
    /// The name of the new column, or what the names of several begin with; none if the formula names them.
    name: Option<String>,
    formula: String,
}

/// Reads the options of this name, such as `--let`.
pub(crate) fn requests(option: &'static str, values: &[String]) -> Result<Vec<Request>, Failure> {
    values.iter().map(|value| request(option, value)).collect()
}

/// Reads an option that gives a formula a name.
fn request(kind: &'static str, option: &str) -> Result<Request, Failure> {
    let wrong = || {
        let failure = Failure::usage(format!("{kind} '{}' is not of the form NAME = FORMULA", clean(option)));
        failure.help(format!("for instance {kind} 'bmi = weight / height^2'"))
    };
    let text = option.trim();
    if names_its_results(text) {
        return Ok(Request { option: kind, name: None, formula: text.to_owned() });
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
    Ok(Request { option: kind, name: Some(name.to_owned()), formula: formula.trim().to_owned() })
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
    /// What it makes, for messages.
    fn title(&self) -> String {
        clean(self.name.as_ref().unwrap_or(&self.formula))
    }

    /// How messages call it.
    pub(crate) fn origin(&self) -> String {
        format!("{} {}", self.option, self.title())
    }

    /// The name, if it has one, and the formula.
    pub(crate) fn parts(&self) -> (Option<&str>, &str) {
        (self.name.as_deref(), &self.formula)
    }
}

fn is_word(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_numeric()) && name.chars().all(is_word_part)
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The columns that formulas may use: those whose names stand in them. Other spellings of a name with letters beyond
/// ASCII can mean the same, so such columns always count.
pub(crate) fn candidates(
    header: &Header,
    requests: [&[Request]; 2],
    filter: Option<&str>,
    overrides: &HashMap<usize, Kind>,
) -> Vec<usize> {
    let formulas = || requests.iter().copied().flatten().map(|request| request.formula.as_str()).chain(filter);
    let used = |name: &str| !name.is_empty() && formulas().any(|formula| !name.is_ascii() || formula.contains(name));
    let columns = 0..header.names.len();
    columns.filter(|column| !overrides.contains_key(column) && used(&header.names[*column])).collect()
}

/// What is known of the columns beside their types.
pub(crate) struct Known<'a> {
    pub(crate) header: &'a Header,
    /// What the cells of a CSV file looked like; nothing for files that have types.
    pub(crate) columns: Option<&'a [Column]>,
    /// The columns that formulas are to see as another type.
    pub(crate) reads: HashMap<String, Type>,
}

/// All formulas of a run.
pub(crate) struct Plan {
    pub(crate) program: Program,
    /// What messages call the formulas.
    origins: Vec<String>,
    /// The columns whose cells must be readable in all rows, and not only in those that are kept.
    early: HashSet<usize>,
}

impl Plan {
    /// Compiles all formulas for the columns of `schema`.
    pub(crate) fn compile(
        engine: &Engine,
        requests: &[Request],
        filter: Option<&str>,
        select: Option<&[String]>,
        schema: &SchemaRef,
        known: &Known,
    ) -> Result<Plan, Failure> {
        let mut builder = Program::builder(engine);
        for request in requests {
            builder = match &request.name {
                Some(name) => builder.column(name, &request.formula),
                None => builder.columns(&request.formula),
            };
        }
        builder = filter.into_iter().fold(builder, Builder::filter);
        builder = select.into_iter().fold(builder, Builder::select);
        for (name, &ty) in &known.reads {
            builder = builder.read(name, ty);
        }
        let program = builder.build(schema).map_err(|error| known.failure(requests, error))?;
        let origins: Vec<String> = requests.iter().map(Request::origin).collect();
        let early = program.used_by_filter().into_iter().collect();
        let plan = Plan { program, origins, early };
        for function in plan.parts().filter_map(|part| plan.program.function(part)) {
            crate::report::say_if_interpreted(engine, function);
        }
        Ok(plan)
    }

    /// All parts that have formulas.
    fn parts(&self) -> impl Iterator<Item = Part> {
        (0..self.origins.len()).map(Part::Column).chain([Part::Filter])
    }

    /// How messages call a part.
    fn origin(&self, part: Part) -> &str {
        origin(&self.origins, part)
    }

    /// Shows the warnings about the formulas.
    pub(crate) fn warn(&self, printer: &Printer) {
        for part in self.parts() {
            if let Some(function) = self.program.function(part) {
                printer.warnings(Some(self.origin(part)), function.source(), function.warnings());
            }
        }
    }

    /// What messages call the formula that takes all rows before the first result, if there is one.
    pub(crate) fn about_all_rows(&self) -> Option<&str> {
        self.program.about_all_rows().map(|part| self.origin(part))
    }

    /// Computes a piece: the rows that go out.
    pub(crate) fn compute(&self, reading: &Reading<'_>, file: &str, piece: &Piece) -> Result<RecordBatch, Failure> {
        let failure = |error| self.failure(file, &piece.places, error);
        let evaluated = reading.evaluate(&piece.batch).map_err(failure)?;
        self.check(file, piece, evaluated.kept.as_ref())?;
        let passed = piece.passed.as_ref().unwrap_or(&piece.batch);
        self.program.assemble(passed, evaluated).map_err(failure)
    }

    /// Computes of a piece what a pass over all rows takes.
    pub(crate) fn feed(&self, reading: &Reading<'_>, file: &str, piece: &Piece) -> Result<Feed, Failure> {
        let feed = reading.feed(&piece.batch).map_err(|error| self.failure(file, &piece.places, error))?;
        self.check(file, piece, feed.kept())?;
        Ok(feed)
    }

    /// Does anybody want a cell that could not be read?
    fn check(&self, file: &str, piece: &Piece, kept: Option<&BooleanArray>) -> Result<(), Failure> {
        let kept = |row: usize| kept.is_none_or(|mask| mask.value(row));
        let wanted = |misfit: &&Misfit| self.early.contains(&misfit.column) || kept(misfit.row);
        let Some(misfit) = piece.misfits.iter().find(wanted) else { return Ok(()) };
        let (place, name) = (piece.places.name(misfit.row), self.column(misfit.column));
        let message = format!("{file}, {place}, column `{name}`: {}", misfit.message);
        Err(Failure::input(message).help(misfit.help.clone()))
    }

    /// The name of a column of the file, for messages.
    fn column(&self, column: usize) -> String {
        self.program.input_schema().fields().get(column).map_or(String::new(), |field| clean(field.name()))
    }

    /// What went wrong while the formulas ran.
    pub(crate) fn failure(&self, file: &str, places: &Places, error: RunError) -> Failure {
        match error {
            RunError::Formula { part, row, error } => {
                let origin = format!("{} at {file}, {}", self.origin(part), places.name(row));
                match self.program.function(part) {
                    Some(function) => run_failure(function, &error, Some(&origin)),
                    None => Failure::input(format!("{origin}: {error}")),
                }
            }
            RunError::Read { column, row: Some(row), error: ReadError::Value { value, wanted, .. } } => {
                let (place, name) = (places.name(row), self.column(column));
                let message = format!("{file}, {place}, column `{name}`: {value} does not fit {wanted}");
                Failure::input(message).help(format!("--type '{name}=f64' computes with the nearest floats"))
            }
            RunError::Read { column, error, .. } => {
                Failure::input(format!("{file}, column `{}`: {error}", self.column(column)))
            }
            other => Failure::input(format!("{file}: {other}")),
        }
    }
}

/// How messages call a part.
fn origin(origins: &[String], part: Part) -> &str {
    match part {
        Part::Column(index) => origins.get(index).map_or("--let", String::as_str),
        Part::Aggregate(index) => origins.get(index).map_or("--agg", String::as_str),
        Part::Filter => "--where",
        Part::Select => "--select",
        Part::Read => "--type",
    }
}

impl Known<'_> {
    /// What is wrong with the formulas, and what to do about it.
    pub(crate) fn failure(&self, requests: &[Request], error: kiln_arrow::Error) -> Failure {
        let origins: Vec<String> = requests.iter().map(Request::origin).collect();
        let origin = origin(&origins, error.part).to_owned();
        let mut diagnostic = error.diagnostic();
        diagnostic = match &error.wrong {
            Wrong::Twice(name) => {
                let option = requests.first().map_or("--let", |request| request.option);
                return Failure::usage(format!("two {option} options define `{}`", clean(name)));
            }
            Wrong::NoName => {
                let failure = Failure::usage(format!("{origin}: the new column has no name"));
                return failure.help("--let 'NAME = FORMULA', or --let '{ NAME: FORMULA, ... }'");
            }
            Wrong::Formula(inner) => return Failure::Formula { origin: Some(origin), error: inner.clone() },
            Wrong::NoColumn(name) => diagnostic.help(self.suggestion(requests, name)),
            Wrong::NotNumbers { name, data_type } => self.no_numbers(diagnostic, name, data_type),
            Wrong::Unreadable { .. } => diagnostic.help("every number can be read as f64, and every int as i64"),
            Wrong::Declared { name, declared, .. } => {
                diagnostic.help(format!("--type '{}={declared}' reads it so", clean(name)))
            }
            Wrong::NotABool(outputs) if outputs.len() > 1 => diagnostic.help("--let makes columns of several results"),
            _ => diagnostic,
        };
        if error.text.is_empty() {
            let failure = Failure::input(format!("{origin}: {}", diagnostic.message));
            return diagnostic.help.into_iter().fold(failure, Failure::help);
        }
        Failure::diagnostic(origin, &error.text, diagnostic)
    }

    /// What an unknown name may have been meant for.
    fn suggestion(&self, requests: &[Request], name: &str) -> String {
        let new = requests.iter().filter_map(|request| request.name.as_deref());
        match crate::report::similar(name, new) {
            Some(near) => format!("did you mean `{}`?", clean(near)),
            None => self.header.suggestion(name),
        }
    }

    /// Why formulas cannot compute with a column.
    fn no_numbers(&self, mut diagnostic: Diagnostic, name: &str, data_type: &DataType) -> Diagnostic {
        let kind = self.columns.and_then(|columns| Some(&columns[self.header.find(name)?].kind));
        match kind {
            Some(Kind::Text { line, cell }) => {
                let cell = clean(cell);
                diagnostic.help(format!("line {line} has `{cell}`; if that means a missing value: --null '{cell}'"))
            }
            Some(_) => {
                diagnostic.message = format!("the column `{}` is read as text, as --type says", clean(name));
                diagnostic
            }
            None if matches!(
                data_type,
                DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
            ) =>
            {
                diagnostic.help(format!("--type '{}=f64' computes with the nearest floats", clean(name)))
            }
            None => diagnostic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_before_a_formula_or_in_it() {
        let name = |option| request("--let", option).ok().map(|request| request.name.unwrap_or_default());
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
