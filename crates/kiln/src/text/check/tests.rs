//! Tests of names and types: what formulas give, what is said about wrong ones.

use crate::ir::build::{BuildOptions, Builder};
use crate::ir::eval;
use crate::isa::x64::features::Level;
use crate::pipeline::{Definitions, Request};
use crate::run::host::HostFunction;
use crate::span::Diagnostic;
use crate::text::tests::{Problem, cases, mismatch, well_formed};
use crate::text::{FrontEnd, Limits, parse_params};
use crate::types::{Type, Value};
use std::sync::Arc;

pub(crate) fn request<'a>() -> Request<'a> {
    Request {
        source: b"",
        params: None,
        known: &[],
        default_type: Type::F64,
        hosts: &[],
        definitions: Definitions::NONE,
        fast: false,
        checked: false,
        columns: false,
        nullable: &[],
        limits: Limits::default(),
        level: Level::V1,
    }
}

struct Outcome {
    value: Result<Value, String>,
    diagnostics: Vec<Diagnostic>,
    inputs: Vec<(String, Type)>,
}

/// Checks and evaluates, with the arguments in the order of the inputs.
fn run(source: &str, request: Request<'_>, arguments: &[Value]) -> Outcome {
    let mut front = FrontEnd::new(request.hosts.iter().map(|h| h.name()));
    let mut builder = Builder::default();
    builder.reset(BuildOptions { checked: request.checked, ..BuildOptions::default() });
    front.parse(source, request.limits);
    front.check(source, &request, &mut builder);
    let failed = front.sink.has_errors();
    let diagnostics = front.sink.take();
    let inputs: Vec<(String, Type)> = front.inputs().map(|(n, t)| (n.to_owned(), t)).collect();
    if failed {
        return Outcome { value: Err("errors".to_owned()), diagnostics, inputs };
    }
    assert_eq!(crate::ir::verify::verify(&builder.func), Ok(()), "{source}");
    assert_eq!(builder.func.results.len(), 1, "{source}");
    let mut bits: Vec<u64> = arguments.iter().map(|v| v.to_bits()).collect();
    bits.resize(inputs.len(), 0);
    let mut scratch = eval::Scratch::default();
    let value = match eval::evaluate(&builder.func, &bits, &mut scratch) {
        Ok(()) => Ok(scratch.results(&builder.func).next().unwrap()),
        Err(stop) => Err(format!("{:?}", stop.kind)),
    };
    Outcome { value, diagnostics, inputs }
}

/// The value as text with its type, `3.5:f64`, or the first error's code.
fn show(outcome: &Outcome) -> String {
    match &outcome.value {
        Ok(value) => format!("{value}:{}", value.ty()),
        Err(error) if error == "errors" => outcome.diagnostics.iter().find(|d| d.is_error()).unwrap().code.to_owned(),
        Err(stop) => stop.clone(),
    }
}

