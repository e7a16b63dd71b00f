//! What can go wrong, as the caller sees it.

#![forbid(unsafe_code)]

use crate::mem::SealError;
use crate::span::Diagnostic;
use std::fmt;

/// Why a formula could not be compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The formula is wrong: everything that was found, in source order (warnings included).
    Formula {
        /// The formula, for showing places in it.
        source: String,
        /// What was found; at least one is an error.
        diagnostics: Vec<Diagnostic>,
    },
    /// `compile_typed` was asked for a function type that the formula does not have.
    Signature(String),
    /// The operating system refused executable memory, and the options forbid the interpreter.
    Seal(SealError),
    /// This machine or build cannot run what the options ask for.
    Unsupported(String),
}

impl Error {
    /// What is wrong with the formula; empty for the other kinds.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Error::Formula { diagnostics, .. } => diagnostics,
            _ => &[],
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Formula { source, diagnostics } => {
                for (i, diagnostic) in diagnostics.iter().enumerate() {
                    if i > 0 {
                        f.write_str("\n")?;
                    }
                    f.write_str(diagnostic.render_plain(source).trim_end())?;
                }
                Ok(())
            }
            Error::Signature(message) | Error::Unsupported(message) => f.write_str(message),
            Error::Seal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Why a call of a compiled formula gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// Another number of arguments than the formula has inputs.
    ArgumentCount {
        /// How many inputs the formula has.
        expected: usize,
        /// How many values were given.
        given: usize,
    },
    /// An argument of the wrong type.
    ArgumentType {
        /// The input's name.
        name: String,
        /// The input's type.
        expected: crate::types::Type,
        /// The value's type.
        given: crate::types::Type,
    },
    /// Another number of outputs than the formula has results.
    OutputCount {
        /// How many results the formula has.
        expected: usize,
        /// How many outputs were given.
        given: usize,
    },
    /// An output of the wrong type.
    OutputType {
        /// The result's name, if it has one.
        name: String,
        /// The result's type.
        expected: crate::types::Type,
        /// The output's type.
        given: crate::types::Type,
    },
    /// A column has another number of rows than the first output, or without outputs than the first input.
    Rows {
        /// The input's or output's name.
        name: String,
        /// How many rows that one has.
        expected: usize,
        /// How many this one has.
        given: usize,
    },
    /// The evaluation of one row of a column failed.
    Row {
        /// The row, from 0: the first that fails.
        row: usize,
        /// What happened there.
        error: Box<RunError>,
    },
    /// Something in the formula stands for all rows of columns, and it was called on single values.
    ColumnsOnly,
    /// The formula has a filter, so that it has results of some rows only: those of
    /// [`eval_kept`](crate::Function::eval_kept).
    Filtered,
    /// A result has a value in every row, and one value for all of them was asked for.
    PerRow {
        /// The result's name, if it has one.
        name: String,
    },
    /// The formula has to read its rows several times, and the results were asked for too early, or of an input that
    /// can be read only once.
    ReadOnce {
        /// How often it reads them, the results included.
        passes: usize,
    },
    /// When the rows were read again there was another number of them.
    Reread {
        /// How many there were before.
        before: u64,
        /// How many there were now.
        now: u64,
    },
    /// The formula has several results, and one value was asked for.
    SeveralResults {
        /// How many results it has.
        count: usize,
    },
    /// Checked integer arithmetic left the range of its type.
    Overflow {
        /// The formula part in which it happened.
        span: crate::span::Span,
    },
    /// Checked integer division or modulo by zero.
    DivisionByZero {
        /// The formula part in which it happened.
        span: crate::span::Span,
    },
    /// A host function failed.
    Host {
        /// What it said.
        message: String,
        /// The call in the formula.
        span: crate::span::Span,
    },
    /// The loops took more steps than [`Limits::steps`](crate::Limits::steps) allows.
    Steps {
        /// The budget.
        limit: u64,
        /// The loop that exceeded it.
        span: crate::span::Span,
    },
}

