//! Calling compiled formulas: typed and dynamic, with what can go wrong; and functions of the host program.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use kiln::{Engine, EngineKind, Error, Host, RunError, Signature, Type, TypedFunction, Value};
use std::sync::{Arc, Mutex};
use support::{Random, compile, engines_with};

/// Every engine, with these host functions.
fn engines_calling(hosts: impl Fn() -> Vec<Host>) -> Vec<(String, Engine)> {
    let mut engines = support::engines();
    for (_, engine) in &mut engines {
        for host in hosts() {
            engine.register(host).unwrap();
        }
    }
    engines
}

fn typed<F: Signature>(engine: &Engine, params: &str, text: &str) -> TypedFunction<F> {
    let formula = engine.formula(text);
    let formula = if params.is_empty() { formula } else { formula.params(params) };
    formula.compile_typed::<F>().unwrap_or_else(|e| panic!("`{text}`: {e}"))
}

/// Every number of inputs that a typed call has, all of one type; each input counts by its place.
#[test]
fn typed_calls_of_every_arity() {
    macro_rules! arities {
        ($engine:expr, $ty:ident: $($name:ident)*) => {
            arities!(@ $engine, $ty: [] $($name)*);
        };
        (@ $engine:expr, $ty:ident: [$($done:ident)*] $next:ident $($rest:ident)*) => {
            arities!(@one $engine, $ty: $($done)*);
            arities!(@ $engine, $ty: [$($done)* $next] $($rest)*);
        };
        (@ $engine:expr, $ty:ident: [$($done:ident)*]) => {
            arities!(@one $engine, $ty: $($done)*);
        };
        (@one $engine:expr, $ty:ident: $($name:ident)*) => {{
            let names: &[&str] = &[$(stringify!($name)),*];
            let params = names.join(", ");
            let terms: Vec<String> = names.iter().enumerate().map(|(i, n)| format!("{n} * {}", i + 2)).collect();
            let text = format!("{}(1){}", stringify!($ty), terms.iter().map(|t| format!(" + {t}")).collect::<String>());
            let f = typed::<fn($(arities!(@type $ty $name)),*) -> $ty>($engine, &params, &text);
            let mut given = 10 as $ty;
            let mut expected = 1 as $ty;
            let mut place = 2 as $ty;
            $(given += 3 as $ty; let $name = given; expected += $name * place; place += 1 as $ty;)*
            let _ = (&mut given, &mut expected, &mut place);
            assert_eq!(f.call($($name),*), expected, "{} inputs of {}", names.len(), stringify!($ty));
            assert_eq!(f.function().params().len(), names.len());
        }};
        (@type $ty:ident $name:ident) => { $ty };
    }
    for (_, engine) in support::engines() {
        arities!(&engine, f64: a b c d e f g h i j k l);
        arities!(&engine, f32: a b c d e f g h i j k l);
        arities!(&engine, i64: a b c d e f g h i j k l);
        arities!(&engine, i32: a b c d e f g h i j k l);
    }
}

/// More of each kind than there are registers for arguments, mixed; and the same through values.
#[test]
fn typed_calls_of_mixed_types() {
    type Mixed = fn(i32, f64, bool, f32, i64, f64, i32, i64, f32, f64, bool, i64) -> f64;
    let params = "a: i32, b: f64, c: bool, d: f32, e: i64, f: f64, g: i32, h: i64, i: f32, j: f64, k: bool, l: i64";
    let text =
        "a + 2*b + (c ? 4 : 0) + 8*d + 16*e + 32*f + 64*g + 128*h + 256*i + 512*j + (if k {1024} else {0}) + 2048*l";
    let mut random = Random(1);
    for (name, engine) in support::engines() {
        let f = typed::<Mixed>(&engine, params, text);
        for _ in 0..50 {
            let mut n = || random.below(2000) as i32 - 1000;
            let (a, b, d, e, ff, g, h, i, j, l) = (n(), n(), n(), n(), n(), n(), n(), n(), n(), n());
            let (c, k) = (a & 1 != 0, b & 1 != 0);
            let (bf, df, e, ff, h, fi, jf, l) = (
                f64::from(b),
                d as f32,
                i64::from(e),
                f64::from(ff),
                i64::from(h),
                i as f32,
                f64::from(j),
                i64::from(l),
            );
            let got = f.call(a, bf, c, df, e, ff, g, h, fi, jf, k, l);
            let terms = [
                f64::from(a),
                2.0 * bf,
                if c { 4.0 } else { 0.0 },
                8.0 * f64::from(df),
                16.0 * e as f64,
                32.0 * ff,
                64.0 * f64::from(g),
                128.0 * h as f64,
                256.0 * f64::from(fi),
                512.0 * jf,
                if k { 1024.0 } else { 0.0 },
                2048.0 * l as f64,
            ];
            assert_eq!(got, terms.iter().sum::<f64>(), "{name}");
            let values: [Value; 12] = [
                a.into(),
                bf.into(),
                c.into(),
                df.into(),
                e.into(),
                ff.into(),
                g.into(),
                h.into(),
                fi.into(),
                jf.into(),
                k.into(),
                l.into(),
            ];
            assert!(f.function().call(&values).unwrap().same(Value::F64(got)), "{name}");
        }
    }
}

