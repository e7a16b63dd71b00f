//! Filters: a formula with one gives what the formula without it gives of the rows that are kept.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{AsColumn, AsColumnMut, Engine, Error, Options, RunError, Value};

const ROWS: usize = 10_007;

fn data() -> (Vec<f64>, Vec<f64>, Vec<i32>) {
    let x = |i: usize| ((i * 7919) % 1013) as f64 / 7.0 - 50.0;
    let y = |i: usize| ((i * 104_729) % 509) as f64 / 3.0 + 1.0;
    ((0..ROWS).map(x).collect(), (0..ROWS).map(y).collect(), (0..ROWS).map(|i| (i % 11) as i32 - 3).collect())
}

#[test]
fn rows_that_are_not_kept_are_as_if_they_were_not_there() {
    let (x, y, n) = data();
    let engine = Engine::new();
    let cases = [
        ("x - mean(x)", "y > 50 and n != 2"),
        ("{ a: x*y, b: sum(n) + n }", "x < 10"),
        ("x + nrows()", "n == 0"),
        ("x", "true"),
        ("x + max(y)", "x > 1000"),
        ("std(x - mean(y)) + x*0", "n > 0"),
    ];
    for (formula, filter) in cases {
        let formula_of = || engine.formula(formula).params("x, y, n: i32");
        let holds = engine.formula(filter).params("x, y, n: i32").compile().unwrap();
        let mut keep = vec![false; ROWS];
        holds.eval_columns(&[&x, &y, &n], &mut keep).unwrap();
        let rows: Vec<usize> = (0..ROWS).filter(|&i| keep[i]).collect();
        let (kx, ky): (Vec<f64>, Vec<f64>) = rows.iter().map(|&i| (x[i], y[i])).unzip();
        let kn: Vec<i32> = rows.iter().map(|&i| n[i]).collect();
        let (plain, filtered) = (formula_of().compile().unwrap(), formula_of().filter(filter).compile().unwrap());
        let outputs = plain.outputs().len();
        let (mut expected, mut expected_ints) = (vec![0.0; rows.len()], vec![0i64; rows.len()]);
        let mut all: Vec<&mut dyn AsColumnMut> = vec![&mut expected, &mut expected_ints];
        plain.eval_columns_all(&[&kx, &ky, &kn], &mut all[..outputs]).unwrap();
        let (mut found, mut found_ints) = (vec![0.0; ROWS], vec![0i64; ROWS]);
        let mut all: Vec<&mut dyn AsColumnMut> = vec![&mut found, &mut found_ints];
        let count = filtered.eval_kept(&[&x, &y, &n], &mut all[..outputs]).unwrap();
        assert_eq!(count, rows.len(), "{formula} where {filter}");
        assert_eq!(
            (&found[..count], &found_ints[..count]),
            (&expected[..], &expected_ints[..]),
            "{formula} where {filter}"
        );
        // In batches, too.
        let mut stream = filtered.stream();
        let batches = || (0..ROWS).step_by(977).map(|start| start..ROWS.min(start + 977));
        while stream.remaining() > 0 {
            for rows in batches() {
                stream.accumulate(&[&&x[rows.clone()], &&y[rows.clone()], &&n[rows]]).unwrap();
            }
            stream.end_pass().unwrap();
        }
        let mut at = 0;
        for rows in batches() {
            let (mut found, mut found_ints) = (vec![0.0; rows.len()], vec![0i64; rows.len()]);
            let mut all: Vec<&mut dyn AsColumnMut> = vec![&mut found, &mut found_ints];
            let inputs: [&dyn AsColumn; 3] = [&&x[rows.clone()], &&y[rows.clone()], &&n[rows]];
            let count = stream.eval_kept(&inputs, &mut all[..outputs]).unwrap();
            assert_eq!(found[..count], expected[at..at + count]);
            at += count;
        }
        assert_eq!(at, expected.len());
    }
}

#[test]
fn aggregates_of_the_kept_rows() {
    let engine = Engine::new();
    let of = |formula: &str, filter: &str| {
        let f = engine.formula(formula).params("x, y").filter(filter).compile().unwrap();
        assert!(f.is_aggregate());
        f.aggregate(&[&[1.0, 2.0, 3.0, 4.0], &[0.0, 9.0, 9.0, 0.0]]).unwrap()[0]
    };
    assert!(of("sum(x)", "y > 1").unwrap().same(Value::F64(5.0)));
    assert!(of("nrows()", "x >= 2").unwrap().same(Value::I64(3)));
    assert!(of("sum(x - mean(x)) + first(x)", "y > 1").unwrap().same(Value::F64(2.0)));
    assert!(of("min(x)", "x > 100").is_none() && of("sum(x)", "x > 100").unwrap().same(Value::F64(0.0)));
}