impl RunError {
    /// A short stable name: `argument-count`, `argument-type`, `output-count`, `output-type`, `rows`, `columns-only`, `filtered`, `per-row`,
    /// `read-once`, `reread`, `several-results`, `overflow`, `division-by-zero`, `host` or `steps`. For an error in a row it is what happened there.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RunError::ArgumentCount { .. } => "argument-count",
            RunError::ArgumentType { .. } => "argument-type",
            RunError::OutputCount { .. } => "output-count",
            RunError::OutputType { .. } => "output-type",
            RunError::Rows { .. } => "rows",
            RunError::Row { error, .. } => error.code(),
            RunError::ColumnsOnly => "columns-only",
            RunError::Filtered => "filtered",
            RunError::PerRow { .. } => "per-row",
            RunError::ReadOnce { .. } => "read-once",
            RunError::Reread { .. } => "reread",
            RunError::SeveralResults { .. } => "several-results",
            RunError::Overflow { .. } => "overflow",
            RunError::DivisionByZero { .. } => "division-by-zero",
            RunError::Host { .. } => "host",
            RunError::Steps { .. } => "steps",
        }
    }

    /// The formula part in which it happened, for errors that happen inside.
    #[must_use]
    pub fn span(&self) -> Option<crate::span::Span> {
        match self {
            RunError::Overflow { span }
            | RunError::DivisionByZero { span }
            | RunError::Host { span, .. }
            | RunError::Steps { span, .. } => Some(*span),
            RunError::Row { error, .. } => error.span(),
            RunError::ArgumentCount { .. }
            | RunError::ArgumentType { .. }
            | RunError::OutputCount { .. }
            | RunError::OutputType { .. }
            | RunError::Rows { .. }
            | RunError::ColumnsOnly
            | RunError::Filtered
            | RunError::PerRow { .. }
            | RunError::ReadOnce { .. }
            | RunError::Reread { .. }
            | RunError::SeveralResults { .. } => None,
        }
    }

    /// The same, said of a row of a column.
    pub(crate) fn in_row(self, row: usize) -> RunError {
        RunError::Row { row, error: Box::new(self) }
    }

    /// The same where the rows are those from row `start` on.
    pub(crate) fn behind(self, start: usize) -> RunError {
        match self {
            RunError::Row { row, error } => RunError::Row { row: row + start, error },
            other => other,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::ArgumentCount { expected, given } => {
                write!(f, "the formula has {expected} input(s), but {given} value(s) were given")
            }
            RunError::ArgumentType { name, expected, given } => {
                write!(f, "input `{name}` has type {expected}, but the value is {given}")
            }
            RunError::OutputCount { expected, given } => {
                write!(f, "the formula has {expected} result(s), but {given} output(s) were given")
            }
            RunError::OutputType { name, expected, given } if name.is_empty() => {
                write!(f, "the result has type {expected}, but the output is {given}")
            }
            RunError::OutputType { name, expected, given } => {
                write!(f, "result `{name}` has type {expected}, but the output is {given}")
            }
            RunError::Rows { name, expected, given } => {
                write!(f, "column `{name}` has {given} row(s), but the others have {expected}")
            }
            RunError::ColumnsOnly => {
                f.write_str("the formula is about all rows of columns, and it was called on single values")
            }
            RunError::Filtered => f.write_str("the formula has a filter, which keeps some of the rows only"),
            RunError::PerRow { name } => {
                let result = if name.is_empty() { "the result".to_owned() } else { format!("result `{name}`") };
                write!(f, "{result} has a value in every row, and not one for all")
            }
            RunError::ReadOnce { passes } => write!(f, "the formula reads its rows {passes} times"),
            RunError::Reread { before, now } => {
                write!(f, "the rows were {before} when they were first read, and now they are {now}")
            }
            RunError::Row { row, error } => write!(f, "row {row}: {error}"),
            RunError::SeveralResults { count } => {
                write!(f, "the formula has {count} results; `call_all` gives them all")
            }
            RunError::Overflow { .. } => f.write_str("integer overflow"),
            RunError::DivisionByZero { .. } => f.write_str("division by zero"),
            RunError::Host { message, .. } => f.write_str(message),
            RunError::Steps { limit, .. } => {
                write!(f, "the loops take more steps than the budget of {limit}; this loop exceeded it")
            }
        }
    }
}

impl std::error::Error for RunError {}
