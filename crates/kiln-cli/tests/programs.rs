//! The contract of the program for functions, loops, several results, libraries and the step budget.

mod support;
use serde_json::{Value, json};
use support::{Workshop, kiln, kiln_with, text};

/// A file of `examples`.
fn example(name: &str) -> String {
    format!("{}/../../examples/{name}.kiln", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_examples_give_what_their_first_lines_say() {
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str); 7] = [
        ("mandelbrot", &["cx=-0.5", "cy=0.5"], "256"),
        ("mandelbrot", &["cx=1", "cy=1"], "2"),
        ("collatz", &["n=27"], "111"),
        ("collatz", &["n=1"], "0"),
        ("newton", &["a=27"], "3"),
        ("runge_kutta", &["x0=2", "y0=0", "mu=1"], "0.323316668550138"),
        ("series", &["x=1"], "2.718281828459045"),
    ];
    for (name, inputs, expected) in cases {
        for engine in ["jit", "interp"] {
            let (file, engine_args) = (example(name), ["--engine", engine]);
            let outcome = kiln(&[&["eval", "--file", &file], inputs, &engine_args[..]].concat());
            assert_eq!(outcome.code, 0, "{name} {engine}: {}", outcome.err);
            assert!(outcome.out.starts_with(expected), "{name} {engine}: {}", outcome.out);
        }
    }
}

#[test]
fn several_results_have_a_line_each() {
    let polar = "{ r: hypot(x, y), phi: atan2(y, x), steep: y > x }";
    let outcome = kiln(&["eval", polar, "x=3", "y=4"]);
    assert_eq!(outcome.out, "r = 5\nphi = 0.9272952180016122\nsteep = true\n", "{}", outcome.err);
    let outcome = kiln(&["eval", "--bits", polar, "x=3", "y=4"]);
    let expected = "r = bits:4014000000000000\nphi = bits:3fedac670561bb4f\nsteep = bits:1\n";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
    assert_eq!(kiln(&["eval", "{ only: x + 1 }", "x=3"]).out, "only = 4\n");
    let explained = kiln(&["explain", polar]);
    assert!(explained.out.contains("-> { r: f64, phi: f64, steep: bool }"), "{}{}", explained.out, explained.err);
    assert_eq!(kiln(&["asm", polar]).code, 0);
}

#[test]
fn json_answers_have_the_results_by_name() {
    let request = br#"{"id":1,"formula":"{ a: x + 1, b: x > 1 }","inputs":{"x":2}}"#;
    let outcome = kiln_with(&["eval", "--json-lines"], request);
    let expected = "{\"id\":1,\"values\":{\"a\":{\"type\":\"f64\",\"value\":\"3\",\"bits\":\"4008000000000000\"},\
        \"b\":{\"type\":\"bool\",\"value\":\"true\",\"bits\":\"1\"}}}\n";
    assert_eq!(outcome.out, expected, "{}", outcome.err);
}

/// Counts to `n` in steps of one.
const COUNTING: &str = "var k = 0\nwhile k < n {\n    k = k + 1\n}\nk";

#[test]
fn the_step_budget_is_an_option_and_its_error_shows_the_loop() {
    for engine in ["jit", "interp"] {
        let count = |more: &[&str]| kiln(&[&["eval", "--engine", engine, COUNTING, "n=1000"], more].concat());
        assert_eq!(count(&[]).out, "1000\n", "{engine}");
        assert_eq!(count(&["--steps", "1_000"]).out, "1000\n", "{engine}");
        assert_eq!(count(&["--steps", "1e3"]).out, "1000\n", "{engine}");
        let outcome = count(&["--steps", "999"]);
        assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{engine}");
        for part in ["error[steps]", "budget of 999", "2 | while k < n", " ^^^^^^^^^^^\n", "`--steps 1e3`"] {
            assert!(outcome.err.contains(part), "{engine} lacks {part}: {}", outcome.err);
        }
    }
    let endless = kiln(&["eval", "while true { }\n1"]);
    assert!(endless.code == 1 && endless.err.contains("budget of 100000000"), "{}", endless.err);
    for (steps, part) in [("many", "whole number"), ("1.5", "whole number"), ("1e30", "the largest is")] {
        let outcome = kiln(&["eval", "--steps", steps, "1"]);
        assert!(outcome.code == 2 && outcome.err.contains(part), "{steps}: {}", outcome.err);
    }
}

