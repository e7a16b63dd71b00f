//! What can be wrong with a program, and what can go wrong while it runs.
//!
//! The one idea: an error says which formula and which column by what the caller gave them as, and leaves the words
//! around that to the caller, who knows what its options are called. `Display` is for those who need no better.

use crate::read::ReadError;
use arrow_schema::DataType;
use kiln::{Diagnostic, Output, Span, Type};
use std::fmt;

/// Which part of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The formula that was given so many calls of [`Builder::column`](crate::Builder::column) and
    /// [`Builder::columns`](crate::Builder::columns) after the first.
    Column(usize),
    /// The filter.
    Filter,
    /// The aggregate of this number.
    Aggregate(usize),
    /// The list of columns that are wanted.
    Select,
    /// A column that is to be read as another type.
    Read,
}

/// Why a program cannot be built.
#[derive(Clone, Debug)]
pub struct Error {
    /// Where.
    pub part: Part,
    /// The text of the formula; empty where there is none.
    pub text: String,
    /// The place in the text.
    pub span: Span,
    /// What.
    pub wrong: Wrong,
}

/// What is wrong with a part of a program.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Wrong {
    /// The formula does not compile.
    Formula(kiln::Error),
    /// There is no column of this name.
    NoColumn(String),
    /// There are two columns of this name.
    TwoColumns(String),
    /// Formulas cannot compute with this column.
    NotNumbers {
        /// The column's name.
        name: String,
        /// What it holds.
        data_type: DataType,
    },
    /// The column cannot be read as the wanted type.
    Unreadable {
        /// The column's name.
        name: String,
        /// What it holds.
        data_type: DataType,
        /// What was wanted.
        wanted: Type,
    },
    /// The formula declares an input of another type than the column's.
    Declared {
        /// The column's name.
        name: String,
        /// What the formula says.
        declared: Type,
        /// What the column is read as.
        ty: Type,
    },
    /// A column whose name is no plain word stands in the formula without back-ticks.
    Unticked(String),
    /// The filter does not give one bool.
    NotABool(Vec<Output>),
    /// Two new columns have this name.
    Twice(String),
    /// A result has no name and was given none.
    NoName,
    /// The formula of an aggregate has a value in every row.
    PerRow,
}

impl Error {
    /// The error as a diagnostic of the formula, as a compiler would say it. For an error of the compiler itself it is the first one.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let error = |code: &'static str, message: String| Diagnostic::error(code, self.span, message);
        match &self.wrong {
            Wrong::Formula(inner) => match inner.diagnostics().iter().find(|diagnostic| diagnostic.is_error()) {
                Some(first) => first.clone(),
                None => error("unsupported", inner.to_string()),
            },
            Wrong::NoColumn(name) => error("unknown-name", format!("there is no column `{name}`")),
            Wrong::TwoColumns(name) => error("duplicate", format!("there are two columns named `{name}`")),
            Wrong::NotNumbers { name, data_type } => {
                let what = what(data_type);
                error("type", format!("the column `{name}` is {what}, and formulas compute with numbers and bools"))
            }
            Wrong::Unreadable { name, data_type, wanted } => {
                error("type", format!("the column `{name}` is {} and cannot be read as {wanted}", what(data_type)))
            }
            Wrong::Declared { name, declared, ty } => {
                error("type", format!("`{name}` is declared as {declared}, but the column is {ty}"))
            }
            Wrong::Unticked(name) => {
                error("syntax", "a column whose name is no plain word stands in back-ticks".to_owned())
                    .fix(self.span, format!("`{name}`"))
            }
            Wrong::NotABool(outputs) => match outputs.as_slice() {
                [output] => error("type", format!("the filter gives {}, not true or false", output.ty))
                    .help("compare it: `... > 0`"),
                outputs => {
                    let count = outputs.len();
                    error("type", format!("the filter has {count} results, and only one can be true or false"))
                }
            },
            Wrong::Twice(name) => error("duplicate", format!("two new columns have the name `{name}`")),
            Wrong::NoName => error("syntax", "the new column has no name".to_owned()),
            Wrong::PerRow => error("type", "the formula has a value in every row, and not one for all".to_owned())
                .help("aggregate it: `sum(...)`, `mean(...)`, `max(...)`"),
        }
    }
}

/// A type of Arrow in a message: short, without the parts of nested types.
fn what(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytes".to_owned()
        }
        DataType::Dictionary(_, values) => format!("a dictionary of {}", what(values)),
        DataType::Struct(_) => "a struct".to_owned(),
        DataType::Map(..) => "a map".to_owned(),
        DataType::Union(..) => "a union".to_owned(),
        DataType::RunEndEncoded(_, values) => format!("run-end encoded {}", what(values.data_type())),
        nested if nested.is_nested() => "a list".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Column(index) => write!(f, "column {index}: ")?,
            Part::Filter => f.write_str("filter: ")?,
            Part::Aggregate(index) => write!(f, "aggregate {index}: ")?,
            Part::Select => f.write_str("select: ")?,
            Part::Read => f.write_str("read: ")?,
        }
        match &self.wrong {
            Wrong::Formula(error) => write!(f, "{error}"),
            _ if self.text.is_empty() => f.write_str(&self.diagnostic().message),
            _ => f.write_str(self.diagnostic().render_plain(&self.text).trim_end()),
        }
    }
}

impl std::error::Error for Error {}

/// Why a batch cannot be computed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A column of the batch is not what the schema said.
    Schema {
        /// The column's place.
        column: usize,
        /// What the program was built for; `None` if the batch has more columns.
        expected: Option<DataType>,
        /// What the batch has; `None` if it has fewer columns.
        given: Option<DataType>,
    },
    /// A column cannot be read.
    Read {
        /// The column's place.
        column: usize,
        /// The row in the batch, from 0, if a single one is to blame.
        row: Option<usize>,
        /// Why.
        error: ReadError,
    },
    /// A formula failed in a row.
    Formula {
        /// Which formula.
        part: Part,
        /// The row in the batch, from 0.
        row: usize,
        /// What happened there.
        error: kiln::RunError,
    },
    /// All rows are taken so often, the results included, and were not before results were asked for.
    Passes(usize),
    /// Arrow refused an operation.
    Arrow(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Schema { column, expected, given } => {
                let name = |ty: &Option<DataType>| ty.as_ref().map_or("nothing".to_owned(), DataType::to_string);
                write!(f, "column {column} of the batch is {}, but the schema has {}", name(given), name(expected))
            }
            RunError::Read { column, error, .. } => write!(f, "column {column}: {error}"),
            RunError::Formula { part, row, error } => {
                match part {
                    Part::Column(index) => write!(f, "column {index}, ")?,
                    Part::Aggregate(index) => write!(f, "aggregate {index}, ")?,
                    _ => f.write_str("filter, ")?,
                }
                write!(f, "row {row}: {error}")
            }
            RunError::Passes(passes) => {
                write!(f, "all rows are taken {passes} times, and were not before results were asked for")
            }
            RunError::Arrow(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Read { error, .. } => Some(error),
            RunError::Formula { error, .. } => Some(error),
            RunError::Schema { .. } | RunError::Passes(_) | RunError::Arrow(_) => None,
        }
    }
}
