//! Runs every case of `testdata/eval/*.toml` on the interpreter and on machine code at every level.
//!
//! A file is a list of tables, one a case:
//!
//! ```toml
//! cases = [
//!     { formula = "x // y", in = ["x: i32 = -7", "y: i32 = 2"], is = "i32 -4" },
//!     { formula = "2x", error = "syntax/juxtaposition", at = "x" },
//! ]
//! ```
//!
//! - `in`: inputs with type and value; a value is a number as Rust reads it, `bits 0x...`, `true` or `false`.
//! - `params`: the list of inputs that is given with the formula; `type`: the default type; `checked`, `fast`: options;
//!   `steps`, `inline`: limits.
//! - `is`: type (f64 where none is written) and value of the result, bit for bit; any NaN is `nan`. Several results are
//!   `name: value, name: value`.
//! - `fails`: the code of the error that a call gives; `error`: of a diagnostic (a code without `/` stands for all
//!   its refinements); `warns`: of a warning of a formula that compiles. `at` is the text that it points at, `help` a
//!   part of its help line.
//! - `pending`: why the case does not hold yet. Such a case must fail; when it holds, the word is removed.
//!
//! A case whose inputs have values is also run with these bound by `let`, so that folding is compared with execution.

#![allow(clippy::unwrap_used, reason = "tests may")]

use kiln::{Diagnostic, Engine, EngineKind, Formula, Level, Options, Type, Value};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Case {
    formula: String,
    #[serde(default, rename = "in")]
    inputs: Vec<String>,
    params: Option<String>,
    #[serde(rename = "type")]
    default_type: Option<String>,
    #[serde(default)]
    checked: bool,
    #[serde(default)]
    fast: bool,
    steps: Option<u64>,
    inline: Option<u32>,
    is: Option<String>,
    fails: Option<String>,
    error: Option<String>,
    warns: Option<String>,
    at: Option<String>,
    help: Option<String>,
    pending: Option<String>,
}

struct Input {
    name: String,
    value: Value,
}

fn value_of(ty: Type, text: &str) -> Value {
    if let Some(bits) = text.strip_prefix("bits 0x") {
        return Value::from_bits(ty, u64::from_str_radix(bits, 16).expect("hexadecimal digits"));
    }
    let read = || text.replace('_', "");
    match ty {
        Type::Bool => Value::Bool(text.parse().expect("true or false")),
        Type::I32 => Value::I32(read().parse().expect("an i32")),
        Type::I64 => Value::I64(read().parse().expect("an i64")),
        Type::F32 => Value::F32(read().parse().expect("an f32")),
        Type::F64 => Value::F64(read().parse().expect("an f64")),
    }
}

fn input(text: &str) -> Input {
    let (name, rest) = text.split_once(": ").expect("name: type = value");
    let (ty, value) = rest.split_once(" = ").expect("name: type = value");
    let value = value_of(Type::from_name(ty).expect("a type"), value);
    Input { name: name.to_owned(), value }
}

fn expected(text: &str) -> Value {
    match text.split_once(' ') {
        Some((ty, value)) if Type::from_name(ty).is_some() => value_of(Type::from_name(ty).unwrap(), value),
        _ => value_of(Type::F64, text),
    }
}

/// The machinery to run a case on: a name and options.
fn machinery(case: &Case) -> Vec<(String, Engine)> {
    let base = || {
        let mut options = Options::default();
        options.default_type = case.default_type.as_deref().map(|name| Type::from_name(name).expect("a type"));
        (options.checked, options.fast) = (case.checked, case.fast);
        options.limits.steps = case.steps.unwrap_or(options.limits.steps);
        options.limits.inline = case.inline.unwrap_or(options.limits.inline);
        options
    };
    let mut all = Vec::new();
    for level in Level::ALL {
        let mut options = base();
        (options.engine, options.level) = (Some(EngineKind::Jit), Some(level));
        if let Ok(engine) = Engine::with_options(options) {
            all.push((level.name().to_owned(), engine));
        }
    }
    let mut options = base();
    options.engine = Some(EngineKind::Interpreter);
    all.push(("interpreter".to_owned(), Engine::with_options(options).expect("an interpreter")));
    all
}

fn formula<'a>(engine: &'a Engine, case: &'a Case, inputs: &[Input]) -> Formula<'a> {
    let mut formula = engine.formula(&case.formula);
    if let Some(params) = &case.params {
        formula = formula.params(params);
    }
    for input in inputs {
        formula = formula.known(&input.name, input.value.ty());
    }
    formula
}

