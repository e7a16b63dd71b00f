//! `--agg`: values of whole columns, as one row.
//!
//! The one idea: aggregates are formulas over what `--let` and `--where` make, so the program of these runs as ever,
//! gives the columns that the aggregates use, and its rows are taken into totals instead of being written.

use super::plan::{Known, Plan, Request};
use crate::report::Failure;
use arrow_schema::SchemaRef;
use kiln::Engine;
use kiln_arrow::{Aggregates, RunError, Target};

/// Compiles aggregates over what a plan gives.
pub(crate) fn compile(
    engine: &Engine,
    requests: &[Request],
    plan: &Plan,
    known: &Known,
) -> Result<Aggregates, Failure> {
    let schema: &SchemaRef = plan.program.schema();
    let formulas: Vec<(Option<&str>, &str)> = requests.iter().map(Request::parts).collect();
    // A column of the file is read as --type says, a new one as what it is.
    let columns = plan.program.layout().iter().zip(schema.fields());
    let passed = columns.filter(|(target, _)| matches!(target, Target::Column(_))).map(|(_, field)| field.name());
    let reads = passed.filter_map(|name| Some((name.clone(), *known.reads.get(name)?))).collect();
    let aggregates = Aggregates::new(engine, &formulas, schema, &reads);
    let aggregates = aggregates.map_err(|error| known.failure(requests, error))?;
    for function in (0..requests.len()).filter_map(|index| aggregates.function(index)) {
        crate::report::say_if_interpreted(engine, function);
    }
    Ok(aggregates)
}

/// The names of the columns that aggregates use of what the plan gives.
pub(crate) fn columns(aggregates: &Aggregates, plan: &Plan) -> Vec<String> {
    let fields = plan.program.schema().fields();
    aggregates.used().into_iter().filter_map(|column| Some(fields.get(column)?.name().clone())).collect()
}

/// What went wrong while totals were taken. The rows are those that are kept, which have no numbers of their own.
pub(crate) fn failure(file: &str, requests: &[Request], aggregates: &Aggregates, error: &RunError) -> Failure {
    use kiln_arrow::Part;
    match error {
        RunError::Formula { part: Part::Aggregate(index), error, .. } => {
            let origin = requests.get(*index).map_or("--agg".to_owned(), Request::origin);
            match aggregates.function(*index) {
                Some(function) => crate::eval::run_failure(function, error, Some(&format!("{origin} at {file}"))),
                None => Failure::input(format!("{origin}: {error}")),
            }
        }
        RunError::Read { error, .. } => {
            Failure::input(format!("{file}: {error}")).help("--type 'COLUMN=f64' computes with the nearest floats")
        }
        other => Failure::input(format!("{file}: {other}")),
    }
}
