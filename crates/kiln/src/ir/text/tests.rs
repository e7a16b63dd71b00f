//! Files of functions before and after the rules, and the round trip of random functions through text.

use super::read::{Known, parse};
use super::*;
use crate::ir::build::BuildOptions;
use crate::ir::build::Builder;
use crate::ir::eval::{Scratch, evaluate};
use crate::ir::rules::soup::Soup;
use crate::ir::rules::tests::{Random, awkward};
use crate::ir::verify::verify;
use crate::run::host::HostFunction;
use crate::types::Value;
use std::path::Path;
use std::sync::Arc;

/// The functions that texts may call here.
fn callees(name: &str) -> Option<Known> {
    let host = |pure, fallible| {
        let body = Box::new(|args: &[Value]| if args[0].to_bits() == 13 { Err("13".into()) } else { Ok(args[0]) });
        let (name, types) = (name.to_owned(), vec![Type::I64]);
        Some(Known::Host(Arc::new(HostFunction::new(name, types, Type::I64, pure, fallible, body))))
    };
    match name {
        "half" => Some(Known::Builtin("half", Type::F64, |a, _, _| (f64::from_bits(a) / 2.0).to_bits())),
        "pure" => host(true, false),
        "read" => host(false, false),
        "try" => host(true, true),
        _ => None,
    }
}

fn read(text: &str, options: BuildOptions) -> Builder {
    let mut b = Builder::default();
    b.reset(options);
    parse(text, &mut b, &callees).unwrap();
    assert_eq!(verify(&b.func), Ok(()), "{text}");
    b
}

const PLAIN: BuildOptions = BuildOptions { optimise: false, ..BuildOptions::DEFAULT };

/// Each file: a function, `---` with options (`fast`, `contract`), what the rules make of it, and which fired.
#[test]
fn files_show_what_the_rules_make() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/ir");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut failures, mut cases) = (Vec::new(), 0);
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "ir")) {
        let content = std::fs::read_to_string(file).unwrap();
        let mut blessed = String::new();
        // Cases are separated by lines of `===`.
        for (i, case) in content.split("\n===\n").enumerate() {
            cases += 1;
            let (source, rest) = case.split_once("\n---").unwrap_or_else(|| panic!("no `---` in {}", file.display()));
            let head = rest.lines().next().unwrap_or("").trim();
            let options = BuildOptions {
                fast: head.contains("fast"),
                contract: head.contains("contract"),
                optimise: true,
                trace: true,
                ..PLAIN
            };
            let b = read(source, options);
            let fired: Vec<&str> = b.fired.iter().map(|f| f.rule).collect();
            let after = format!(
                "{}# rules: {}\n",
                print(&b.func),
                if fired.is_empty() { "none".into() } else { fired.join(" ") }
            );
            // What is printed reads back as the same.
            assert_eq!(print(&read(&after, PLAIN).func), print(&b.func), "{after}");
            let head = if head.is_empty() { String::new() } else { format!(" {head}") };
            let separator = if i == 0 { "" } else { "===\n" };
            blessed.push_str(&format!("{separator}{}\n---{head}\n{after}", source.trim_end()));
        }
        if blessed.trim_end() != content.trim_end() {
            if std::env::var_os("KILN_BLESS").is_some() {
                std::fs::write(file, &blessed).unwrap();
            } else {
                failures.push(format!("{} would be:\n{blessed}", file.display()));
            }
        }
    }
    assert!(cases >= 5, "only {cases} cases");
    assert!(failures.is_empty(), "{}\nKILN_BLESS=1 rewrites the files", failures.join("\n"));
}

#[test]
fn random_functions_come_back_from_text() {
    let mut random = Random(23);
    let mut soup = Soup::default();
    let (mut before, mut after) = (Scratch::default(), Scratch::default());
    for round in 0..600 {
        let trace = BuildOptions { trace: true, ..BuildOptions::default() };
        soup.start(trace);
        (0..30).for_each(|_| soup.add_node(&mut random));
        let func = if round % 2 == 0 { &mut soup.plain.func } else { &mut soup.ruled.func };
        let at_random = Ref(random.below(func.nodes.len()) as u32);
        func.results.extend([Ref(func.nodes.len() as u32 - 1), at_random]);
        let text = print(func);
        let copy = read(&text, PLAIN);
        assert_eq!(print(&copy.func), text);
        let args: Vec<u64> = func.params.iter().map(|&ty| random.pick(&awkward(ty))).collect();
        evaluate(func, &args, &mut before).unwrap();
        evaluate(&copy.func, &args, &mut after).unwrap();
        for (a, b) in before.results(func).zip(after.results(&copy.func)) {
            assert!(a.same(b), "{a} became {b} in\n{text}");
        }
    }
}