#[test]
fn requests_have_step_budgets_of_their_own() {
    let formula = COUNTING.replace('\n', "\\n");
    let request =
        |id: u32, steps: &str| format!("{{\"id\":{id},\"formula\":\"{formula}\",\"inputs\":{{\"n\":1000}}{steps}}}\n");
    let budgets = ["", ",\"steps\":999", ",\"steps\":\"1e3\"", ",\"steps\":1e3", ",\"steps\":-1", ",\"steps\":true"];
    let lines: String = (0..).zip(budgets).map(|(id, steps)| request(id, steps)).collect();
    let outcome = kiln_with(&["eval", "--json-lines"], lines.as_bytes());
    let answers: Vec<Value> = outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<&Value> = answers.iter().map(|answer| &answer["error"]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("steps"), &Value::Null, &Value::Null, &json!("input"), &json!("input")]);
    assert_eq!(answers[1]["error"]["span"], json!([10, 21]), "{}", answers[1]);
    assert!(answers[1]["error"]["help"].as_str().unwrap().contains("`steps`"), "{}", answers[1]);
    // The command line sets it for all requests that do not.
    let outcome = kiln_with(&["eval", "--json-lines", "--steps", "10"], request(0, "").as_bytes());
    assert!(outcome.out.contains("\"steps\""), "{}", outcome.out);
}

#[test]
fn libraries_serve_every_command() {
    let workshop = Workshop::new();
    let physics = workshop.file("physics.kiln", "let c = 299792458\nfn lorentz(v) = 1 / sqrt(1 - (v/c)^2)\n");
    let more = workshop.file("more.kiln", "fn slow(t, v) = t * lorentz(v)");
    let table = workshop.file("in.csv", "t,v\n1,0\n2,\n");
    let libraries = ["--lib", text(&physics), "--lib", text(&more)];
    let outcome = kiln(&[&["eval", "slow(t, c / 2)", "t=3"], &libraries[..]].concat());
    assert_eq!(outcome.out, "3.4641016151377553\n", "{}", outcome.err);
    let outcome = kiln(&[&["run", text(&table), "--let", "s = slow(t, v)"], &libraries[..]].concat());
    assert_eq!(outcome.out, "t,v,s\n1,0,1\n2,,\n", "{}", outcome.err);
    let outcome = kiln_with(&[&["repl"], &libraries[..]].concat(), b"slow(2, 0)\n");
    assert_eq!(outcome.out, "2\n", "{}", outcome.err);
    let outcome = kiln_with(&[&["eval", "--json-lines"], &libraries[..]].concat(), b"{\"formula\":\"slow(2, 0)\"}\n");
    assert!(outcome.out.contains("\"value\":\"2\""), "{}", outcome.out);
    for command in ["explain", "asm"] {
        let outcome = kiln(&[&[command, "slow(t, v)"], &libraries[..]].concat());
        assert!(outcome.code == 0 && outcome.out.contains("sqrt"), "{command}: {}{}", outcome.out, outcome.err);
    }
}

#[test]
fn what_is_wrong_with_a_library_is_said_with_its_file_and_line() {
    let workshop = Workshop::new();
    let check = |content: &[u8], formula: &str, parts: &[&str]| {
        let file = workshop.file("lib.kiln", content);
        for command in ["eval", "explain", "asm", "repl"] {
            let args = [command, "--lib", text(&file), formula];
            let args = if command == "repl" { &args[..3] } else { &args };
            let outcome = kiln_with(args, formula.as_bytes());
            assert_eq!(outcome.code, 1, "{command} {formula}: {}{}", outcome.out, outcome.err);
            for part in parts {
                assert!(outcome.err.contains(part), "{command} lacks {part}: {}", outcome.err);
            }
        }
    };
    check(b"let a = 1\nlet b = (2 +\n", "1", &["error[unclosed]", "lib.kiln:2:9", "let b = (2 +"]);
    check(b"let a = 1\na + 1\n", "1", &["error[syntax", "lib.kiln:2:1"]);
    check(b"let a = 1\nlet b = \xff", "1", &["lib.kiln, line 2", "UTF-8", "0xff"]);
    check(b"let a = 1\nfn f(x) = x + true", "f(a)", &["error[type]", "lib.kiln, line 2"]);
    let outcome = kiln(&["eval", "--lib", "no such file", "1"]);
    assert!(outcome.code == 1 && outcome.err.contains("cannot read no such file"), "{}", outcome.err);
}

