//! docs/language.md, executed: every line of its marked blocks on both machineries.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{AsColumn, AsColumnMut, Engine, EngineKind, Options, Param, Type, Value};
use std::path::Path;

fn engine(kind: EngineKind) -> Engine {
    let mut options = Options::default();
    options.engine = Some(kind);
    options.limits.steps = 1_000_000;
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

/// What a line about columns promises, `x=[1, 2] => [3, 4]` or `=> 5`, does not hold: why.
fn wrong_columns(engine: &Engine, formula: &str, promise: &str) -> Option<String> {
    let (inputs, promised) = promise.split_once("=>").unwrap();
    let list = |text: &str| -> Vec<Option<f64>> {
        let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
        let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| (part != "null").then(|| part.parse().unwrap())).collect()
    };
    let nullable: &[&str] = if inputs.contains("null") { &["x", "y"] } else { &[] };
    let function = match engine.formula(formula).nullable(nullable).compile() {
        Ok(function) => function,
        Err(error) => return Some(error.to_string()),
    };
    let column = |name: &str| {
        let at = inputs.find(&format!("{name}=[")).unwrap_or_else(|| panic!("no column {name}")) + name.len() + 1;
        list(inputs[at..].split_inclusive(']').next().unwrap())
    };
    let column = |param: &Param| -> Box<dyn AsColumn> {
        let rows = column(&param.name).into_iter();
        match param.validity_of {
            None => Box::new(rows.map(|row| row.unwrap_or(f64::NAN)).collect::<Vec<_>>()),
            Some(_) => Box::new(rows.map(|row| row.is_some()).collect::<Vec<_>>()),
        }
    };
    let columns: Vec<Box<dyn AsColumn>> = function.params().iter().map(column).collect();
    let columns: Vec<&dyn AsColumn> = columns.iter().map(|column| &**column).collect();
    if promised.trim().starts_with('[') {
        let expected = list(promised);
        let (mut values, mut there) = (vec![0.0; expected.len()], vec![true; expected.len()]);
        let mut outputs: Vec<&mut dyn AsColumnMut> = vec![&mut values, &mut there];
        outputs.truncate(function.outputs().len());
        if let Err(error) = function.eval_columns_all(&columns, &mut outputs) {
            return Some(error.to_string());
        }
        let found: Vec<Option<f64>> = values.iter().zip(there).map(|(&v, there)| there.then_some(v)).collect();
        return (found != expected).then(|| format!("{found:?}"));
    }
    match function.aggregate(&columns) {
        Ok(found) => {
            let same = found[0].map_or(promised.trim() == "null", |found| found.same(value(promised.trim())));
            (!same).then(|| format!("{found:?}"))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// What a line of the page promises does not hold: why.
fn wrong(engine: &Engine, formula: &str, promise: &str) -> Option<String> {
    if promise.contains("=[") {
        return wrong_columns(engine, formula, promise);
    }
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
    let (inputs, promised) = match promise.split_once("=>") {
        Some((inputs, result)) => (inputs, Ok(result.trim())),
        None => promise.split_once("stops ").map(|(inputs, why)| (inputs, Err(why.trim()))).unwrap(),
    };
    let mut args = Vec::new();
    for param in function.params() {
        let written = [format!("{}=", param.name), format!("`{}`=", param.name)];
        let at = written.iter().find_map(|w| inputs.find(w.as_str()).map(|at| at + w.len()));
        let Some(at) = at else { return Some(format!("no value for {}", param.name)) };
        args.push(number(param.ty, inputs[at..].split_whitespace().next().unwrap()));
    }
    let found = function.call_all(&args).map_err(|error| error.code());
    let names = function.outputs().iter().map(|output| output.name.as_str());
    match (promised, &found) {
        (Ok(result), Ok(values)) => {
            let expected: Vec<(&str, Value)> = match values.len() {
                1 => vec![("", value(result))],
                _ => result.split(", ").map(|r| r.split_once(": ").unwrap()).map(|(n, r)| (n, value(r))).collect(),
            };
            let same = names.zip(values).map(|(n, v)| (n, *v)).zip(&expected).all(|(f, e)| f.0 == e.0 && f.1.same(e.1));
            (!same || values.len() != expected.len()).then(|| format!("{values:?}"))
        }
        (Err(why), Err(name)) => (why != *name).then(|| (*name).to_owned()),
        _ => Some(format!("{found:?}")),
    }
}

fn value(text: &str) -> Value {
    match text.split_once(' ') {
        Some((ty, value)) => number(Type::from_name(ty).unwrap(), value),
        None if text == "true" || text == "false" => Value::Bool(text == "true"),
        None => number(Type::F64, text),
    }
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