/// Results of each type, and negative ints, which fill their word.
#[test]
fn typed_results() {
    for (name, engine) in support::engines() {
        assert_eq!(typed::<fn(i32) -> i32>(&engine, "x", "-x").call(5), -5, "{name}");
        assert_eq!(typed::<fn(i32) -> i64>(&engine, "x", "i64(x) * 3").call(-5), -15, "{name}");
        assert_eq!(typed::<fn(i64) -> i32>(&engine, "x", "i32(x)").call(-1 << 40 | 7), 7, "{name}");
        assert_eq!(typed::<fn(f64) -> f32>(&engine, "x", "f32(x)").call(0.1), 0.1, "{name}");
        assert!(typed::<fn(f32) -> bool>(&engine, "x", "x < 0").call(-0.5), "{name}");
        assert!(!typed::<fn(bool) -> bool>(&engine, "x", "not x").call(true), "{name}");
        assert_eq!(typed::<fn(bool) -> i32>(&engine, "x", "i32(x) - 2").call(true), -1, "{name}");
        assert_eq!(typed::<fn() -> f64>(&engine, "", "2 ^ 0.5").call(), 2f64.sqrt(), "{name}");
    }
}

fn message<F: Signature>(text: &str) -> String {
    let engine = Engine::new();
    match engine.compile_typed::<F>(text) {
        Ok(_) => panic!("`{text}` was accepted"),
        Err(Error::Signature(message)) => message,
        Err(error) => panic!("`{text}`: {error:?}"),
    }
}

/// A formula that has another type than was asked for says which.
#[test]
fn wrong_signatures_are_refused() {
    let text = message::<fn(f64) -> i32>("x * 2");
    assert!(text.contains("f64") && text.contains("i32"), "{text}");
    let text = message::<fn(f64) -> f64>("x < 2");
    assert!(text.contains("bool"), "{text}");
    let text = message::<fn(f64, f64) -> f64>("x * 2");
    assert!(text.contains("fn(f64) -> f64") && text.contains("fn(f64, f64) -> f64"), "{text}");
    message::<fn() -> f64>("x * 2");
    message::<fn(i32) -> f64>("|x: f64| x * 2");
    message::<fn(f64, f64) -> f64>("|x: f64, n: i32| x * n");
    // Two inputs in order of appearance would be a trap: a list of inputs is asked for.
    let text = message::<fn(f64, f64) -> f64>("y - x");
    assert!(
        text.contains("|") || text.contains("params") || text.contains("list") || text.contains("signature"),
        "{text}"
    );
    // A formula that can fail cannot be called as if it could not.
    let mut options = kiln::Options::default();
    options.checked = true;
    let engine = Engine::with_options(options).unwrap();
    let error = engine.compile_typed::<fn(i64) -> i64>("x + 1").err().unwrap();
    assert!(matches!(&error, Error::Signature(m) if m.contains("Result")), "{error:?}");
    assert_eq!(engine.compile_typed::<fn(i64) -> Result<i64, RunError>>("x + 1").unwrap().call(4), Ok(5));
}

