//! Aggregates over rows in new columns and filters: which rows they are about, in how many passes, beside plain Rust.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::*;
use kiln::{Engine, Options};
use kiln_arrow::{Aggregates, Builder, Part, Program, RunError};
use std::collections::HashMap;
use std::sync::Arc;

fn batch(values: &[Option<f64>]) -> RecordBatch {
    let x: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..values.len() as i64));
    RecordBatch::try_from_iter_with_nullable([("x", x, true), ("n", n, true)]).unwrap()
}

fn values() -> Vec<Option<f64>> {
    (0..5000).map(|i| (i % 11 != 3).then_some(f64::from(i % 97) - 30.0)).collect()
}

/// The rows in batches of this size.
fn cut(batch: &RecordBatch, size: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(size).map(|from| batch.slice(from, size.min(rows - from))).collect()
}

fn column(batches: &[RecordBatch], name: &str) -> Vec<Option<f64>> {
    batches.iter().flat_map(|batch| batch[name].as_primitive::<Float64Type>().iter().collect::<Vec<_>>()).collect()
}

fn close(given: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(given.len(), expected.len());
    for (row, (a, b)) in given.iter().zip(expected).enumerate() {
        let same = match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(same, "row {row}: {a:?}, {b:?}");
    }
}

fn mean(values: &[Option<f64>]) -> f64 {
    let there: Vec<f64> = values.iter().copied().flatten().collect();
    there.iter().sum::<f64>() / there.len() as f64
}

#[test]
fn aggregates_in_new_columns_and_filters() {
    let x = values();
    let all = batch(&x);
    let m = mean(&x);
    let kept: Vec<Option<f64>> = x.iter().copied().filter(|x| x.is_some_and(|x| x > m)).collect();
    let of_kept = mean(&kept);
    let engine = Engine::new();
    let new = || Program::builder(&engine);
    let map = |values: &[Option<f64>], f: &dyn Fn(f64) -> f64| -> Vec<Option<f64>> {
        values.iter().map(|x| x.map(f)).collect()
    };
    let deviation =
        (x.iter().flatten().map(|x| (x - m) * (x - m)).sum::<f64>() / x.iter().flatten().count() as f64).sqrt();
    let cases: Vec<(Builder<'_>, usize, Vec<Option<f64>>)> = vec![
        (new().column("y", "x - mean(x)"), 2, map(&x, &|x| x - m)),
        (new().column("y", "mean(x)"), 2, vec![Some(m); x.len()]),
        (new().column("y", "coalesce(x, mean(x))"), 2, x.iter().map(|x| Some(x.unwrap_or(m))).collect()),
        (new().column("y", "(x - mean(x)) / std(x)"), 2, map(&x, &|x| (x - m) / deviation)),
        (new().column("y", "x / max(abs(x - mean(x)))"), 3, map(&x, &|x| x / (66.0 - m).max(m + 30.0))),
        // One after the other.
        (new().column("d", "x - mean(x)").column("y", "d / std(d)"), 3, map(&x, &|x| (x - m) / deviation)),
        // A filter is about all rows.
        (new().filter("x > mean(x)").column("y", "x"), 2, kept.clone()),
        // What comes behind it is about the rows that are kept.
        (new().filter("x > mean(x)").column("y", "x - mean(x)"), 3, map(&kept, &|x| x - of_kept)),
        (new().filter("x > 0").column("y", "f64(nrows())"), 2, {
            let count = x.iter().flatten().filter(|x| **x > 0.0).count();
            vec![Some(count as f64); count]
        }),
        // What it uses is about all rows, and stays so.
        (new().column("m", "mean(x)").column("d", "x - m").filter("d > 0").column("y", "d"), 2, map(&kept, &|x| x - m)),
        (new().column("d", "x - mean(x)").filter("d > 0").column("y", "d - mean(d)"), 3, map(&kept, &|x| x - of_kept)),
    ];
    for (number, (builder, passes, expected)) in cases.into_iter().enumerate() {
        let program = builder.build(&all.schema()).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(program.passes(), passes, "{number}");
        let whole = column(&program.run_all(std::slice::from_ref(&all)).unwrap(), "y");
        close(&whole, &expected);
        for size in [1, 63, 1000, 1024] {
            let bits =
                |values: &[Option<f64>]| -> Vec<Option<u64>> { values.iter().map(|v| v.map(f64::to_bits)).collect() };
            let given = column(&program.run_all(&cut(&all, size)).unwrap(), "y");
            assert_eq!(bits(&given), bits(&whole), "{number}: batches of {size}");
        }
    }
}

