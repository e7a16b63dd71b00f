//! What a function over columns takes besides its inputs, and what comes of that.
//!
//! Owns the description. The one idea: whatever stands for all rows enters a function as one more parameter, behind
//! those of its inputs, so that the function itself stays one of a single row. Knows no syntax and no column.

#![forbid(unsafe_code)]

use super::Ref;
use crate::aggregate::Fold;
use crate::types::Type;

/// An aggregate whose value is a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aggregate {
    pub(crate) fold: Fold,
    /// What `var` and `std` take from the number of rows.
    pub(crate) ddof: u32,
    /// The type of the values that it takes: one of [`Fold::carrier`].
    pub(crate) carrier: Type,
    /// The value that it takes in each row.
    pub(crate) value: Ref,
}

/// Where a parameter's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The input with this number.
    Input(u32),
    /// The aggregate with this number: one value for all rows.
    Aggregate(u32),
}

/// What stands for all rows in a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowParts {
    /// By parameter.
    pub(crate) sources: Vec<Source>,
    pub(crate) aggregates: Vec<Aggregate>,
    /// By aggregate: the parameter that is its value.
    pub(crate) values: Vec<Ref>,
}

impl RowParts {
    /// Is it a function of one row?
    pub(crate) fn is_empty(&self) -> bool {
        self.aggregates.is_empty()
    }

    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.sources.clear();
        self.aggregates.clear();
        self.values.clear();
    }
}
