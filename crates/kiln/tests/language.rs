//! docs/language.md, executed: every line of its marked blocks on both machineries.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{Engine, EngineKind, Options, Type, Value};
use std::path::Path;

fn engine(kind: EngineKind) -> Engine {
    let mut options = Options::default();
    options.engine = Some(kind);
    Engine::with_options(options).unwrap()
}

fn number(ty: Type, text: &str) -> Value {
    match ty {
        Type::F64 => Value::F64(text.parse().unwrap()),
        Type::F32 => Value::F32(text.parse().unwrap()),
        Type::I64 => Value::I64(text.parse().unwrap()),
        Type::I32 => Value::I32(text.parse().unwrap()),
        Type::Bool => Value::Bool(text == "true"),
    }
}

/// What a line of the page promises does not hold: why.
fn wrong(engine: &Engine, formula: &str, promise: &str) -> Option<String> {
    let compiled = engine.compile(formula);
    if let Some(code) = promise.strip_prefix("error ") {
        let found = match &compiled {
            Ok(_) => return Some("compiles".to_owned()),
            Err(error) => error.diagnostics().iter().find(|d| d.is_error()).map_or("", |d| d.code),
        };
        let matches = found == code || found.starts_with(&format!("{code}/"));
        return (!matches).then(|| format!("error {found}"));
    }
    let function = match compiled {
        Ok(function) => function,
        Err(error) => return Some(error.to_string()),
    };
    let (inputs, result) = promise.split_once("=>").unwrap();
    let mut args = Vec::new();
    for param in function.params() {
        let written = [format!("{}=", param.name), format!("`{}`=", param.name)];
        let at = written.iter().find_map(|w| inputs.find(w.as_str()).map(|at| at + w.len()));
        let Some(at) = at else { return Some(format!("no value for {}", param.name)) };
        args.push(number(param.ty, inputs[at..].split_whitespace().next().unwrap()));
    }
    let result = result.trim();
    let expected = match result.split_once(' ') {
        Some((ty, value)) => number(Type::from_name(ty).unwrap(), value),
        None if result == "true" || result == "false" => Value::Bool(result == "true"),
        None => number(Type::F64, result),
    };
    let value = function.call(&args).unwrap();
    (!value.same(expected)).then(|| format!("{} {value}", value.ty()))
}

#[test]
fn the_page_holds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let page = std::fs::read_to_string(page).unwrap();
    let engines = [engine(EngineKind::Jit), engine(EngineKind::Interpreter)];
    let (mut inside, mut lines, mut failures) = (false, 0, String::new());
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```kiln";
        } else if inside {
            let (formula, promise) = line.split_once(";;").unwrap_or_else(|| panic!("line {}: no `;;`", number + 1));
            lines += 1;
            for engine in &engines {
                if let Some(found) = wrong(engine, formula.trim_end(), promise.trim()) {
                    failures.push_str(&format!("line {}: {} gives {found}\n", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    assert!(lines > 50, "the page has lost its examples");
}