#[test]
fn regions_calls_and_traps_come_back_from_text() {
    let text = "params %0:i64 %1:f64
%2:bool = lt %0, 0
%3:f64 = call half(%1)
%4:i64 = call pure(%0)
if %2 {
  trap %2, overflow
  if %2 {
    %5:i64 = call! try(%4)
  } else {
    trap %2, division_by_zero
  }
} else {
  %6:i64 = call! read(7:i64)
  %7:i64 = add %6, 5
}
%8:i64 = join -1, %7
%9:f64 = fma %3, -0, 0x7ff8000000000001
%10:f64 = join 0.5, %9
return %8, %10, 2.5:f64, true:bool, nan:f32
";
    let b = read(text, PLAIN);
    assert_eq!(print(&b.func), text);
    let mut scratch = Scratch::default();
    evaluate(&b.func, &[5, 0], &mut scratch).unwrap();
    assert_eq!(scratch.results(&b.func).next().unwrap().to_bits(), 12);
    assert_eq!(evaluate(&b.func, &[u64::MAX, 0], &mut scratch).unwrap_err().kind, TrapKind::Overflow);
}

#[test]
fn loops_come_back_from_text_and_run() {
    // The sum of the squares below n by a loop in a loop, and a loop that carries nothing. What depends on phis
    // alone lives in the test, where they begin.
    let text = "params %0:i64
loop %1:i64 = 0, %2:i64 = 0 {
  %3:bool = lt %1, %0
  %4:i64 = add %1, 1
  %5:bool = lt 100, %4
while %3
  loop %6:i64 = 0, %7:i64 = %2 {
    %8:bool = lt %6, %1
    %9:i64 = add %6, 1
    %10:i64 = add %7, %1
  while %8
    next %9, %10
  }
  %11:i64 = exit %7
  trap %5, steps
  next %4, %11
}
%12:i64 = exit %2
loop {
while false
}
return %12
";
    let b = read(text, PLAIN);
    assert_eq!(print(&b.func), text);
    let mut scratch = Scratch::default();
    for n in [0, 1, 2, 10, 60] {
        evaluate(&b.func, &[n], &mut scratch).unwrap();
        assert_eq!(scratch.results(&b.func).next().unwrap().to_bits(), (0..n).map(|k| k * k).sum::<u64>());
    }
    assert_eq!(evaluate(&b.func, &[1000], &mut scratch).unwrap_err().kind, TrapKind::Steps);
}

#[test]
fn deep_blocks_print_in_proportion() {
    let mut b = Builder::default();
    let x = b.param(Type::Bool);
    for _ in 0..20_000 {
        b.begin_if(x);
        b.trap(x, TrapKind::Overflow);
    }
    for _ in 0..20_000 {
        b.begin_else();
        b.end_if(x, x);
    }
    b.func.results.push(x);
    let text = print(&b.func);
    assert!(text.len() < 20_000 * 300);
    assert_eq!(print(&read(&text, PLAIN).func), text);
}

#[test]
fn what_is_not_a_function_is_refused() {
    for (text, why) in [
        ("params %0:f64\n%1:f64 = nothing %0", "unknown operation"),
        ("params %0:f64\n%1:f64 = add %0", "wrong number"),
        ("params %0:f64\n%1:f64 = not %0", "do not fit"),
        ("params %0:f64\n%1:i64 = add %0, 1", "do not fit"),
        ("params %0:f64\n%0:f64 = neg %0", "twice"),
        ("params %0:f64\n%1:f64 = neg %7", "not defined"),
        ("params %0:f64\n%1:bool = lt 1, 2", "which type"),
        ("params %0:f64\n%1:f64 = add %0, x", "not of type"),
        ("params %0:bool\nif %0 {\ntrap %0, host", "not closed"),
        ("params %0:bool\nif %0 {\n}", "two arms"),
        ("} else {", "no `if`"),
        ("params %0:bool\ntrap %0, bad", "unknown kind"),
        ("params %0:i64\n%1:i64 = call other(%0)", "unknown callee"),
        ("params %0:f64\n%1:i64 = call pure(%0)", "do not fit"),
        ("params %0:f64\n%1:f64 = param %0", "wrong number"),
        ("%99999999999:f64 = neg 1", "not a name"),
        ("params %0:i64\n%1:i64 = join %0, %0", "follows its `if`"),
        ("params %0:bool\nif %0 {\n} else {\n}\nif %0 {\n%1:bool = join %0, %0\n", "follows its `if`"),
        ("params %0:bool\nif %0 {\nif %0 {\n} else {\n}\n} else {\n%1:bool = join %0, %0\n", "follows its `if`"),
        ("hello", "unknown statement"),
        ("loop %0:i64 = 1 {\n}", "a test and a body"),
        ("loop %0:i64 = 1 {\nwhile true\nnext 1, 2\n}", "another number"),
        ("loop %0:i64 = true:bool {\n}", "begins with another type"),
        ("loop %0:i64 = 1 {\nwhile true\n%1:i64 = exit %0\n}", "a loop before it"),
        ("while true", "no loop's test"),
        ("next 1", "no loop's body"),
    ] {
        let mut b = Builder::default();
        let found = parse(text, &mut b, &callees).unwrap_err();
        assert!(found.contains(why), "expected `{why}`, found `{found}`");
    }
}