#[test]
fn values_and_types() {
    let known: Vec<(String, Type)> =
        [("i", Type::I32), ("n", Type::I64), ("f", Type::F32), ("x", Type::F64), ("b", Type::Bool), ("c", Type::Bool)]
            .into_iter()
            .map(|(n, t)| (n.to_owned(), t))
            .collect();
    let value = |name: &str| match name {
        "i" => Value::I32(7),
        "n" => Value::I64(-3),
        "f" => Value::F32(0.5),
        "x" => Value::F64(2.0),
        "b" => Value::Bool(true),
        _ => Value::Bool(false),
    };
    #[rustfmt::skip]
    let table = [
        // Literals adapt.
        ("1", "1:f64"), ("7/2", "3.5:f64"), ("i/2", "3.5:f64"), ("i+1", "8:i32"), ("i+0.5", "7.5:f64"), ("n+1", "-2:i64"), ("f+1", "1.5:f32"),
        ("f + 1/3", "0.8333334:f32"), ("i + 7/2", "10.5:f64"), ("f*(2*pi)", "3.1415927:f32"), ("f*sqrt(2)", "0.70710677:f32"), ("i*if(b,1,-1)", "7:i32"),
        ("f*if(c,1,-1)", "-0.5:f32"), ("f*(c?1:if(b,3,4))", "1.5:f32"), ("0.1f32", "0.1:f32"), ("f+0.1", "0.6:f32"), ("1i32+1", "2:i32"), ("2i64*i", "14:i64"),
        ("i*2^-1", "3.5:f64"), ("1e3+i", "1007:f64"), ("-2147483648 + i*0", "-2147483648:i32"), ("0xffffffff + i*0", "-1:i32"), ("0xffffffff", "4294967295:f64"),
        ("-9223372036854775808 + n*0", "-9223372036854775808:i64"), ("0xffffffffffffffff + n*0", "-1:i64"), ("i+(1<<3)", "15:i32"), ("x+(1<<3)", "10:f64"), ("1<<3", "8:i64"),
        ("~5", "-6:i64"), ("i & 3", "3:i32"), ("n | 1", "-3:i64"), ("i // 2 + i % 4", "6:i32"), ("max(1, i)", "7:i32"), ("max(1.5, i)", "7:f64"), ("max(1, 2)", "2:f64"),
        ("16777217 + f*0", "16777216:f32"), ("1.00000005960464477539062500001 + f*0", "1.0000001:f32"),
        // Mixing.
        ("i+n", "4:i64"), ("i+f", "7.5:f32"), ("n+f", "-2.5:f32"), ("f+x", "2.5:f64"), ("n+x", "-1:f64"), ("i/i", "1:f64"), ("i < 7.5", "true:bool"), ("i == 7", "true:bool"),
        ("b == c", "false:bool"), ("if(b, i, x)", "7:f64"), ("if(b, i, 2)", "7:i32"), ("if(b, b, c)", "true:bool"),
        // Powers.
        ("i^2", "49:i32"), ("i^0.5 > 2.6", "true:bool"), ("x^-1", "0.5:f64"), ("2^-1", "0.5:f64"), ("2^3^2", "512:f64"), ("-2^2", "-4:f64"), ("i^i", "823543:i32"), ("pow(x, 3)", "8:f64"),
        ("pow(i, 2)", "49:i32"), ("f^2", "0.25:f32"), ("2^i", "128:i32"), ("2^n", "0:i64"), ("x^n", "0.125:f64"), ("f^x", "0.25:f64"),
        // Conditions.
        ("0 < x < 3", "true:bool"), ("1 < i <= 7 < n", "false:bool"), ("b and not c or c", "true:bool"), ("b & c", "false:bool"), ("not (x > 1)", "false:bool"), ("1 < 2 < x", "false:bool"), ("1 < f < 2", "false:bool"),
        ("x > 1 ? 10 : 20", "10:f64"), ("if x > 5 {1} else if b {2} else {3}", "2:f64"), ("if b { let t = x*x; t+1 } else { 0 }", "5:f64"),
        ("xor(b, c)", "true:bool"), ("true and b", "true:bool"),
        // Names.
        ("let r = x*x; r+1", "5:f64"), ("let h = 1/2; f*h", "0.25:f32"), ("let h = 1/2; h", "0.5:f64"), ("let k = 2; i*k + f*k", "15:f32"), ("let k = 2; let m = k+1; i*m + f*m + x*k", "26.5:f64"),
        ("let k = if(b,1,2); i*k + x*k", "9:f64"), ("let k = 1<<2; f*k + i*k", "30:f32"), ("let unused = 1; x", "2:f64"), ("let k = if b { let q = 3; q } else { 4 }; f*k + i*k", "22.5:f32"),
        ("let p = pi; f*p", "1.5707964:f32"), ("let p = sqrt(2) + 1; let q = p*p; f*q + x*q", "14.57106814529011:f64"),
        ("π - pi", "0:f64"), ("inf > x", "true:bool"), ("-inf", "-inf:f64"), ("nan == nan", "false:bool"), ("let e = 3; e", "3:f64"),
        // Conversions.
        ("f32(1/3)", "0.33333334:f32"), ("i64(2.9)", "2:i64"), ("i32(-2.9)", "-2:i32"), ("f64(true)", "1:f64"), ("bool(x)", "true:bool"), ("bool(0)", "false:bool"), ("i32(f)", "0:i32"),
        ("i64(9223372036854775807)", "9223372036854775807:i64"), ("round(2.567, 2)", "2.57:f64"), ("round(i)", "7:i32"), ("isnan(0/0)", "true:bool"), ("clamp(i, 0, 5)", "5:i32"), ("abs(-i)", "7:i32"), ("gcd(12, 18)", "6:i64"),
        ("fact(5)", "120:f64"), ("atan2(0, 1)", "0:f64"), ("hypot(3, 4)", "5:f64"), ("+i", "7:i32"), ("- -i", "7:i32"),
    ];
    let mut failures = String::new();
    for (source, expected) in table {
        for checked in [false, true] {
            let request = Request { known: &known, checked, ..request() };
            let names: Vec<Value> = run(source, request, &[]).inputs.iter().map(|(n, _)| value(n)).collect();
            let outcome = run(source, request, &names);
            if show(&outcome) != expected {
                failures += &format!(
                    "{source} (checked: {checked}): {} instead of {expected}: {:?}\n",
                    show(&outcome),
                    outcome.diagnostics
                );
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_problem_has_code_place_help_and_repair() {
    let cases = cases(include_str!("../../../../../testdata/errors/types.toml"));
    let diagnostics = |case: &Problem| {
        let default_type = case.ty.as_deref().map_or(Type::F64, |name| Type::from_name(name).unwrap());
        run(&case.formula, Request { default_type, ..request() }, &[]).diagnostics
    };
    let wrong: String = cases.iter().filter_map(|case| mismatch(case, &diagnostics(case))).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() >= 80);
}

#[test]
fn a_mistake_in_a_body_is_said_once_with_the_call_that_it_comes_from() {
    #[rustfmt::skip]
    let table = [
        ("fn f(a) = a and true; f(1i32) + f(1f32) + f(x)", 1), ("fn f(a) = lgo(a); f(1i32) + f(1f32) + f(x)", 1),
        ("fn f(a) = lgo(a); fn g(a) = f(a) + lgo(a); g(1) + g(2i32)", 2), ("fn f(a) { a = 1; a }; f(1i32) + f(1f32)", 1),
        ("fn f(a) = a + v; var v = 1; f(1)", 0), ("var v = 1; fn f(a) = a + v + v; f(1) + f(1i32)", 2),
        ("fn f(a) = f(a) + f(a) + f(a); f(1) + f(2)", 1), ("fn f(a) = g(a); fn g(a) = f(a); f(1) + g(2)", 1),
        ("fn f(a) = f(a); fn g(a) = f(a) and g(a); 1", 2), ("fn f(n: i32) = n; f(x) + f(x)", 2),
        ("fn f(a) { let a = lgo(a); var b = a; b = a; for k in 0..b { b = k }; b }; f(1)", 1),
        ("fn f(a) { for k in 0..a { a = k }; a }; f(1.5) + f(x)", 2),
    ];
    for (source, count) in table {
        let outcome = run(source, request(), &[]);
        let errors = outcome.diagnostics.iter().filter(|d| d.is_error()).count();
        assert_eq!(errors, count, "{source}: {:#?}", outcome.diagnostics);
    }
    let outcome = run("fn f(a) = a and true; x + f(2*x)", request(), &[]);
    let label = outcome.diagnostics[0].labels.last().unwrap();
    assert_eq!(label.span.text("fn f(a) = a and true; x + f(2*x)"), "f(2*x)");
    for source in ["fn max(a) = a; max(1)", "fn f(pi) = pi; f(1)", "fn f(a) { let a = 1; a }; f(1) + f(2i32)"] {
        let outcome = run(source, request(), &[]);
        assert_eq!(outcome.diagnostics.len(), 1, "{source}: {:#?}", outcome.diagnostics);
        assert!(outcome.diagnostics[0].code.starts_with("shadow/"), "{source}");
    }
    assert!(run("fn f(q) { let t = q; t }; let t = 1; let q = f(t); q", request(), &[]).diagnostics.is_empty());
}

#[test]
fn inputs_of_bodies_come_in_the_order_of_the_text() {
    let names = |source: &str| {
        let outcome = run(source, request(), &[]);
        outcome.inputs.iter().map(|i| i.0.as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("fn f(a) = a + u; v + f(w) + u"), "u v w");
    assert_eq!(names("fn never(a) = a + u + g; v"), "u g v");
    assert_eq!(names("let u = 1; fn f(a) = a + u + t; let t = 5; v + f(t)"), "t v");
    assert_eq!(names("fn f(a) { var s = a; for k in 0..3 { let m = k; s = s + m + q }; s }; f(1)"), "q");
}

#[test]
fn what_is_known_at_compile_time_is_not_counted() {
    let build = |source: &str, checked: bool| {
        let mut front = FrontEnd::new(std::iter::empty());
        let mut builder = Builder::default();
        let request = Request { checked, ..request() };
        builder.reset(BuildOptions { checked, ..BuildOptions::default() });
        front.parse(source, request.limits);
        front.check(source, &request, &mut builder);
        assert!(!front.sink.has_errors(), "{source}: {:?}", front.sink.take());
        let carried = builder.func.loops.iter().map(|l| l.carried().len()).collect::<Vec<_>>();
        (builder.func.is_fallible(), carried)
    };
    #[rustfmt::skip]
    let table = [
        ("sum(x*k for k in 0..10)", false, vec![2]), ("var s = x; for k in 0..=9 { s = s*s }; s", false, vec![2]),
        ("var a = x; var b = x; for k in 0..9 { let t = a; a = b; b = t + k }; a", false, vec![3]),
        ("sum(x*k for k in 0..1_000_000_000)", true, vec![2]), ("let n = i64(x); sum(k for k in 0..n)", true, vec![2]),
        // An inner loop counts, so the outer one carries what remains.
        ("sum(sum(x*j for j in 0..3) for k in 0..4)", true, vec![3, 2]), ("var n = x; while n > 1 { n = n/2 }; n", true, vec![2]),
        ("any(x == k for k in 0..3)", true, vec![3]), ("var s = x; for k in 0..9 { if s > 3 { break }; s = s + k }; s", true, vec![4]),
        ("var s = x; for k in 0..9 { if s > 3 { continue }; s = s + k }; s", false, vec![2]),
        ("fn f(a) = sum(a*k for k in 0..3); f(x) + f(2*x)", false, vec![2, 2]),
    ];
    for (source, fallible, carried) in table {
        assert_eq!(build(source, false), (fallible, carried), "{source}");
    }
}

#[test]
fn a_body_is_checked_once_for_each_kind_of_arguments() {
    let mut front = FrontEnd::new(std::iter::empty());
    let mut builder = Builder::default();
    let source =
        "fn f(a, b: f64) = a + b; f(1i32, 2) + f(2i32, x) + f(x, 3) + f(2*x, 1i32) + f(1, 3) + f(2, 2) + f(1.5, 1)";
    front.parse(source, Limits::default());
    front.check(source, &request(), &mut builder);
    assert_eq!(front.state.instances(), 4);
}

#[test]
fn inputs_in_order() {
    let names = |source: &str, request: Request<'_>| {
        let outcome = run(source, request, &[]);
        let inputs: Vec<String> = outcome.inputs.iter().map(|(n, t)| format!("{n}:{t}")).collect();
        inputs.join(" ")
    };
    assert_eq!(names("y - x + y", request()), "y:f64 x:f64");
    assert_eq!(names("|x: f32, n: i32, q| n", request()), "x:f32 n:i32 q:f64");
    let params = parse_params(" x, n: i32 ,`any name`:f32").unwrap();
    assert_eq!(names("n*2", Request { params: Some(&params), ..request() }), "x:f64 n:i32 any name:f32");
    let known = [("e".to_owned(), Type::F64), ("z".to_owned(), Type::I32), ("k".to_owned(), Type::I64)];
    assert_eq!(names("k*e + w", Request { known: &known, ..request() }), "k:i64 e:f64 w:f64");
    assert_eq!(names("e", request()), "");
    assert_eq!(names("(x + 5)*3", Request { default_type: Type::I32, ..request() }), "x:i32");
    assert_eq!(names("if(b, 1, 2)", Request { default_type: Type::Bool, ..request() }), "b:bool");
    assert_eq!(names("if c>0 { let t = u; t+v } else { v }", request()), "c:f64 u:f64 v:f64");
    assert_eq!(names("let c = true; if c { let t = u; t } else { v } + t", request()), "u:f64 v:f64 t:f64");
    assert!(
        parse_params("x y").is_err()
            && parse_params("x: f46").is_err()
            && parse_params("1").is_err()
            && parse_params("").unwrap().is_empty()
    );
    for (source, code) in [
        ("|e| e", "shadow/constant"),
        ("let x = x + 1; x", "shadow/name"),
        ("let max = 1; max", "shadow/function"),
        ("gamma*2", "shadow/function"),
        ("let pi = 3; pi", "shadow/constant"),
    ] {
        let outcome = run(source, request(), &[]);
        assert!(outcome.value.is_ok());
        assert_eq!(outcome.diagnostics[0].code, code, "{source}");
    }
}

#[test]
fn host_functions_and_effects() {
    let fail = |args: &[Value]| match args[0] {
        Value::F64(x) if x > 100.0 => Err("too large".to_owned()),
        v => Ok(v),
    };
    let hosts = [
        Arc::new(HostFunction::new("checked_host".into(), vec![Type::F64], Type::F64, false, true, Box::new(fail))),
        Arc::new(HostFunction::new(
            "half".into(),
            vec![Type::I64],
            Type::F32,
            true,
            false,
            Box::new(|_| Ok(Value::F32(0.5))),
        )),
    ];
    let eval = |source: &str, x: f64| show(&run(source, Request { hosts: &hosts, ..request() }, &[Value::F64(x)]));
    assert_eq!(eval("checked_host(x)", 1.0), "1:f64");
    assert_eq!(eval("checked_host(x)", 1000.0), "Host");
    assert_eq!(eval("if(x < 10, checked_host(x), 0)", 1000.0), "0:f64");
    assert_eq!(eval("x < 10 and checked_host(x) > 0", 1000.0), "false:bool");
    assert_eq!(eval("x > 10 or checked_host(x) > 0", 1000.0), "true:bool");
    assert_eq!(eval("x < 10 or checked_host(x) > 0", 1000.0), "Host");
    assert_eq!(eval("half(3)", 1.0), "0.5:f32");
    assert_eq!(eval("half(x)", 1.0), "type");
    assert_eq!(eval("half(1, 2)", 1.0), "arity");
    assert_eq!(eval("hlaf(1)", 1.0), "unknown-function");
    let checked = |source: &str, x: i32| {
        show(&run(source, Request { checked: true, default_type: Type::I32, ..request() }, &[Value::I32(x)]))
    };
    assert_eq!(checked("x + 1", i32::MAX), "Overflow");
    assert_eq!(checked("if(x < 0, x + 1, if(x + 1 > 0, 2, 3)) * 1.5", 4), "3:f64");
    assert_eq!(checked("if(x > 5, 0, x * 2)", i32::MAX), "0:i32");
    assert_eq!(checked("x != 0 and 10 // x > 1", 0), "false:bool");
}

#[test]
fn host_functions_are_called_as_often_and_in_the_order_as_written() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let body = Box::new(move |args: &[Value]| {
        log.lock().unwrap().push(args[0].to_bits() as i64);
        Ok(args[0])
    });
    let tell = HostFunction::new("tell".into(), vec![Type::I64], Type::I64, false, false, body);
    let hosts = [Arc::new(tell)];
    #[rustfmt::skip]
    let table: [(&str, &[i64]); 11] = [
        ("tell(1) + tell(2)", &[1, 2]), ("fn g(a) = tell(a) + tell(a + 1); g(1) + g(tell(5))", &[1, 2, 5, 5, 6]),
        ("fn g(a) = tell(a) + tell(a + 1); var s = 0; for k in 0..3 { s = s + g(10*k) }; tell(99)", &[0, 1, 10, 11, 20, 21, 99]),
        ("fn g(a) { if a > 2 { let t = tell(a); } else { let t = tell(-a); }; 1 }; g(1) + g(3)", &[-1, 3]),
        ("sum(tell(k) for k in 1..=3) + tell(0)", &[1, 2, 3, 0]), ("any(tell(k) > 1 for k in 0..9)", &[0, 1, 2]),
        ("var k = 0; while tell(k) < 2 { k = k + 1 }; k", &[0, 1, 2]),
        ("var k = 0; while true { if tell(k) == 2 { break }; let t = tell(-k); k = k + 1 }; k", &[0, 0, 1, -1, 2]),
        ("tell(1) < tell(2) < tell(0) < tell(5)", &[1, 2, 0]), ("tell(0) > 0 and tell(1) > 0 or tell(2) > 0", &[0, 2]),
        // Of two types, and yet computed once.
        ("let k = if(tell(1) > 0, 1, 2); k*1i32 + k*1f32", &[1]),
    ];
    for (source, expected) in table {
        let source = source.replace("var k = 0;", "var k = 0i64;");
        let outcome = run(&source, Request { hosts: &hosts, ..request() }, &[]);
        assert!(outcome.value.is_ok(), "{source}: {:?} {:?}", outcome.value, outcome.diagnostics);
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), expected, "{source}");
    }
}

