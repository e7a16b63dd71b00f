//! Where parts of formulas and of their definitions stand, what inspection says of loops and calls, and the reading of
//! texts that are formatted.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{Engine, Inspection, Options, PassEvent, RunError, Span, Value};

/// An engine with two texts of definitions.
fn engine() -> Engine {
    let mut options = Options::default();
    options.checked = true;
    let mut engine = Engine::with_options(options).unwrap();
    engine.define("one", "let zero = 0i32\n# a quotient\nfn over(a) = a // zero").unwrap();
    engine
        .define("two", "fn twice(a) = over(a) + over(a + 1)\nfn spin(n) { var k = 0; while k < n { k = k + 0 }; k }")
        .unwrap();
    engine
}

#[test]
fn run_time_errors_stand_in_the_text_that_has_them() {
    let engine = engine();
    let place = |formula: &str| {
        let function = engine.compile(formula).unwrap();
        let args: Vec<Value> = function.params().iter().map(|_| Value::F64(1.0)).collect();
        let error = function.call(&args).expect_err(formula);
        let place = function.place(error.span().unwrap());
        (place.name.map(str::to_owned), place.text.lines().count(), place.span.text(place.text).to_owned(), error)
    };
    let (name, lines, part, error) = place("1i32 + over(2)");
    assert_eq!((name.as_deref(), lines, part.as_str()), (Some("one"), 3, "a // zero"));
    assert!(matches!(error, RunError::DivisionByZero { .. }));
    let (name, lines, part, error) = place("spin(2)");
    assert_eq!((name.as_deref(), lines, part.as_str()), (Some("two"), 2, "while k < n"));
    assert!(matches!(error, RunError::Steps { .. }));
    let (name, lines, part, _) = place("2i32 //\n0");
    assert_eq!((name, lines, part.as_str()), (None, 2, "2i32 //\n0"));
    // What lies nowhere is the formula's, and so is all without definitions.
    let function = engine.compile("1").unwrap();
    assert_eq!(function.place(Span::new(9, 9)).text, "let zero = 0i32\n# a quotient\nfn over(a) = a // zero");
    assert_eq!(function.place(Span::new(1, 1)).name, None);
    assert_eq!(Engine::new().compile("1").unwrap().place(Span::new(900, 901)).text, "1");
}

/// What was done, and to which part.
fn events(inspection: &Inspection) -> Vec<(&'static str, &str)> {
    inspection.passes.iter().map(|PassEvent { pass, span, .. }| (*pass, inspection.part(*span))).collect()
}

#[test]
fn inspection_says_what_became_of_loops_and_calls() {
    let mut engine = Engine::new();
    engine.define("lib", "fn sq(t) = t * t").unwrap();
    #[rustfmt::skip]
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("x * x + 1", &[]),
        ("sq(x) + sq(y)", &[("inline", "sq(x)"), ("inline", "sq(y)")]),
        ("fn f(t) = sq(t) + 1; f(x)", &[("inline", "sq(t)"), ("inline", "f(x)")]),
        // Only the outermost of what does not change, and nothing of the bounds, which are no part of what is repeated.
        ("sum(sin(x + 1) * y for k in i64(x)..i64(x * 2))", &[("hoist", "sin(x + 1) * y")]),
        ("var s = 0.0; while s < exp(x) { s = s + abs(y) }; s", &[("hoist", "exp(x)"), ("hoist", "abs(y)")]),
        // Out of the inner loop only.
        ("sum(sum(exp(k * x) * j for j in 0..i64(y)) for k in 0..i64(x))", &[("hoist", "exp(k * x)"), ("hoist", "i64(y)")]),
        // A loop in a function that is called twice, once with what changes.
        ("fn f(t) = sum(cos(t) * k for k in 0..i64(y)); f(x) + f(y)", &[("inline", "f(x)"), ("inline", "f(y)"), ("hoist", "cos(t)")]),
        ("var s = 0.0; for k in 0..3 { s = s + x }; s", &[("unroll", "for k in 0..3 { s = s + x }")]),
        ("for k in 0..10 { }; x", &[("drop", "for k in 0..10 { }")]),
    ];
    for (formula, expected) in cases {
        let inspection = engine.formula(formula).inspect().unwrap_or_else(|error| panic!("{formula}: {error}"));
        let mut found = events(&inspection);
        // How a loop is counted is for the passes to say, and another test.
        found.retain(|(pass, _)| !matches!(*pass, "steps" | "strength"));
        assert_eq!(found, expected, "{formula}");
        assert!(
            inspection.ir != inspection.ir_built || !found.iter().any(|(pass, _)| matches!(*pass, "unroll" | "drop"))
        );
        assert_eq!(inspection.stages.iter().any(|(stage, _)| *stage == "passes"), inspection.ir_built.contains("loop"));
    }
}

#[test]
fn inspected_code_is_what_runs() {
    // The listing's bytes are those of the function, passes included; addresses of routines stand in neither.
    for formula in ["|x| sum(x * k for k in 0..20)", "|x| var s = x; for k in 0..3 { s = s * x }; s"] {
        let engine = Engine::new();
        let function = engine.compile(formula).unwrap();
        let typed = engine.compile_typed::<fn(f64) -> f64>(formula).map(|f| f.call(2.0)).unwrap();
        let inspection = engine.formula(formula).inspect().unwrap();
        assert!(function.call(&[Value::F64(2.0)]).unwrap().same(Value::F64(typed)));
        assert!(!inspection.ir.contains("loop") || inspection.code.iter().any(|line| line.text.starts_with('j')));
        assert!(inspection.ir.contains("loop") || !inspection.code.iter().any(|line| line.text.starts_with('j')));
    }
}

#[test]
fn texts_are_read_as_what_they_are_meant_for() {
    let code = |text: &str| {
        let error = kiln::format(text).expect_err(text);
        error.diagnostics().iter().map(|d| d.code.split('/').next().unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kiln::format("fn f(x)=x").unwrap(), "fn f(x) = x");
    assert_eq!(kiln::format("let a=1;let b=a").unwrap(), "let a = 1\nlet b = a");
    assert_eq!(kiln::format("lgo(x)+true").unwrap(), "lgo(x) + true");
    // As definitions, not also for a result.
    assert_eq!(code("fn f(x) = x +"), "syntax");
    assert_eq!(code("let a = (1"), "unclosed");
    assert_eq!(code("x +"), "syntax");
    assert_eq!(code("var a = 1"), "empty");
    assert_eq!(code("let a = 1\nfor k in 0..2 { }\nfn f(x) = x"), "empty");
}

#[test]
fn definitions_are_no_statements() {
    for (text, count) in
        [("var a = 1", 1), ("let a = 1\nfor k in 0..2 { }; while a > 1 { }\nif a > 1 { }", 3), ("{ a: 1 }", 1)]
    {
        let error = Engine::new().define("lib", text).expect_err(text);
        let codes: Vec<_> = error.diagnostics().iter().map(|d| d.code).collect();
        assert_eq!(codes, vec!["syntax/definitions"; count], "{text}");
    }
    // What a function does is its own affair.
    Engine::new().define("lib", "fn f(n) { var a = 1; for k in 0..n { a = a * 2 }; a }").unwrap();
}