/// Is one of these what the case wants?
fn found(case: &Case, code: &str, all: &[Diagnostic], source: &str) -> Result<(), String> {
    let fits = |d: &&Diagnostic| {
        (d.code == code || d.code.split('/').next() == Some(code))
            && case.at.as_deref().is_none_or(|at| d.span.text(source) == at)
            && case.help.as_deref().is_none_or(|help| d.help.as_deref().unwrap_or("").contains(help))
    };
    if all.iter().any(|d| fits(&d)) {
        return Ok(());
    }
    let mut text = String::from("reported:");
    for d in all {
        let _ = write!(text, " {} at `{}`: {} (help: {:?});", d.code, d.span.text(source), d.message, d.help);
    }
    Err(text)
}

/// Runs a case on one engine.
fn run(engine: &Engine, case: &Case) -> Result<(), String> {
    let inputs: Vec<Input> = case.inputs.iter().map(|text| input(text)).collect();
    let compiled = formula(engine, case, &inputs).compile();
    if let Some(code) = &case.error {
        let error = compiled.err().ok_or("it compiles")?;
        return found(case, code, error.diagnostics(), &case.formula);
    }
    let function = compiled.map_err(|error| error.to_string())?;
    if let Some(code) = &case.warns {
        found(case, code, function.warnings(), &case.formula)?;
    }
    let value = |name: &str| inputs.iter().find(|i| i.name == name).map(|i| i.value);
    let args: Option<Vec<Value>> = function.params().iter().map(|param| value(&param.name)).collect();
    let args = args.ok_or_else(|| format!("inputs: {:?}", function.params()))?;
    let result = function.call_all(&args);
    if let Some(code) = &case.fails {
        let error = result.err().ok_or("it gives a value")?;
        let at = error.span().map_or("", |span| span.text(&case.formula));
        let wanted = case.at.as_deref().unwrap_or(at);
        return if error.code() == code && at == wanted { Ok(()) } else { Err(format!("{} at `{at}`", error.code())) };
    }
    let Some(is) = &case.is else { return Ok(()) };
    let results = result.map_err(|error| error.to_string())?;
    let wanted: Vec<(&str, Value)> = match results.len() {
        1 => vec![("", expected(is))],
        _ => is.split(", ").filter_map(|one| one.split_once(": ")).map(|(name, v)| (name, expected(v))).collect(),
    };
    let names = function.outputs().iter().map(|output| output.name.as_str());
    let all = || names.clone().zip(&results);
    if all().zip(&wanted).all(|((n, v), w)| n == w.0 && v.same(w.1)) && results.len() == wanted.len() {
        return Ok(());
    }
    let shown = all().map(|(n, v)| format!("{n}: {} {v} ({:#x})", v.ty(), v.to_bits())).collect::<Vec<_>>();
    Err(shown.join(", "))
}

/// The case with its inputs bound by `let`, if that makes sense.
fn folded(case: &Case) -> Option<Case> {
    let plain = case.is.is_some() && case.params.is_none() && !case.inputs.is_empty() && case.warns.is_none();
    if !plain || case.formula.trim_start().starts_with(['|', '\u{feff}']) {
        return None;
    }
    let mut text = String::new();
    for input in case.inputs.iter().map(|text| input(text)) {
        let _ = write!(text, "let `{}` = {}({});", input.name, input.value.ty(), input.value);
    }
    Some(Case { formula: text + &case.formula, inputs: Vec::new(), ..case.clone() })
}

fn check(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, engine) in machinery(case) {
        let run = |case: &Case| match catch_unwind(AssertUnwindSafe(|| run(&engine, case))) {
            Ok(outcome) => outcome,
            Err(_) => Err("a panic".to_owned()),
        };
        if let Err(got) = run(case) {
            wrong.push(format!("on {name}: {got}"));
        }
        if let Some(Err(got)) = folded(case).map(|case| run(&case)) {
            wrong.push(format!("on {name}, folded: {got}"));
        }
    }
    wrong
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/eval");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("testdata/eval").map(|f| f.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

#[test]
fn every_case_holds_on_every_machinery() {
    let (mut count, mut report) = (0, String::new());
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in &file.cases {
            count += 1;
            let outcomes = usize::from(case.is.is_some()) + usize::from(case.fails.is_some());
            assert!(outcomes + usize::from(case.error.is_some()) <= 1, "{name}: {}: two outcomes", case.formula);
            assert!(
                outcomes > 0 || case.error.is_some() || case.warns.is_some(),
                "{name}: {}: no outcome",
                case.formula
            );
            let wrong = check(case);
            let wanted = case.is.as_ref().or(case.error.as_ref()).or(case.fails.as_ref()).or(case.warns.as_ref());
            match (&case.pending, wrong.first()) {
                (None, Some(first)) => {
                    let _ =
                        writeln!(report, "{name}: `{}` {:?}: wanted {wanted:?}; {first}", case.formula, case.inputs);
                }
                (Some(why), None) => {
                    let _ = writeln!(report, "{name}: `{}` holds now and is no longer pending ({why})", case.formula);
                }
                _ => {}
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
    println!("{count} cases");
}