#[test]
fn no_rows_no_batches_nothing_kept() {
    let engine = Engine::new();
    let all = batch(&[Some(1.0), None]);
    let program = Program::builder(&engine).column("y", "x - max(x)").build(&all.schema()).unwrap();
    assert_eq!(program.run_all(&[]).unwrap(), []);
    assert_eq!(program.run_all(&[all.slice(0, 0)]).unwrap()[0].num_rows(), 0);
    let program = Program::builder(&engine).filter("x > max(x)").column("m", "min(x)").build(&all.schema()).unwrap();
    assert_eq!(program.run_all(std::slice::from_ref(&all)).unwrap()[0].num_rows(), 0);
    // Of nulls alone there is no greatest, so nothing is less, and every row has none.
    let nothing = batch(&[None, None]);
    let program =
        Program::builder(&engine).column("m", "max(x)").column("z", "isnull(max(x))").build(&nothing.schema());
    let out = program.unwrap().run_all(std::slice::from_ref(&nothing)).unwrap();
    assert_eq!((out[0]["m"].null_count(), out[0]["z"].as_boolean().true_count()), (2, 2));
}

#[test]
fn results_before_the_last_pass_are_an_error() {
    let engine = Engine::new();
    let all = batch(&values());
    let program = Program::builder(&engine).column("a", "x").column("y", "x - mean(x)").build(&all.schema()).unwrap();
    assert_eq!(program.about_all_rows(), Some(Part::Column(1)));
    assert!(matches!(program.run(&all), Err(RunError::Passes(2))));
    assert!(matches!(program.evaluate(&all), Err(RunError::Passes(2))));
    let mut reading = program.start();
    assert_eq!(reading.used(), [0]);
    let mut pass = reading.pass();
    pass.add(reading.feed(&all).unwrap()).unwrap();
    reading.end(pass).unwrap();
    assert_eq!(reading.remaining(), 0);
    assert_eq!(reading.run(&all).unwrap().num_columns(), 4);
    // The rows of two passes must be the same.
    let program = Program::builder(&engine).column("y", "x - max(abs(x - mean(x)))").build(&all.schema()).unwrap();
    let mut reading = program.start();
    for (rows, fits) in [(5000, true), (4999, false)] {
        let mut pass = reading.pass();
        pass.add(reading.feed(&all.slice(0, rows)).unwrap()).unwrap();
        assert_eq!(reading.end(pass).is_ok(), fits);
    }
    let formulas = [(Some("t"), "sum(x - mean(x))")];
    let aggregates = Aggregates::new(&engine, &formulas, &all.schema(), &HashMap::new()).unwrap();
    assert_eq!(aggregates.passes(), 2);
    let mut totals = aggregates.start();
    totals.add(&all).unwrap();
    assert!(matches!(totals.finish(), Err(RunError::Passes(2))));
}

#[test]
fn what_fails_while_rows_are_taken_names_its_row() {
    let mut options = Options::default();
    options.checked = true;
    let engine = Engine::with_options(options).unwrap();
    // Row 3 of the second batch divides by zero; row 1, which has zeros too, is null or dropped.
    let d: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(0), None, Some(1), Some(0)]));
    let k: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 0, 1, 1, 1]));
    let second = RecordBatch::try_from_iter_with_nullable([("d", d, true), ("k", k, true)]).unwrap();
    let first = second.slice(0, 2);
    let program = Program::builder(&engine).filter("k == 1").column("y", "d - max(60 // d)");
    let program = program.build(&second.schema()).unwrap();
    match program.run_all(&[first.clone(), second]).unwrap_err() {
        RunError::Formula { part: Part::Column(0), row: 5, error } => assert_eq!(error.code(), "division-by-zero"),
        other => panic!("{other}"),
    }
    assert!(program.run_all(&[first.clone(), first]).is_ok());
    // In a total too, also in one that leaves out rows with nulls.
    let d: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None, Some(2), Some(0)]));
    let all = RecordBatch::try_from_iter([("d", d)]).unwrap();
    for formula in ["sum(60 // d)", "let q = 60 // d; var s = 0; for k in 0..1 { s = s + sum(q) }; s"] {
        let aggregates = Aggregates::new(&engine, &[(Some("t"), formula)], &all.schema(), &HashMap::new()).unwrap();
        let mut totals = aggregates.start();
        totals.add(&all.slice(0, 4)).unwrap();
        match totals.add(&all).unwrap_err() {
            RunError::Formula { part: Part::Aggregate(0), row: 4, error } => {
                assert_eq!(error.code(), "division-by-zero");
            }
            other => panic!("{formula}: {other}"),
        }
    }
}