/// The wrong number or type of values is an error that says what is expected.
#[test]
fn wrong_arguments_are_errors() {
    for (name, engine) in support::engines() {
        let f = compile(&engine, "x: f64, n: i32", "x * n");
        let one = f.call(&[Value::F64(1.0)]).unwrap_err();
        assert_eq!(one, RunError::ArgumentCount { expected: 2, given: 1 }, "{name}");
        assert_eq!(one.code(), "argument-count");
        assert!(one.to_string().contains('2') && one.to_string().contains('1'), "{one}");
        assert_eq!(f.call(&[]).unwrap_err().code(), "argument-count");
        assert_eq!(f.call(&[Value::F64(1.0); 40]).unwrap_err(), RunError::ArgumentCount { expected: 2, given: 40 });
        let wrong = f.call(&[Value::F64(1.0), Value::F64(2.0)]).unwrap_err();
        assert_eq!(wrong, RunError::ArgumentType { name: "n".into(), expected: Type::I32, given: Type::F64 }, "{name}");
        assert!(wrong.to_string().contains("`n`") && wrong.to_string().contains("i32"), "{wrong}");
        assert!(f.call(&[Value::F64(1.5), Value::I32(2)]).unwrap().same(Value::F64(3.0)));
    }
}

/// Hundreds of inputs, more than any register file or inline buffer has.
#[test]
fn many_inputs() {
    let names: Vec<String> = (0..500).map(|i| format!("v{i}")).collect();
    let text = names.iter().enumerate().map(|(i, n)| format!("{n} * {i}")).collect::<Vec<_>>().join(" + ");
    let args: Vec<Value> = (0..500).map(|i| Value::F64(f64::from(i % 7))).collect();
    let expected: f64 = (0..500).map(|i| f64::from(i % 7) * f64::from(i)).sum();
    let got = support::on_all(&support::engines(), &names.join(", "), &text, &args);
    assert!(got.same(Value::F64(expected)), "{got:?}");
}

/// Checked ints: what overflows or divides by zero is reported with the part of the formula that did.
#[test]
fn checked_ints_report_where() {
    for (name, engine) in engines_with(|o| o.checked = true) {
        let at = |text: &str, args: &[Value]| {
            let params = ["x: i32, y: i32", "x: i64, y: i64"][usize::from(args[0].ty() == Type::I64)];
            let error = compile(&engine, params, text).call(args);
            match error {
                Ok(value) => format!("{value}"),
                Err(e) => format!("{} `{}`", e.code(), e.span().unwrap().text(text)),
            }
        };
        let i32s = |x: i32, y: i32| [Value::I32(x), Value::I32(y)];
        let i64s = |x: i64, y: i64| [Value::I64(x), Value::I64(y)];
        for (text, args, expected) in [
            ("1 + (x + y)", i32s(i32::MAX, 1), "overflow `(x + y)`"),
            ("x + y", i32s(i32::MAX, 0), "2147483647"),
            ("x - y - 1", i32s(i32::MIN, 0), "overflow `x - y - 1`"),
            ("2 * (x * y)", i64s(i64::MAX, 2), "overflow `(x * y)`"),
            ("x * y", i64s(i64::MIN, -1), "overflow `x * y`"),
            ("-x", i64s(i64::MIN, 0), "overflow `-x`"),
            ("-x", i32s(-7, 0), "7"),
            ("1 + x // y", i32s(5, 0), "division-by-zero `x // y`"),
            ("x % y", i64s(5, 0), "division-by-zero `x % y`"),
            ("x // y", i64s(i64::MIN, -1), "overflow `x // y`"),
            ("x // y", i32s(-7, 2), "-4"),
            ("x ^ y", i64s(3, 40), "overflow `x ^ y`"),
            ("x ^ y", i64s(3, 39), "4052555153018976267"),
            ("if(y != 0, x // y, -1)", i32s(5, 0), "-1"),
            ("y == 0 ? 9 : x % y", i32s(5, 0), "9"),
            ("if y > 0 { x + x } else { x }", i32s(i32::MAX, 0), "2147483647"),
            ("if y > 0 { x + x } else { x }", i32s(i32::MAX, 1), "overflow `x + x`"),
            ("if(y != 0 and x // y > 1, 1, 0)", i32s(5, 0), "0"),
            ("if(y == 0 or x // y > 1, 1, 0)", i32s(5, 0), "1"),
        ] {
            let got = at(text, &args);
            let bare = |s: &str| s.replace(['(', ')'], "");
            assert_eq!(bare(&got), bare(expected), "{name}: {text} of {args:?}");
        }
    }
}