#[test]
fn errors_of_the_computation_show_the_place_in_a_library() {
    let workshop = Workshop::new();
    let file = workshop.file("lib.kiln", "# a quotient\nfn quotient(a, b) = a // b\n");
    let table = workshop.file("in.csv", "x\n1\n0\n");
    let options = ["--checked", "--lib", text(&file)];
    let outcome = kiln(&[&["eval", "--type", "i32", "quotient(1, x)", "x=0"], &options[..]].concat());
    for part in ["division by zero", "lib.kiln:2:21", "fn quotient(a, b) = a // b"] {
        assert!(outcome.code == 1 && outcome.err.contains(part), "lacks {part}: {}", outcome.err);
    }
    let request = b"{\"formula\":\"quotient(1, x)\",\"type\":\"i32\",\"inputs\":{\"x\":0}}";
    let outcome = kiln_with(&[&["eval", "--json-lines"], &options[..]].concat(), request);
    let answer: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((&answer["error"]["code"], &answer["error"]["span"]), (&json!("division-by-zero"), &Value::Null));
    assert!(answer["error"]["message"].as_str().unwrap().ends_with("lib.kiln, line 2: division by zero"), "{answer}");
    let outcome = kiln(&[&["run", text(&table), "--let", "y = quotient(1, x)"], &options[..]].concat());
    for part in ["division by zero", "lib.kiln:2:21", "--let y at ", "in.csv, line 3"] {
        assert!(outcome.code == 1 && outcome.err.contains(part), "lacks {part}: {}", outcome.err);
    }
}

/// Arguments of `kiln run` over a small file, what comes out.
const TABLES: &[(&[&str], &str)] = &[
    // Several results are several columns, which later formulas may use.
    (&["--let", "{ s: x + y, p: x * y }", "--let", "d = s - p"], "x,y,s,p,d\n1,2,3,2,1\n3,,,,\n"),
    (&["--let", "q = { s: x + y, p: x * y }", "--let", "d = `q.s` - `q.p`"], "x,y,q.s,q.p,d\n1,2,3,2,1\n3,,,,\n"),
    (&["--let", "let t = 2 * x\n{ t: t, u: t + 1 }", "--select", "u,x"], "u,x\n3,1\n7,3\n"),
    (&["--let", "{ x: 10 * x, z: x == 1 }"], "x,y,z\n10,2,true\n30,,false\n"),
    // Each is null by itself.
    (&["--let", "{ s: x + y, big: x > 2 }", "--where", "big", "--select", "x"], "x\n3\n"),
    (&["--let", "n = var k = 0; while k < x { k = k + coalesce(y, 1) }; k", "--select", "x,n"], "x,n\n1,2\n3,\n"),
    (&["--let", "{ big: x > 2, small: not (x > 2) }", "--where", "small"], "x,y,big,small\n1,2,false,true\n"),
    (&["--let", "n = var k = 0; while k < x { k = k + 1 }; k"], "x,y,n\n1,2,1\n3,,3\n"),
    (&["--let", "f = fn sq(t) = t * t; sq(x)"], "x,y,f\n1,2,1\n3,,9\n"),
];

