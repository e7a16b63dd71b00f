//! Formulas about all rows of columns: aggregates anywhere, in one pass or several, over batches of any size.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{AsColumn, ColumnEngine, Engine, EngineKind, Error, Host, Options, RunError, Type, Value};

fn engines() -> [Engine; 2] {
    [EngineKind::Jit, EngineKind::Interpreter].map(|kind| {
        let mut options = Options::default();
        options.engine = Some(kind);
        Engine::with_options(options).unwrap()
    })
}

fn checked() -> Engine {
    let mut options = Options::default();
    options.checked = true;
    Engine::with_options(options).unwrap()
}

/// Values that sums round, many more than a block has.
fn data(rows: usize) -> (Vec<f64>, Vec<f64>, Vec<i32>) {
    let x = |i: usize| ((i * 7919) % 1013) as f64 / 7.0 - 50.0;
    let y = |i: usize| ((i * 104_729) % 509) as f64 / 3.0 + 1.0;
    let n = |i: usize| ((i * 31) % 11) as i32 - 3;
    ((0..rows).map(x).collect(), (0..rows).map(y).collect(), (0..rows).map(n).collect())
}

fn one(values: &[Option<Value>]) -> f64 {
    match values {
        [Some(Value::F64(value))] => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_aggregate_of_a_few_rows() {
    // Formula over x = [3, 1, 2], n = [5, -2, 4] (i32), c = [true, false, true], z = [1.5, 0.5, 4] (f32), and the value.
    let cases: &[(&str, Value)] = &[
        ("sum(x)", Value::F64(6.0)),
        ("sum(n)", Value::I64(7)),
        ("sum(z)", Value::F32(6.0)),
        ("prod(x)", Value::F64(6.0)),
        ("prod(n)", Value::I64(-40)),
        ("mean(x)", Value::F64(2.0)),
        ("mean(n)", Value::F64(7.0 / 3.0)),
        ("mean(z)", Value::F32(2.0)),
        ("var(x)", Value::F64(2.0 / 3.0)),
        ("var(x, 1)", Value::F64(1.0)),
        ("std(x, 1)", Value::F64(1.0)),
        ("min(x)", Value::F64(1.0)),
        ("max(n)", Value::I32(5)),
        ("min(z)", Value::F32(0.5)),
        ("count(c)", Value::I64(2)),
        ("count(x > 1)", Value::I64(2)),
        ("count(x)", Value::I64(3)),
        ("any(c)", Value::Bool(true)),
        ("all(c)", Value::Bool(false)),
        ("first(x)", Value::F64(3.0)),
        ("last(c)", Value::Bool(true)),
        ("last(n)", Value::I32(4)),
        ("nrows()", Value::I64(3)),
        ("sum(x) / nrows()", Value::F64(2.0)),
        ("sum(1)", Value::F64(3.0)),
        ("sum(x*x) - sum(x)^2/nrows()", Value::F64(2.0)),
        ("std(x - mean(x))", Value::F64((2.0f64 / 3.0).sqrt())),
        ("max(abs(x - mean(x)))", Value::F64(1.0)),
        ("let m = mean(x); sum((x - m)^2)", Value::F64(2.0)),
        ("fn centred(v) = v - mean(v); sum(centred(x) * centred(x))", Value::F64(2.0)),
        ("sum(if(c, x, 0))", Value::F64(5.0)),
        ("if(mean(x) > 1, sum(x), 0)", Value::F64(6.0)),
        ("sum(sum(x^k for k in 1..=2))", Value::F64(20.0)),
        ("sum(max(x) * k for k in 1..=3)", Value::F64(18.0)),
        ("var s = 0; for k in 0..3 { s = s + mean(x) }; s", Value::F64(6.0)),
        ("max(1, 2, mean(x))", Value::F64(2.0)),
        ("min(max(x), max(z))", Value::F64(3.0)),
    ];
    let (x, n, c, z) = ([3.0, 1.0, 2.0], [5, -2, 4], [true, false, true], [1.5f32, 0.5, 4.0]);
    for engine in engines() {
        for (formula, expected) in cases {
            let f = engine.formula(formula).params("x, n: i32, c: bool, z: f32").compile().unwrap();
            assert!(f.is_aggregate() && !f.outputs()[0].per_row, "{formula}");
            let values = f.aggregate(&[&x, &n, &c, &z]).unwrap();
            assert!(values[0].is_some_and(|value| value.same(*expected)), "{formula}: {values:?}");
            assert_eq!(expected.ty(), f.result_type(), "{formula}");
        }
    }
}

#[test]
fn results_in_every_row() {
    let (x, y, _) = data(10_000);
    for engine in engines() {
        let f = engine.formula("{ off: x - mean(x), share: x*y / sum(x*y), top: max(y) }").params("x, y").compile();
        let f = f.unwrap();
        assert_eq!(f.passes(), 2);
        let kernels = engine.options().engine == Some(EngineKind::Jit) && cfg!(target_arch = "x86_64");
        assert_eq!(f.column_engine() == ColumnEngine::Kernel, kernels);
        assert_eq!(f.engine() == EngineKind::Jit, kernels);
        assert_eq!(f.outputs().iter().map(|o| o.per_row).collect::<Vec<_>>(), [true, true, false]);
        let mut out = [vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]];
        let [off, share, top] = &mut out;
        f.eval_columns_all(&[&x, &y], &mut [off, share, top]).unwrap();
        let of = |formula: &str| {
            one(&engine.formula(formula).params("x, y").compile().unwrap().aggregate(&[&x, &y]).unwrap())
        };
        let (mean, sum, max) = (of("mean(x)"), of("sum(x*y)"), of("max(y)"));
        for i in 0..x.len() {
            assert_eq!((out[0][i], out[1][i], out[2][i]), (x[i] - mean, x[i] * y[i] / sum, max), "row {i}");
        }
        let f = engine.compile("sum(x)").unwrap();
        let mut out = [0.0; 3];
        f.eval_columns(&[&[1.0, 2.0, 4.0]], &mut out).unwrap();
        assert_eq!(out, [7.0; 3]);
        assert!(matches!(engine.compile("x - mean(x)").unwrap().aggregate(&[&x]), Err(RunError::PerRow { .. })));
        assert!(matches!(engine.compile("x + 1").unwrap().aggregate(&[&x]), Err(RunError::PerRow { .. })));
    }
}

#[test]
fn no_bit_depends_on_batches_or_machinery() {
    let (x, y, n) = data(20_011);
    let formulas = ["sum(x*y)", "std(x - mean(x)) + mean(y)", "prod(1 + x/1e5)", "sum(n) + 0.5", "max(x - mean(y))"];
    for formula in formulas {
        let mut all = Vec::new();
        for engine in engines() {
            let f = engine.formula(formula).params("x, y, n: i32").compile().unwrap();
            all.push(one(&f.aggregate(&[&x, &y, &n]).unwrap()).to_bits());
            for size in [1, 63, 1000, 4096, 7777] {
                let mut stream = f.stream();
                while stream.remaining() > 0 {
                    for start in (0..x.len()).step_by(size) {
                        let rows = start..x.len().min(start + size);
                        stream.accumulate(&[&&x[rows.clone()], &&y[rows.clone()], &&n[rows]]).unwrap();
                    }
                    stream.end_pass().unwrap();
                }
                all.push(one(&stream.values().unwrap()).to_bits());
            }
        }
        assert!(all.iter().all(|bits| *bits == all[0]), "{formula}: {all:x?}");
    }
}

#[test]
fn no_rows() {
    let none: [f64; 0] = [];
    for engine in engines() {
        let value = |formula: &str| engine.compile(formula).unwrap().aggregate(&[&none]).unwrap()[0];
        for (formula, expected) in [("sum(x)", 0.0), ("prod(x)", 1.0), ("mean(x)", f64::NAN), ("std(x)", f64::NAN)] {
            assert!(value(formula).is_some_and(|value| value.same(Value::F64(expected))), "{formula}");
        }
        for formula in ["min(x)", "max(x) + 1", "first(x)", "last(x) * 2"] {
            assert!(value(formula).is_none(), "{formula}");
        }
        assert!(value("any(x > 0)").is_some_and(|value| value.same(Value::Bool(false))));
        assert!(value("all(x > 0)").is_some_and(|value| value.same(Value::Bool(true))));
        engine.compile("x - min(x)").unwrap().eval_columns(&[&none], &mut Vec::<f64>::new()).unwrap();
    }
}

#[test]
fn passes_are_counted_and_streams_say_what_they_need() {
    let engine = Engine::new();
    let passes = |formula: &str| engine.compile(formula).unwrap().passes();
    assert_eq!(["x + 1", "sum(x)", "sum(x) / mean(x)", "x - mean(x)"].map(passes), [1, 1, 1, 2]);
    assert_eq!(["std(x - mean(x))", "x - std(x - mean(x))", "let m = mean(x); x"].map(passes), [2, 3, 1]);
    let f = engine.compile("x - mean(x)").unwrap();
    let mut stream = f.stream();
    assert_eq!(stream.reads_once(), Err(RunError::ReadOnce { passes: 2 }));
    assert_eq!(stream.eval(&[&[1.0]], &mut [&mut [0.0]]), Err(RunError::ReadOnce { passes: 2 }));
    stream.accumulate(&[&[1.0, 2.0]]).unwrap();
    stream.end_pass().unwrap();
    assert_eq!(stream.remaining(), 0);
    let f = engine.compile("std(x - mean(x))").unwrap();
    let mut stream = f.stream();
    stream.accumulate(&[&[1.0, 2.0]]).unwrap();
    stream.end_pass().unwrap();
    assert!(matches!(stream.values(), Err(RunError::ReadOnce { passes: 2 })));
    stream.accumulate(&[&[1.0]]).unwrap();
    assert_eq!(stream.end_pass(), Err(RunError::Reread { before: 2, now: 1 }));
    assert_eq!(engine.compile("sum(x)").unwrap().stream().reads_once(), Ok(()));
    // A formula of one row is a stream too.
    let f = engine.compile("x + 1").unwrap();
    let (mut stream, mut out) = (f.stream(), [0.0; 2]);
    assert_eq!(stream.remaining(), 0);
    stream.eval(&[&[1.0, 2.0]], &mut [&mut out]).unwrap();
    assert_eq!(out, [2.0, 3.0]);
}

#[test]
fn columns_that_do_not_suit_are_errors() {
    let f = Engine::new().formula("sum(x*n)").params("x, n: i32").compile().unwrap();
    let code = |inputs: &[&dyn AsColumn]| f.aggregate(inputs).unwrap_err().code();
    assert_eq!(code(&[&[1.0]]), "argument-count");
    assert_eq!(code(&[&[1.0], &[1.0]]), "argument-type");
    assert_eq!(code(&[&[1.0, 2.0], &[1]]), "rows");
    assert_eq!(one(&f.aggregate(&[&[1.0, 2.0], &3]).unwrap()), 9.0);
    assert_eq!(one(&f.aggregate(&[&2.0, &3]).unwrap()), 6.0);
}

#[test]
fn a_call_on_single_values_is_an_error() {
    let engine = Engine::new();
    let f = engine.compile("x - mean(x)").unwrap();
    assert_eq!(f.call(&[Value::F64(1.0)]).unwrap_err().code(), "columns-only");
    let typed = engine.compile_typed::<fn(f64) -> f64>("sum(x)").unwrap_err();
    assert_eq!(typed.diagnostics()[0].code, "unsupported");
    assert!(matches!(engine.batch().add("sum(x)"), Err(Error::Formula { .. })));
}

#[test]
fn traps_happen_once_and_as_early_as_they_can() {
    let engine = checked();
    let row = |formula: &str, n: &[i64], m: &[i64]| {
        let f = engine.formula(formula).params("n: i64, m: i64").compile().unwrap();
        match f.aggregate(&[&n, &m]).unwrap_err() {
            RunError::Row { row, error } => (row, error.code(), error.span().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    let (mut n, mut m) = (vec![7i64; 9000], vec![1i64; 9000]);
    m[8111] = 0;
    for formula in ["sum(n // m)", "let a = n // m; sum(a) + sum(n)", "let a = n // m; sum(n)", "sum(n - max(n // m))"]
    {
        let (row, code, span) = row(formula, &n, &m);
        assert_eq!((row, code, span.text(formula)), (8111, "division-by-zero", "n // m"), "{formula}");
    }
    // Known only in the second pass.
    n[4999] = 3;
    let (row, code, _) = row("sum(m // (n - min(n)))", &n, &m);
    assert_eq!((row, code), (4999, "division-by-zero"));
    // What is one value fails once.
    let f = engine.formula("sum(n) // (sum(n) - sum(n))").params("n: i64").compile().unwrap();
    assert!(matches!(f.aggregate(&[&n]), Err(RunError::DivisionByZero { .. })));
    // An arm that is not taken cannot fail, and an aggregate in it is that of all rows.
    let f = engine.formula("sum(if(m != 0, n // m, 0))").params("n: i64, m: i64").compile().unwrap();
    assert!(f.aggregate(&[&n, &m]).is_ok());
    let f = engine.formula("if(m != 0, n // m + max(n), 0)").params("n: i64, m: i64").compile().unwrap();
    let mut out = vec![0i64; 9000];
    f.eval_columns(&[&n, &m], &mut out).unwrap();
    assert_eq!((out[0], out[8111]), (14, 0));
}

#[test]
fn what_can_fail_in_an_argument_does_not_stand_in_a_branch() {
    let code = |engine: &Engine, formula: &str| {
        let error = engine.formula(formula).params("n: i64, m: i64").compile().unwrap_err();
        error.diagnostics()[0].code
    };
    let engine = checked();
    assert_eq!(code(&engine, "if(m != 0, sum(n // m), 0)"), "unsupported/branch");
    assert_eq!(code(&engine, "for k in 0..n { let a = sum(n * k) }; 1"), "unsupported/branch");
    let named = engine.formula("let s = sum(n - m); if(m != 0, s // m, 0)").params("n: i64, m: i64").compile();
    assert!(named.is_ok());
    let engine = Engine::new();
    assert!(engine.formula("if(m != 0, sum(n // m), 0)").params("n: i64, m: i64").compile().is_ok());
    assert_eq!(code(&engine, "sum(sum(n * k) for k in 0..m)"), "unsupported/branch");
}

#[test]
fn loops_belong_to_the_stage_that_needs_them() {
    let mut options = Options::default();
    options.limits.steps = 1000;
    let engine = Engine::with_options(options).unwrap();
    let of = |formula: &str| engine.formula(formula).params("x").compile().unwrap().aggregate(&[&[4.0, 9.0, 2.0]]);
    let newton = "var s = x; while abs(s*s - x) > 1e-12 { s = (s + x/s) / 2 }; ";
    assert!((one(&of(&format!("{newton} sum(s)")).unwrap()) - (5.0 + 2f64.sqrt())).abs() < 1e-9);
    assert!(one(&of(&format!("{newton} sum(s - mean(s))")).unwrap()).abs() < 1e-9);
    assert_eq!(one(&of("let m = max(x); var n = 0; while n < m { n = n + 1 }; n").unwrap()), 9.0);
    let stopped = of("var n = 0; while n < 1e6*x { n = n + 1 }; sum(n)").unwrap_err();
    assert!(matches!(&stopped, RunError::Row { row: 0, error } if error.code() == "steps"), "{stopped:?}");
    assert_eq!(of("let m = max(x); var n = 0; while n < 1e6*m { n = n + 1 }; n").unwrap_err().code(), "steps");
    // The steps of the second loop are counted from those of the first, which are known too late.
    let late =
        "let m = mean(x); var a = 0; while a < m { a = a + 1 }; var b = 0; while b < x { b = b + 1 }; sum(b) + a";
    let error = engine.compile(late).unwrap_err();
    assert_eq!(error.diagnostics()[0].code, "unsupported/steps");
}

#[test]
fn host_functions_are_called_once_for_each_row() {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = calls.clone();
    let mut engine = Engine::new();
    let tell = move |x: f64| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        x
    };
    engine.register(Host::new("tell", tell)).unwrap();
    let f = engine.compile("sum(tell(x)) + sum(x)").unwrap();
    assert_eq!(one(&f.aggregate(&[&[1.0, 2.0, 3.0]]).unwrap()), 12.0);
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 3);
    let error = engine.compile("let t = tell(x); t - mean(t)").unwrap_err();
    assert_eq!(error.diagnostics()[0].code, "unsupported/call");
}

#[test]
fn what_is_wrong_is_said() {
    let engine = Engine::new();
    let cases = [
        ("sum()", "arity"),
        ("sum(x, 1)", "arity"),
        ("sum(x > 1)", "type"),
        ("any(x)", "type"),
        ("var(x, y)", "type"),
        ("var(x, 1.5)", "type"),
        ("var(x, -1)", "type"),
        ("mean(x > 0)", "type"),
        ("maen(x)", "unknown-function"),
        ("prev(x)", "unsupported"),
    ];
    for (formula, code) in cases {
        let error = engine.compile(formula).unwrap_err();
        assert_eq!(error.diagnostics()[0].code, code, "{formula}");
    }
    let deep = format!("{}x{}", "sum(x-".repeat(70), ")".repeat(70));
    assert_eq!(engine.compile(&deep).unwrap_err().diagnostics()[0].code, "limit/passes");
    let many: Vec<String> = (0..1001).map(|i| format!("sum(x^{i})")).collect();
    assert_eq!(engine.compile(&many.join("+")).unwrap_err().diagnostics()[0].code, "limit/aggregates");
    assert_eq!(engine.compile("fn mean(x) = 2*x; mean(x)").unwrap().call(&[Value::F64(3.0)]).unwrap().ty(), Type::F64);
}