#[test]
fn a_filter_keeps_rows_that_are_true_and_not_null() {
    let f = Engine::new().formula("x").params("x").nullable(&["x"]).filter("x > 1 or isnull(x)").compile().unwrap();
    let (mut out, mut there) = ([0.0; 4], [false; 4]);
    let inputs: [&dyn AsColumn; 2] = [&[1.0, 2.0, 3.0, 4.0], &[true, true, false, true]];
    assert_eq!(f.eval_kept(&inputs, &mut [&mut out, &mut there]).unwrap(), 3);
    assert_eq!((out[0], out[2], there[..3].to_vec()), (2.0, 4.0, vec![true, false, true]));
    let f = Engine::new().formula("x").params("x").nullable(&["x"]).filter("x > 1").compile().unwrap();
    assert_eq!(f.eval_kept(&inputs, &mut [&mut out, &mut there]).unwrap(), 2);
    assert_eq!((out[..2].to_vec(), there[..2].to_vec()), (vec![2.0, 4.0], vec![true; 2]));
    // The filter alone looks at what may be null.
    let f = Engine::new().formula("y*2").nullable(&["x"]).filter("x > 1").compile().unwrap();
    let params: Vec<_> = f.params().iter().map(|p| (p.name.as_str(), p.validity_of)).collect();
    assert_eq!(params, [("y", None), ("x", None), ("x", Some(1))]);
    let inputs: [&dyn AsColumn; 3] = [&[1.0, 2.0], &[5.0, 5.0], &[false, true]];
    assert_eq!(f.eval_kept(&inputs, &mut [&mut out]).unwrap(), 1);
    assert_eq!(out[0], 4.0);
}

#[test]
fn errors_name_the_row_as_it_was_given() {
    let mut options = Options::default();
    options.checked = true;
    let engine = Engine::with_options(options).unwrap();
    let n: Vec<i64> = (0..9000).map(|i| if i % 3 == 0 { 5 } else { 8001 - i }).collect();
    let row = |formula: &str, filter: &str| {
        let f = engine.formula(formula).params("n: i64").filter(filter).compile().unwrap();
        let mut out = vec![0i64; 9000];
        match f.eval_kept(&[&n], &mut [&mut out]).unwrap_err() {
            RunError::Row { row, error } => (row, error.code()),
            other => panic!("{other:?}"),
        }
    };
    // n is 1 in row 8000 alone.
    assert_eq!(row("7 // (n - 1)", "n != 5"), (8000, "division-by-zero"));
    assert_eq!(row("n - max(7 // (n - 1))", "n != 5"), (8000, "division-by-zero"));
    assert_eq!(row("n", "7 // (n - 1) > 0"), (8000, "division-by-zero"));
    assert!(
        engine.formula("7 // (n - 1)").params("n: i64").filter("n != 1").compile().unwrap().aggregate(&[&n]).is_err()
    );
}

#[test]
fn what_is_wrong_is_said() {
    let engine = Engine::new();
    let f = engine.formula("x + 1").filter("x > 0").compile().unwrap();
    assert_eq!(f.eval_columns(&[&[1.0]], &mut [0.0]).unwrap_err().code(), "filtered");
    assert_eq!(f.call(&[Value::F64(1.0)]).unwrap_err().code(), "columns-only");
    assert_eq!(f.eval_kept(&[&[1.0, 2.0]], &mut [&mut [0.0]]).unwrap_err().code(), "rows");
    let code = |filter: &str| match engine.formula("x").params("x").filter(filter).compile().unwrap_err() {
        Error::Formula { source, diagnostics } => {
            assert_eq!(source, filter);
            diagnostics[0].code
        }
        Error::Signature(_) => "signature",
        other => panic!("{other:?}"),
    };
    assert_eq!(
        ["x +", "x > mean(x)", "z > 1", "x + 1"].map(code),
        ["syntax/operand", "unsupported", "unknown-name", "signature"]
    );
    assert!(engine.formula("x").params("x").filter("x > 0").compile_typed::<fn(f64) -> f64>().is_err());
}
