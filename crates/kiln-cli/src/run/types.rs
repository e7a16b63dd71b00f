//! What the columns hold.
//!
//! Owns the types of columns: found by looking at the cells, or given with `--type`. The one idea: a column has the
//! narrowest of bool, i64, f64 and text that all its cells can be read as, and the first cell that forced it wider is
//! remembered, so that a message can show it.

use super::Header;
use super::source::Source;
use crate::eval::clean;
use crate::report::Failure;
use crate::value;
use kiln::{Type, Value};
use std::collections::HashMap;

/// How the cells of a column are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As values of this type.
    Value(Type),
    /// Not at all; the first cell that is no number or bool, with its line.
    Text { line: u64, cell: String },
    /// Not at all, because `--type` says so, or because no formula names it.
    Ignored,
}

/// A column as the formulas see it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) kind: Kind,
    /// Was the type found in the first rows of a stream only?
    pub(crate) guessed: bool,
}

/// Texts of missing cells.
pub(crate) struct Nulls<'a> {
    texts: &'a [String],
}

impl<'a> Nulls<'a> {
    pub(crate) fn new(texts: &'a [String]) -> Nulls<'a> {
        Nulls { texts }
    }

    /// Does this cell stand for nothing?
    pub(crate) fn is_null(&self, cell: &str) -> bool {
        cell.is_empty() || self.texts.iter().any(|text| text == cell)
    }
}

/// The text of a cell without the spaces around it.
pub(crate) fn text(cell: &[u8]) -> &str {
    // Rows were checked to be UTF-8 where they were read.
    std::str::from_utf8(cell).unwrap_or("\u{fffd}").trim()
}

/// Reads a cell; nothing if it is missing.
pub(crate) fn read(cell: &str, ty: Type, nulls: &Nulls) -> Result<Option<Value>, String> {
    if nulls.is_null(cell) {
        return Ok(None);
    }
    match (ty, truth(cell)) {
        (Type::Bool, Some(truth)) => Ok(Some(Value::Bool(truth))),
        _ => value::read(cell, ty).map(Some),
    }
}

/// The bools as programs write them into CSV files.
fn truth(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Reads `COLUMN=TYPE` options: the kind of each column that has one.
pub(crate) fn overrides(options: &[String], header: &Header) -> Result<HashMap<usize, Kind>, Failure> {
    let mut kinds = HashMap::new();
    for option in options {
        let Some((name, ty)) = option.rsplit_once('=') else {
            let message = format!("--type '{}' is not of the form COLUMN=TYPE", clean(option));
            return Err(Failure::usage(message));
        };
        let name = name.trim();
        let name = name.strip_prefix('`').and_then(|n| n.strip_suffix('`')).unwrap_or(name);
        let column = header.require(name, "--type")?;
        let kind = match ty.trim() {
            "text" | "string" | "str" => Kind::Ignored,
            ty => Kind::Value(Type::from_name(ty).ok_or_else(|| {
                let message = format!("--type '{}': there is no type `{}`", clean(option), clean(ty));
                Failure::usage(message).help("the types are f64, f32, i64, i32, bool and text")
            })?),
        };
        kinds.insert(column, kind);
    }
    Ok(kinds)
}

/// What the cells of a column allow so far.
struct Guess {
    column: usize,
    bool: bool,
    i64: bool,
    f64: bool,
    any: bool,
    misfit: Option<(u64, String)>,
}

impl Guess {
    fn look(&mut self, line: u64, cell: &str) {
        self.any = true;
        // A plain integer is by far the most common cell.
        let plain = !cell.is_empty() && cell.len() < 16 && cell.bytes().all(|b| b.is_ascii_digit());
        if self.bool && (plain || truth(cell).is_none()) {
            self.bool = false;
        }
        if plain {
        } else if self.i64 && !is_decimal(cell, false) {
            self.i64 = false;
        }
        if !plain && self.f64 && !is_decimal(cell, true) {
            self.f64 = false;
        }
        if !(self.bool || self.i64 || self.f64) && self.misfit.is_none() {
            self.misfit = Some((line, cell.to_owned()));
        }
    }

    fn kind(self) -> Kind {
        match self.misfit {
            Some((line, cell)) => Kind::Text { line, cell },
            None if !self.any => Kind::Value(Type::F64),
            None if self.bool => Kind::Value(Type::Bool),
            None if self.i64 => Kind::Value(Type::I64),
            None => Kind::Value(Type::F64),
        }
    }
}

/// Is this cell a decimal number that fits `i64`, or `f64`? Bit patterns and hexadecimal digits are identifiers in files
/// rather than numbers.
fn is_decimal(cell: &str, float: bool) -> bool {
    let other = cell.contains(['x', 'X', 'o', 'O', ':', '_', 'b', 'B']);
    !other && value::read(cell, if float { Type::F64 } else { Type::I64 }).is_ok()
}

/// The kinds of all columns; those that are no `candidates` are not looked at.
pub(crate) fn find(
    source: &mut Source,
    header: &Header,
    candidates: &[usize],
    overrides: &HashMap<usize, Kind>,
    nulls: &Nulls,
) -> Result<Vec<Column>, Failure> {
    let ignored = Column { kind: Kind::Ignored, guessed: false };
    let mut columns = vec![ignored; header.names.len()];
    for (&column, kind) in overrides {
        columns[column].kind = kind.clone();
    }
    let open = candidates.iter().copied().filter(|column| !overrides.contains_key(column));
    let new = |column| Guess { column, bool: true, i64: true, f64: true, any: false, misfit: None };
    let mut guesses: Vec<Guess> = open.map(new).collect();
    if guesses.is_empty() {
        return Ok(columns);
    }
    let all = source.preview(header, &mut |line, record| {
        for guess in &mut guesses {
            let cell = text(&record[guess.column]);
            if guess.misfit.is_none() && !nulls.is_null(cell) {
                guess.look(line, cell);
            }
        }
    })?;
    for guess in guesses {
        columns[guess.column] = Column { guessed: !all, kind: Kind::Ignored };
        let column = guess.column;
        columns[column].kind = guess.kind();
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> Kind {
        let mut guess = Guess { column: 0, bool: true, i64: true, f64: true, any: false, misfit: None };
        for (n, cell) in cells.iter().enumerate() {
            guess.look(n as u64 + 2, cell);
        }
        guess.kind()
    }

    #[test]
    fn the_narrowest_type_that_holds_all_cells() {
        assert_eq!(kind(&[]), Kind::Value(Type::F64));
        assert_eq!(kind(&["1", "-2", "+3"]), Kind::Value(Type::I64));
        assert_eq!(kind(&["1", "9223372036854775807"]), Kind::Value(Type::I64));
        assert_eq!(kind(&["1", "9223372036854775808"]), Kind::Value(Type::F64));
        assert_eq!(kind(&["1", "2.5", "nan", "-inf", "1e3"]), Kind::Value(Type::F64));
        assert_eq!(kind(&["True", "false"]), Kind::Value(Type::Bool));
        assert_eq!(kind(&["true", "1"]), Kind::Text { line: 3, cell: "1".to_owned() });
        assert_eq!(kind(&["1", "2012-01-02", "z"]), Kind::Text { line: 3, cell: "2012-01-02".to_owned() });
        assert_eq!(kind(&["0x10"]), Kind::Text { line: 2, cell: "0x10".to_owned() });
    }
}