#[test]
fn any_tokens_in_any_order_check() {
    #[rustfmt::skip]
    let words = ["a", "1", "+", "-", "not ", "^", "<", "&", "(", ")", "{", "}", ",", ";", "?", ":", "if", "if(", " else ", "let k = ", "k", "sin(", "max(",
        "and ", "round(", "true", "1.5", "f32(", "gcd(", "2i32", "0xff", "let a=", "..", "{ let q = 1;", "pi", "pow(", "g(",
        "var v = ", "v = ", "v", "for k in 0..", "while ", "in ", "fn f(a", "fn f(a) = ", "fn g(a, b: i32) { ", "f(", "break;", "continue;", "sum(", "any(",
        " for k in a..=", "}; ", "};", "{ a: ", ", b: ", "1 < "];
    let mut front = FrontEnd::new(std::iter::empty());
    let mut builder = Builder::default();
    let mut state = 1u64;
    let mut good = 0;
    for round in 0..60_000 {
        let mut source = String::new();
        for _ in 0..1 + state % 19 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            source.push_str(words[(state >> 33) as usize % words.len()]);
        }
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407) >> 1;
        let checked = round % 2 == 0;
        let request = Request { default_type: Type::ALL[round % 5], checked, ..request() };
        builder.reset(BuildOptions { checked, ..BuildOptions::default() });
        front.parse(&source, request.limits);
        front.check(&source, &request, &mut builder);
        let fine = !front.sink.has_errors();
        let all = front.sink.take();
        well_formed(&source, &all);
        if fine {
            good += 1;
            assert_eq!(crate::ir::verify::verify(&builder.func), Ok(()), "{source}");
        }
    }
    assert!(good > 100, "{good}");
}