/// Ints wrap unless they are checked, and nothing traps.
#[test]
fn unchecked_ints_never_fail() {
    let engines = support::engines();
    for (text, x, y, expected) in [
        ("x + y", i64::MAX, 1, i64::MIN),
        ("x * y", i64::MIN, -1, i64::MIN),
        ("x // y", i64::MIN, -1, i64::MIN),
        ("x % y", i64::MIN, -1, 0),
        ("x // y", 5, 0, 0),
        ("x % y", 5, 0, 0),
        ("div(x, y)", i64::MIN, -1, i64::MIN),
        ("rem(x, y)", i64::MIN, -1, 0),
        ("div(x, y)", -7, 2, -3),
        ("rem(x, y)", -7, 2, -1),
        ("x // y", -7, 2, -4),
        ("x % y", -7, 2, 1),
        ("abs(x)", i64::MIN, 0, i64::MIN),
        ("-x", i64::MIN, 0, i64::MIN),
        ("gcd(x, y)", 0, 0, 0),
        ("x ^ y", 2, 64, 0),
        ("x ^ y", 0, 0, 1),
        ("x ^ y", -1, -3, -1),
        ("x ^ y", 5, -1, 0),
        ("x ^ y", 1, i64::MIN, 1),
    ] {
        let got = support::on_all(&engines, "x: i64, y: i64", text, &[Value::I64(x), Value::I64(y)]);
        assert!(got.same(Value::I64(expected)), "`{text}` of {x}, {y} is {got}");
    }
}

/// A log that host functions write.
type Log = Arc<Mutex<Vec<i64>>>;

fn note(log: &Log) -> Host {
    let log = log.clone();
    Host::new("note", move |k: i64| {
        log.lock().unwrap().push(k);
        k
    })
}

/// Calls with effects happen once each, in the order in which they are written, and only in the arm that is taken.
#[test]
fn effects_happen_as_written() {
    for kind in 0..support::engines().len() {
        let log = Log::default();
        let (name, mut engine) = support::engines().swap_remove(kind);
        engine.register(note(&log)).unwrap();
        for (text, x, expected_value, expected) in [
            ("note(1) + note(2) * note(3)", 0, 7, &[1, 2, 3][..]),
            ("note(1) + note(1) + note(1)", 0, 3, &[1, 1, 1]),
            ("note(5) * 0", 0, 0, &[5]),
            ("note(5) - note(5)", 0, 0, &[5, 5]),
            ("let unused = note(7); x", 4, 4, &[7]),
            ("if(x > 0, note(1), note(2))", 1, 1, &[1]),
            ("if(x > 0, note(1), note(2))", 0, 2, &[2]),
            ("x > 0 ? note(1) + note(2) : 0", 0, 0, &[]),
            ("(x > 0 ? note(1) : note(2)) + (x > 0 ? note(3) : note(4))", 1, 4, &[1, 3]),
            ("if x > 0 { note(1) } else if x == 0 { note(2) } else { note(3) }", 0, 2, &[2]),
            ("if(x > 0 and note(9) > 0, note(1), note(2))", 0, 2, &[2]),
            ("if(x > 0 or note(9) > 0, note(1), note(2))", 0, 1, &[9, 1]),
            ("if(x > 0 or note(9) > 0, note(1), note(2))", 1, 1, &[1]),
            ("max(note(1), note(2), note(3))", 0, 3, &[1, 2, 3]),
            ("note(note(note(4) + 1) + 1)", 0, 6, &[4, 5, 6]),
            ("if(note(1) < note(2) < note(3), x + 1, x)", 0, 1, &[1, 2, 3]),
            ("let a = note(1); let b = note(2); if(x > 0, b, a)", 0, 1, &[1, 2]),
        ] {
            log.lock().unwrap().clear();
            let got = compile(&engine, "x: i64", text).call(&[Value::I64(x)]).unwrap();
            assert_eq!(*log.lock().unwrap(), expected, "{name}: {text}");
            assert!(got.same(Value::I64(expected_value)), "{name}: {text}: {got:?}");
        }
    }
}

