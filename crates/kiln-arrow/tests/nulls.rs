//! Nulls in programs and totals, beside plain Rust over `Option`s, which knows nothing of columns.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use arrow_array::cast::AsArray as _;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::NullBuffer;
use kiln::{Engine, Options, Value};
use kiln_arrow::{Aggregates, Program};
use std::collections::HashMap;
use std::sync::Arc;

/// A row: two numbers, an int and a condition.
#[derive(Clone, Copy, Debug)]
struct Row {
    x: Option<f64>,
    y: Option<f64>,
    n: Option<i64>,
    b: Option<bool>,
}

/// Columns of these rows; where there is nothing lies what would show.
fn batch(rows: &[Row]) -> RecordBatch {
    fn nulls<T>(values: &[Option<T>]) -> Option<NullBuffer> {
        Some(NullBuffer::from(values.iter().map(Option::is_some).collect::<Vec<bool>>()))
    }
    fn all<T: Copy>(values: &[Option<T>], garbage: T) -> Vec<T> {
        values.iter().map(|value| value.unwrap_or(garbage)).collect()
    }
    let x: Vec<_> = rows.iter().map(|row| row.x).collect();
    let y: Vec<_> = rows.iter().map(|row| row.y).collect();
    let n: Vec<_> = rows.iter().map(|row| row.n).collect();
    let b: Vec<_> = rows.iter().map(|row| row.b).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("x", Arc::new(Float64Array::new(all(&x, f64::NAN).into(), nulls(&x)))),
        ("y", Arc::new(Float64Array::new(all(&y, 1e300).into(), nulls(&y)))),
        ("n", Arc::new(Int64Array::new(all(&n, 0).into(), nulls(&n)))),
        ("b", Arc::new(BooleanArray::new(all(&b, true).into(), nulls(&b)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// Rows with every combination of nulls, again and again.
fn rows(count: usize) -> Vec<Row> {
    let row = |i: usize| Row {
        x: i.is_multiple_of(2).then_some((i % 7) as f64 - 3.0),
        y: (i % 3 != 1).then_some((i % 5) as f64 - 1.5),
        n: (!(i / 2).is_multiple_of(3)).then_some((i % 4) as i64 + 1),
        b: (i / 3 % 4 != 2).then_some(i % 5 > 1),
    };
    (0..count).map(row).collect()
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    if a == Some(false) || b == Some(false) { Some(false) } else { Some(a? && b?) }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    if a == Some(true) || b == Some(true) { Some(true) } else { Some(a? || b?) }
}

fn same(given: &ArrayRef, row: usize, expected: Option<Value>) -> bool {
    let value = given.is_valid(row).then(|| match expected {
        Some(Value::I64(_)) => Value::I64(given.as_primitive::<Int64Type>().value(row)),
        Some(Value::Bool(_)) => Value::Bool(given.as_boolean().value(row)),
        _ => Value::F64(given.as_primitive::<Float64Type>().value(row)),
    });
    match (value, expected) {
        (Some(value), Some(expected)) => value.same(expected),
        (value, expected) => value.is_none() && expected.is_none(),
    }
}

type Case = (&'static str, fn(Row) -> Option<Value>);

/// Formulas, and what they are in a row.
const CASES: &[Case] =
    &[
        ("x + y", |r| Some(Value::F64(r.x? + r.y?))),
        ("x < y", |r| Some(Value::Bool(r.x? < r.y?))),
        ("x < y and b", |r| and(r.x.zip(r.y).map(|(x, y)| x < y), r.b).map(Value::Bool)),
        ("b or y > 0", |r| or(r.b, r.y.map(|y| y > 0.0)).map(Value::Bool)),
        ("not b", |r| Some(Value::Bool(!r.b?))),
        ("0 < x < y", |r| and(r.x.map(|x| 0.0 < x), r.x.zip(r.y).map(|(x, y)| x < y)).map(Value::Bool)),
        ("if(b, x, y)", |r| if r.b? { r.x } else { r.y }.map(Value::F64)),
        ("if(b or x > 0, 1, y)", |r| {
            if or(r.b, r.x.map(|x| x > 0.0))? { Some(Value::F64(1.0)) } else { r.y.map(Value::F64) }
        }),
        ("isnull(x)", |r| Some(Value::Bool(r.x.is_none()))),
        ("isnull(x + y) and not isnull(n)", |r| Some(Value::Bool((r.x.is_none() || r.y.is_none()) && r.n.is_some()))),
        ("coalesce(x, y)", |r| r.x.or(r.y).map(Value::F64)),
        ("coalesce(n, 0)", |r| Some(Value::I64(r.n.unwrap_or(0)))),
        ("60 // n", |r| Some(Value::I64(60 / r.n?))),
        ("coalesce(60 // n, -1)", |r| Some(Value::I64(r.n.map_or(-1, |n| 60 / n)))),
        ("sum(k for k in 1..=n)", |r| Some(Value::I64((1..=r.n?).sum()))),
        // A formula with a loop is one operation: `y` alone decides too.
        ("var s = coalesce(y, 7); for k in 0..2 { s = s + coalesce(x, 1) }; s", |r| {
            let (x, y) = (r.x?, r.y?);
            Some(Value::F64(y + x + x))
        }),
        ("2.5", |_| Some(Value::F64(2.5))),
    ];

#[test]
fn formulas_in_rows_with_nulls() {
    let mut options = Options::default();
    options.checked = true;
    for engine in [Engine::new(), Engine::with_options(options).unwrap()] {
        let all = rows(200);
        let whole = batch(&all);
        for (formula, expected) in CASES {
            let program = Program::builder(&engine).column("out", formula).build(&whole.schema());
            let program = program.unwrap_or_else(|error| panic!("{formula}: {error}"));
            // The whole, slices whose bits begin at an odd place, single rows, no rows.
            for (from, count) in [(0, 200), (3, 5), (64, 100), (13, 1), (14, 1), (17, 1), (199, 1), (5, 0)] {
                let out = program.run(&whole.slice(from, count)).unwrap_or_else(|error| panic!("{formula}: {error}"));
                assert_eq!(out.num_rows(), count);
                for row in 0..count {
                    let expected = expected(all[from + row]);
                    assert!(same(&out["out"], row, expected), "{formula}, row {row} from {from}: {expected:?}");
                }
            }
            // As a filter it keeps what is true.
            if program.schema().field_with_name("out").unwrap().data_type() == &arrow_schema::DataType::Boolean {
                let builder = Program::builder(&engine).filter(formula).column("z", "coalesce(x, 9)");
                let out = builder.build(&whole.schema()).unwrap().run(&whole.slice(3, 190)).unwrap();
                let kept: Vec<Row> =
                    all[3..193].iter().copied().filter(|&r| matches!(expected(r), Some(Value::Bool(true)))).collect();
                assert_eq!(out.num_rows(), kept.len(), "{formula}");
                for (row, r) in kept.iter().enumerate() {
                    assert!(same(&out["z"], row, Some(Value::F64(r.x.unwrap_or(9.0)))), "{formula}, row {row}");
                }
            }
        }
    }
}

#[test]
fn each_of_several_results_has_its_own_nulls() {
    let all = rows(100);
    let whole = batch(&all);
    let engine = Engine::new();
    let formula = "{ a: isnull(x), b: x + y, c: coalesce(y, 0), d: y, e: mean(y) * 0 + x }";
    let program = Program::builder(&engine).columns(formula).build(&whole.schema()).unwrap();
    let out = program.run_all(&[whole.slice(0, 37), whole.slice(37, 63)]).unwrap();
    for (row, r) in all.iter().enumerate() {
        let (out, row) = if row < 37 { (&out[0], row) } else { (&out[1], row - 37) };
        let expected = [
            ("a", Some(Value::Bool(r.x.is_none()))),
            ("b", r.x.zip(r.y).map(|(x, y)| Value::F64(x + y))),
            ("c", Some(Value::F64(r.y.unwrap_or(0.0)))),
            ("d", r.y.map(Value::F64)),
            ("e", r.x.map(Value::F64)),
        ];
        for (name, expected) in expected {
            assert!(same(&out[name], row, expected), "{name}, row {row}: {expected:?}");
        }
    }
}

#[test]
fn both_forms_of_a_formula_give_the_same() {
    let all: Vec<Row> = rows(400).into_iter().filter(|r| r.x.is_some() && r.y.is_some() && r.n.is_some()).collect();
    let all: Vec<Row> = all.into_iter().map(|r| Row { b: r.b.or(Some(false)), ..r }).collect();
    let engine = Engine::new();
    let none = batch(&all);
    let gap = batch(&[&all[..], &[Row { x: None, y: None, n: None, b: None }]].concat());
    for (formula, _) in CASES {
        let program = Program::builder(&engine).column("out", formula).build(&none.schema()).unwrap();
        let (plain, nullable) = (program.run(&none).unwrap(), program.run(&gap).unwrap());
        assert_eq!(plain["out"].null_count(), 0, "{formula}");
        assert!(plain["out"].nulls().is_none());
        assert_eq!(&plain["out"], &nullable["out"].slice(0, all.len()), "{formula}");
    }
}

#[test]
fn totals_leave_out_the_nulls_of_their_own_argument() {
    let all = rows(3000);
    let whole = batch(&all);
    let engine = Engine::new();
    let some = |of: &dyn Fn(&Row) -> Option<f64>| -> Vec<f64> { all.iter().filter_map(of).collect() };
    let (x, y) = (some(&|r| r.x), some(&|r| r.y));
    let both = some(&|r| Some(r.x? * r.y?));
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let mean = sum(&x) / x.len() as f64;
    let cases: &[(&str, f64)] = &[
        ("sum(x) / sum(y)", sum(&x) / sum(&y)),
        ("f64(count(x))", x.len() as f64),
        ("f64(nrows())", 3000.0),
        ("f64(count(isnull(y)))", (3000 - y.len()) as f64),
        ("mean(x) - mean(y)", mean - sum(&y) / y.len() as f64),
        ("sum(x*y)", sum(&both)),
        ("f64(count(b or x > 0))", all.iter().filter(|r| or(r.b, r.x.map(|x| x > 0.0)) == Some(true)).count() as f64),
        ("sum(coalesce(x, 100))", all.iter().map(|r| r.x.unwrap_or(100.0)).sum()),
        ("max(x) + min(y)", 1.5),
        // Two passes.
        ("sum((x - mean(x))^2)", x.iter().map(|x| (x - mean) * (x - mean)).sum()),
        // One operation to nulls: rows count in which both are there.
        ("var s = 0; for k in 0..2 { s = s + sum(x) + 0*sum(y) }; s", 2.0 * sum(&some(&|r| r.y.and(r.x)))),
    ];
    for (formula, expected) in cases {
        let formulas = [(Some("t"), *formula)];
        let aggregates = Aggregates::new(&engine, &formulas, &whole.schema(), &HashMap::new());
        let aggregates = aggregates.unwrap_or_else(|error| panic!("{formula}: {error}"));
        for size in [1, 7, 1024, 3000] {
            let mut totals = aggregates.start();
            while totals.remaining() > 0 {
                for from in (0..3000).step_by(size) {
                    totals.add(&whole.slice(from, size.min(3000 - from))).unwrap();
                }
                totals.end_pass().unwrap();
            }
            let given = totals.finish().unwrap()["t"].as_primitive::<Float64Type>().value(0);
            assert!((given - expected).abs() <= 1e-9 * expected.abs(), "{formula}: {given}, {expected}");
        }
    }
    // Of nulls alone there is no greatest.
    let nothing = batch(&[Row { x: None, y: None, n: None, b: None }; 3]);
    let formulas = [(None, "{ m: max(x), s: sum(x), c: coalesce(max(x), 5), i: isnull(last(n)) }")];
    let aggregates = Aggregates::new(&engine, &formulas, &nothing.schema(), &HashMap::new()).unwrap();
    let mut totals = aggregates.start();
    totals.add(&nothing).unwrap();
    let row = totals.finish().unwrap();
    assert!(row["m"].is_null(0) && row["i"].as_boolean().value(0));
    assert_eq!(row["s"].as_primitive::<Float64Type>().value(0), 0.0);
    assert_eq!(row["c"].as_primitive::<Float64Type>().value(0), 5.0);
}