#[test]
fn columns_of_several_results() {
    let workshop = Workshop::new();
    let table = workshop.file("in.csv", "x,y\n1,2\n3,\n");
    for (args, expected) in TABLES {
        let outcome = kiln(&[&["run", text(&table)], *args].concat());
        assert_eq!((outcome.out.as_str(), outcome.code), (*expected, 0), "{args:?}: {}", outcome.err);
    }
    #[rustfmt::skip]
    let failures: [(&[&str], i32, &[&str]); 8] = [
        (&["--where", "{ a: x > 1, b: x > 2 }"], 1, &["--where", "the filter has 2 results"]),
        (&["--let", "{ a: x, b: y }", "--let", "b = x"], 2, &["two --let options define `b`"]),
        (&["--let", "{ a: x }", "--let", "{ a: y }"], 2, &["two --let options define `a`"]),
        (&["--let", "let t = 2 * x\nt"], 2, &["the new column has no name"]),
        (&["--let", "{ a: x, b: lattitude }"], 1, &["no column `lattitude`"]),
        (&["--let", "n = while true { }; x", "--steps", "10"], 1, &["budget of 10", "--let n at", "line 2", "--steps"]),
        (&["--let", "{ a: x, n: y, m: 1 +"], 1, &["unclosed"]),
        (&["--let", "q = { s: x }", "--let", "d = q.s + 1"], 1, &["--let d", "back-ticks", "`q.s` + 1"]),
    ];
    for (args, code, parts) in failures {
        let outcome = kiln(&[&["run", text(&table)], args].concat());
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.err);
        for part in parts {
            assert!(outcome.err.contains(part), "{args:?} lacks {part}: {}", outcome.err);
        }
    }
}

#[test]
fn the_repl_takes_functions_blocks_and_several_results() {
    let script = "\
fn cube(t) = t^3
cube(2)
fn steps(n: i64) {
    var k = n   # where it is

    var count = 0
    while k > 1 {
        k = if k % 2 == 0 { k // 2 } else { 3*k + 1 }
        count = count + 1
    }
    count
}
steps(27)
{ a: cube(3), b: steps(1) }
let m = (1 +
    2)
let p = 1; let q = p + m
:lets
";
    let outcome = kiln_with(&["repl"], script.as_bytes());
    let expected = "8\n111\na = 27\nb = 0\nm = 3\np = 1\nq = 4\nfn cube(t) = t^3\nfn steps(n: i64) {\n";
    assert!(outcome.code == 0 && outcome.out.starts_with(expected), "{}{}", outcome.out, outcome.err);
    assert_eq!(outcome.err, "");
}

#[test]
fn the_repl_says_what_is_wrong_with_definitions_and_goes_on() {
    let script = b"fn f(x) = x +\nfn g(x) = x + true\nf(1)\nlet z = (\nz\n";
    let outcome = kiln_with(&["repl"], script);
    assert_eq!((outcome.out.as_str(), outcome.code), ("", 1), "{}", outcome.err);
    for part in ["1 | fn f(x) = x +\n", "unknown-function", "error[unclosed]"] {
        assert!(outcome.err.contains(part), "{part}: {}", outcome.err);
    }
}

#[test]
fn functions_of_a_session_can_be_made_again() {
    let script = "\
fn f(x) = x
fn g(x) = 2 * f(x)
g(1)
fn f(x) = x + 1
g(1)
let c = 10
fn f(x) = c * x
g(1)
fn f(x) = g(x)
g(1)
:lets
";
    let outcome = kiln_with(&["repl"], script.as_bytes());
    let expected = "2\n4\nc = 10\n20\n20\nfn g(x) = 2 * f(x)\nlet c = 10\nfn f(x) = c * x\n";
    assert_eq!((outcome.out.as_str(), outcome.code), (expected, 1), "{}", outcome.err);
    assert!(outcome.err.contains("recursion"), "{}", outcome.err);
}

#[test]
fn explain_says_what_became_of_loops_and_calls() {
    let file = example("runge_kutta");
    let outcome = kiln(&["explain", "--file", &file]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for part in ["5. loops and calls", "dy(x, y, mu)", "6. machine code", "7. bytes"] {
        assert!(outcome.out.contains(part), "{part}: {}", outcome.out);
    }
    let hoisted = kiln(&["explain", "var s = 0.0; for k in 0..n { s = s + sqrt(x) * k }; s", "--params", "n: i64, x"]);
    let line = hoisted.out.lines().find(|line| line.contains("sqrt(x)") && line.contains("before the loop"));
    assert!(line.is_some(), "{}", hoisted.out);
    assert!(!kiln(&["explain", "x + 1"]).out.contains("loops and calls"));
}