/// A pure function may be called less often than it is written, and never more often.
#[test]
fn pure_functions_may_be_shared() {
    let calls = Arc::new(Mutex::new(0));
    let counter = calls.clone();
    let host = Host::new("slow", move |x: f64| {
        *counter.lock().unwrap() += 1;
        x + 1.0
    });
    let mut engine = Engine::new();
    engine.register(host.pure()).unwrap();
    let f = compile(&engine, "x", "slow(x) * slow(x) + slow(x)");
    assert!(f.call(&[Value::F64(2.0)]).unwrap().same(Value::F64(12.0)));
    assert!((1..=3).contains(&*calls.lock().unwrap()));
}

/// An error of a host function ends the evaluation: with its message, its place, and no call after it.
#[test]
fn host_errors_are_reported() {
    for kind in 0..support::engines().len() {
        let log = Log::default();
        let (name, mut engine) = support::engines().swap_remove(kind);
        engine.register(note(&log)).unwrap();
        let check = |k: i64| if k < 0 { Err(format!("{k} is negative")) } else { Ok(k) };
        engine.register(Host::new("check", check)).unwrap();
        engine
            .register(Host::new("boom", |x: f64| -> Result<f64, String> {
                if x > 0.0 { panic!("boom") } else { Ok(x) }
            }))
            .unwrap();
        let text = "note(1) + check(x) + note(2)";
        let f = compile(&engine, "x: i64", text);
        assert!(f.is_fallible());
        assert!(f.call(&[Value::I64(5)]).unwrap().same(Value::I64(8)), "{name}");
        log.lock().unwrap().clear();
        let error = f.call(&[Value::I64(-5)]).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), ("host", "-5 is negative"), "{name}");
        assert_eq!(error.span().unwrap().text(text), "check(x)", "{name}");
        assert_eq!(*log.lock().unwrap(), [1], "{name}");
        // The next call starts afresh.
        assert!(f.call(&[Value::I64(0)]).unwrap().same(Value::I64(3)), "{name}");
        let f = compile(&engine, "x: i64", "if(x < 0, 0, check(x))");
        assert!(f.call(&[Value::I64(-5)]).unwrap().same(Value::I64(0)), "{name}");

        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let f = compile(&engine, "x: f64", "1 + boom(x)");
        let error = f.call(&[Value::F64(1.0)]);
        let typed = typed::<fn(f64) -> Result<f64, RunError>>(&engine, "", "1 + boom(x)");
        let typed_error = typed.call(1.0);
        std::panic::set_hook(hook);
        for error in [error.unwrap_err(), typed_error.unwrap_err()] {
            assert!(error.code() == "host" && error.to_string().contains("`boom` panicked"), "{name}: {error}");
        }
        assert_eq!(typed.call(-1.0), Ok(0.0), "{name}");
    }
}

/// Every number and type of arguments that a host function has, among values that must survive the call.
#[test]
fn host_functions_of_every_shape() {
    let hosts = || {
        vec![
            Host::new("f0", || 7.0),
            Host::new("f1", |a: f32| a * 2.0),
            Host::new("f2", |a: i32, b: f64| f64::from(a) - b),
            Host::new("f3", |a: bool, b: i64, c: f32| if a { b } else { c as i64 }),
            Host::new("f4", |a: i32, b: i32, c: i32, d: i32| a * 1000 + b * 100 + c * 10 + d),
            Host::new("f5", |a: f64, b: f32, c: i64, d: i32, e: bool| {
                a + f64::from(b) + c as f64 + f64::from(d) + f64::from(u8::from(e))
            }),
            Host::new("f6", |a: f64, b: f64, c: f64, d: f64, e: f64, f: f64| {
                a + 2.0 * b + 3.0 * c + 4.0 * d + 5.0 * e + 6.0 * f
            }),
            Host::new("flip", |a: bool| !a),
        ]
    };
    let engines = engines_calling(hosts);
    for (text, expected) in [
        ("f0()", 7.0),
        ("x * f1(f32(x)) + y", 2.5 * 5.0 + 4.0),
        ("x + f2(i32(y), x) * x", 2.5 + 1.5 * 2.5),
        ("f3(x < y, 5, 9) + f3(x > y, 5, 9)", 14.0),
        ("f4(1, 2, 3, 4) + x", 1236.5),
        ("x - f5(x, 1, 2, 3, true) - y", 2.5 - 9.5 - 4.0),
        ("f6(1, 2, 3, 4, 5, 6) + f6(x, y, x, y, x, y)", 91.0 + 9.0 * 2.5 + 12.0 * 4.0),
        ("if(flip(x > y), x, y)", 2.5),
        ("f6(f0(), f0(), f6(x,x,x,x,x,x), f0(), f0(), f0()) + x*y*x*y", 7.0 * 18.0 + 3.0 * 21.0 * 2.5 + 100.0),
    ] {
        let got = support::on_all(&engines, "x: f64, y: f64", text, &[Value::F64(2.5), Value::F64(4.0)]);
        let got = match got {
            Value::I64(v) => v as f64,
            Value::F64(v) => v,
            v => panic!("{v}"),
        };
        assert_eq!(got, expected, "{text}");
    }
}

