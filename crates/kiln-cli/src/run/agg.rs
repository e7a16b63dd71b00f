//! `--agg`: values of whole columns.
//!
//! The one idea: an aggregate is a formula over the rows that the filter keeps, whose result is one row. The compiler has
//! no aggregates over rows yet, so this says so; what a run does with the values is decided here when it has.

use super::plan::Request;
use crate::report::Failure;

/// Refuses aggregates, after their form was checked.
pub(crate) fn refuse(requests: &[Request]) -> Result<(), Failure> {
    match requests.first() {
        None => Ok(()),
        Some(request) => {
            let message = format!("--agg {}: aggregates over rows are not built yet", request.title());
            Err(Failure::input(message).help("--let computes new columns, and --where filters rows"))
        }
    }
}
