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
    /// A short stable name: `argument-count`, `argument-type`, `several-results`, `overflow`, `division-by-zero`, `host` or `steps`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            RunError::ArgumentCount { .. } => "argument-count",
            RunError::ArgumentType { .. } => "argument-type",
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
            RunError::ArgumentCount { .. } | RunError::ArgumentType { .. } | RunError::SeveralResults { .. } => None,
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