/// What the engine says of host functions that are called wrongly or named badly.
#[test]
fn host_functions_are_checked() {
    let mut engine = Engine::new();
    engine.register(Host::new("area", |w: f64, h: f64| w * h)).unwrap();
    for text in ["area(1)", "area(1, 2, 3)", "area()"] {
        let error = engine.compile(text).unwrap_err();
        assert!(error.diagnostics().iter().any(|d| d.code == "arity"), "{text}: {error}");
    }
    for name in ["", "1x", "a b", "a-b", "\u{1b}[31m"] {
        assert!(engine.register(Host::new(name, || 1.0)).is_err(), "{name:?}");
    }
    // A new meaning for a name counts from then on; what was compiled keeps its own.
    let old = compile(&engine, "", "area(2, 3)");
    engine.register(Host::new("area", |w: f64, h: f64| w + h)).unwrap();
    let new = compile(&engine, "", "area(2, 3)");
    assert!(old.call(&[]).unwrap().same(Value::F64(6.0)) && new.call(&[]).unwrap().same(Value::F64(5.0)));
    // A function outlives its engine and the engine's host functions.
    drop(engine);
    assert!(old.call(&[]).unwrap().same(Value::F64(6.0)));
}

/// Options that the machine cannot serve are an error, not a surprise.
#[test]
fn the_engine_does_what_the_options_say() {
    for kind in [EngineKind::Jit, EngineKind::Interpreter] {
        let f = compile(&support::engine(kind), "x", "x + 1");
        assert_eq!(f.engine(), kind);
        assert_eq!(f.code_bytes().is_empty(), kind == EngineKind::Interpreter);
        assert_eq!(f.listing().is_empty(), kind == EngineKind::Interpreter);
    }
    let machine = Engine::new().level();
    for level in kiln::Level::ALL {
        let made = Engine::with_options(support::options(EngineKind::Jit, level));
        assert_eq!(made.is_ok(), level <= machine, "{level:?}");
    }
}

/// The floating-point environment is the default one before and after a call.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_floating_point_environment_is_left_alone() {
    fn control() -> u32 {
        let mut word = 0_u32;
        // SAFETY: stores the control and status register in a local.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        // The flags of what happened are no part of the environment.
        word & !0x3f
    }
    assert_eq!(control(), 0x1f80, "round to nearest, subnormals kept, nothing unmasked");
    for (name, engine) in support::engines() {
        let text = "sqrt(-x) + x / 0 + x * 1e-320 + i32(x * 1e300) + sin(x) + rint(x) + x^0.3";
        let f = typed::<fn(f64) -> f64>(&engine, "", text);
        f.call(1.5);
        assert_eq!(control(), 0x1f80, "{name}");
    }
}

#[test]
fn a_typed_function_is_the_same_formula_for_values_and_columns() {
    for kind in [EngineKind::Jit, EngineKind::Interpreter] {
        let f = support::engine(kind).compile_typed::<fn(f32) -> f32>("x * 3 + 1").unwrap();
        assert!(f.function().call(&[Value::F32(2.5)]).unwrap().same(Value::F32(f.call(2.5))));
        let mut out = [0f32; 3];
        f.function().eval_columns(&[&[1f32, 2.0, 2.5]], &mut out).unwrap();
        assert_eq!(out, [4.0, 7.0, 8.5]);
    }
}
