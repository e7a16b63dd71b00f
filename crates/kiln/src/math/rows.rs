//! The table of row functions: what formulas over columns can say about all rows.
//!
//! One row each: name, number of arguments, what it is, how help texts show it. These are no functions of values: the
//! checker makes a stage of what stands in their arguments, and `aggregate` computes them. In a scalar call they are
//! errors. To add one: its row, and its arms in `text/check/rows.rs`.

#![forbid(unsafe_code)]

use crate::aggregate::Fold;

/// What a row function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// One value made of the values of all rows.
    Aggregate(Fold),
    /// The number of rows.
    Count,
    /// Is a value null?
    IsNull,
    /// The first value that is not null.
    Coalesce,
    /// The name is reserved.
    NotYet,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFunction {
    pub(crate) name: &'static str,
    /// Fewest and most arguments.
    pub(crate) least: u8,
    pub(crate) most: u8,
    pub(crate) kind: RowKind,
    /// The call as help texts show it.
    pub(crate) signature: &'static str,
    /// One line of documentation.
    pub(crate) doc: &'static str,
}

macro_rules! row_functions {
    ($($name:literal $least:literal $most:literal $kind:expr, $signature:literal, $doc:literal;)*) => {
        static ROW_FUNCTIONS: &[RowFunction] = &[$(RowFunction {
            name: $name,
            least: $least,
            most: $most,
            kind: $kind,
            signature: $signature,
            doc: $doc,
        }),*];
    };
}

use Fold::{All, Any, First, Last, Max, Mean, Min, Prod, Std, Sum, Var};
use RowKind::{Aggregate, Coalesce, Count, IsNull, NotYet};

// name, fewest and most arguments, what it is, signature, doc
row_functions! {
    "sum" 1 1 Aggregate(Sum), "sum(x)", "sum of all rows, of ints as a wrapping i64; 0 of none";
    "prod" 1 1 Aggregate(Prod), "prod(x)", "product of all rows, of ints as a wrapping i64; 1 of none";
    "mean" 1 1 Aggregate(Mean), "mean(x)", "sum divided by the number of rows; NaN of none";
    "var" 1 2 Aggregate(Var), "var(x, ddof = 0)", "variance: squared differences from the mean, divided by the number of rows less ddof";
    "std" 1 2 Aggregate(Std), "std(x, ddof = 0)", "standard deviation: square root of var(x, ddof)";
    "min" 1 1 Aggregate(Min), "min(x)", "smallest of all rows; NaN if any is NaN, null of none";
    "max" 1 1 Aggregate(Max), "max(x)", "largest of all rows; NaN if any is NaN, null of none";
    "count" 1 1 Aggregate(Fold::Count), "count(c)", "number of rows where the condition holds; of a number, those that are not null";
    "any" 1 1 Aggregate(Any), "any(c)", "does the condition hold in a row? false of none";
    "all" 1 1 Aggregate(All), "all(c)", "does the condition hold in every row? true of none";
    "first" 1 1 Aggregate(First), "first(x)", "value in the first row that is not null; null of none";
    "last" 1 1 Aggregate(Last), "last(x)", "value in the last row that is not null; null of none";
    "nrows" 0 0 Count, "nrows()", "number of rows";
    "isnull" 1 1 IsNull, "isnull(x)", "is x null?";
    "coalesce" 1 255 Coalesce, "coalesce(x, y, ...)", "the first that is not null";
    "row" 0 0 NotYet, "row()", "number of the row, from 0";
    "prev" 1 3 NotYet, "prev(x, n = 1, default)", "value n rows earlier";
    "next" 1 3 NotYet, "next(x, n = 1, default)", "value n rows later";
    "cumsum" 1 1 NotYet, "cumsum(x)", "sum up to the row";
    "cumprod" 1 1 NotYet, "cumprod(x)", "product up to the row";
    "cummin" 1 1 NotYet, "cummin(x)", "smallest up to the row";
    "cummax" 1 1 NotYet, "cummax(x)", "largest up to the row";
    "ema" 2 2 NotYet, "ema(x, alpha)", "exponential moving average";
}

/// All row functions, in the order of the documentation.
pub(crate) fn row_functions() -> &'static [RowFunction] {
    ROW_FUNCTIONS
}

/// The row function of this name. With several arguments `min` and `max` are functions of values.
pub(crate) fn row_function(name: &str) -> Option<&'static RowFunction> {
    ROW_FUNCTIONS.iter().find(|row| row.name == name)
}
