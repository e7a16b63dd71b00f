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
    /// In which rows it is there; none for all.
    pub(crate) valid: Ref,
}

/// Where a parameter's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The input with this number.
    Input(u32),
    /// The aggregate with this number: one value for all rows.
    Aggregate(u32),
    /// Whether the aggregate with this number has a value.
    Present(u32),
}

/// What a stage gives to an aggregate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    pub(crate) aggregate: u32,
    /// The number of the result that is its value.
    pub(crate) value: u32,
    /// That of the result that says whether it is there, unless it always is.
    pub(crate) valid: Option<u32>,
}

/// What stands for all rows in a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowParts {
    /// By parameter.
    pub(crate) sources: Vec<Source>,
    pub(crate) aggregates: Vec<Aggregate>,
    /// By aggregate: the parameter that is its value.
    pub(crate) values: Vec<Ref>,
    /// By aggregate: the parameter that says whether it has a value; none if it always has.
    pub(crate) present: Vec<Ref>,
    /// The results that can be null: each has a result behind all, which says whether it is there.
    pub(crate) validities: Vec<u32>,
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
        self.present.clear();
        self.validities.clear();
    }
}
