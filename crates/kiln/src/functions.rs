//! The function table, as the world outside may read it.
//!
//! Owns the public view of a row; the rows themselves stand in `math`. Knows nothing of how functions are built.

#![forbid(unsafe_code)]

use crate::math;

/// What is known of a function that formulas can call.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// Its name.
    pub name: &'static str,
    /// Other names of the same function.
    pub aliases: &'static [&'static str],
    /// The call as help texts show it: `atan2(y, x)`.
    pub signature: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// Where the result is a number, in words; empty for everywhere.
    pub domain: &'static str,
    /// Largest error of the `f64` result in units in the last place; 0 where it is exact or as exact as the operations
    /// that make it, infinite where only the absolute error is bounded.
    pub error_bound: f64,
}

/// All functions that formulas can call, in the order of the documentation; behind them those about all rows of columns,
/// whose domain says so.
pub fn functions() -> impl Iterator<Item = FunctionInfo> {
    let scalar = math::all().iter().map(|row| FunctionInfo {
        name: row.name,
        aliases: row.aliases,
        signature: row.signature,
        doc: row.doc,
        domain: row.domain,
        error_bound: row.ulp,
    });
    let rows = math::row_functions().iter().filter(|row| row.kind != math::RowKind::NotYet);
    scalar.chain(rows.map(|row| FunctionInfo {
        name: row.name,
        aliases: &[],
        signature: row.signature,
        doc: row.doc,
        domain: "columns",
        error_bound: 0.0,
    }))
}