#[test]
fn any_statements_in_any_order_check() {
    #[rustfmt::skip]
    let words = ["var v = x; ", "v = v + 1; ", "v = 2*v - w; ", "w = 3; ", "var w = 1; ", "let t = v; ", "if v > 3 { ", "} else { ", "} else if w < 2 { ", "}; ", "}; ", "}; ",
        "for k in 0..5 { ", "for k in 0..=i64(v) { ", "while v < 40 { ", "while any(k > w for k in 0..3) { ", "break; ", "if v > 7 { break }; ", "if w == 2 { continue }; ",
        "let t = sum(k*w for k in 0..4); ", "let t = if w > 1 { w = 0; 3 } else { v = w; 4 }; ", "v = f(v, w); ", "v = g(w) + f(2, 3); ", "w = f(1, g(v)); ",
        "let t = v < w < g(v); ", "let b = v > 1 and f(v, w) > 2; ", "k = 1; ", "v = k; ", "let q = { "];
    let mut front = FrontEnd::new(std::iter::empty());
    let (mut builder, mut scratch) = (Builder::default(), eval::Scratch::default());
    let mut state = 1u64;
    let (mut good, mut finished) = (0, 0);
    for round in 0..40_000 {
        let mut source =
            "fn f(a, b) { var s = a; for k in 0..3 { if s > b { break }; s = s + k }; s }; fn g(a) = f(a, 2) + 1; "
                .to_owned();
        source += "var v = x; var w = 1; ";
        for _ in 0..2 + round % 9 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            source.push_str(words[(state >> 33) as usize % words.len()]);
        }
        let open = source.matches('{').count().saturating_sub(source.matches('}').count());
        source += &"}; ".repeat(open);
        source += "v + w";
        let (checked, limits) = (round % 2 == 0, Limits { steps: 60, ..Limits::default() });
        let request = Request { checked, limits, ..request() };
        builder.reset(BuildOptions { checked, ..BuildOptions::default() });
        front.parse(&source, limits);
        front.check(&source, &request, &mut builder);
        let fine = !front.sink.has_errors();
        well_formed(&source, &front.sink.take());
        if fine {
            good += 1;
            assert_eq!(crate::ir::verify::verify(&builder.func), Ok(()), "{source}");
            let arguments = vec![2f64.to_bits(); builder.func.params.len()];
            finished += usize::from(eval::evaluate(&builder.func, &arguments, &mut scratch).is_ok());
        }
    }
    assert!(good > 5_000 && finished > 2_000 && finished < good, "{good} {finished}");
}
