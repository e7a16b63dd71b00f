//! Thousands of exact cases of floats and ints, made for another language, on the interpreter and on machine code of
//! every level; as single calls and over columns.
//!
//! The file gives formulas in the syntax of C. A small translator makes them formulas of this language; where the
//! meanings differ on purpose (division by zero is an error there, a value here) the case is counted and left out.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(clippy::print_stdout, reason = "the numbers are the point")]

mod support;

use kiln::{Type, Value};
use std::collections::BTreeMap;
use support::columns::{Own, over_columns};

/// What a translation cannot say, and why.
type Skip = &'static str;

/// A piece of translated formula: its text, and its type unless it is a bare integer.
type Piece = (String, Option<Type>);

struct Translator<'a> {
    rest: &'a str,
    args: &'a [(String, Type)],
}

impl Translator<'_> {
    fn eat(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.starts_with(text);
        if found {
            self.rest = &self.rest[text.len()..];
        }
        found
    }

    fn word(&mut self) -> &str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn expression(&mut self) -> Result<Piece, Skip> {
        if self.eat("(") {
            if self.rest.starts_with('-') && !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                self.eat("-");
                let (a, ty) = self.expression()?;
                assert!(self.eat(")"));
                return Ok((format!("(-{a})"), ty));
            }
            let left = self.expression()?;
            const OPERATORS: [&str; 16] =
                [">>>", "<<", ">>", "<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "%", "&", "|"];
            let operator = OPERATORS.into_iter().find(|o| self.eat(o)).unwrap_or_else(|| panic!("{}", self.rest));
            let right = self.expression()?;
            assert!(self.eat(")"), "{}", self.rest);
            return Ok(binary(operator, left, right));
        }
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('-') || self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let end = self.rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(self.rest.len(), |at| at + 1);
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok((if number.starts_with('-') { format!("({number})") } else { number.to_owned() }, None));
        }
        let word = self.word().to_owned();
        if self.eat(":0x") {
            let ty = Type::from_name(&word).unwrap();
            let bits = u64::from_str_radix(self.word(), 16).unwrap();
            return Ok((support::literal(Value::from_bits(ty, bits)), Some(ty)));
        }
        if !self.eat("(") {
            let ty = self.args.iter().find(|a| a.0 == word).unwrap_or_else(|| panic!("{word}")).1;
            return Ok((word, Some(ty)));
        }
        let mut args = Vec::new();
        loop {
            args.push(self.expression()?);
            if self.eat(")") {
                break;
            }
            assert!(self.eat(","), "{}", self.rest);
        }
        call(&word, &args)
    }
}

fn binary(operator: &str, (a, left): Piece, (b, right): Piece) -> Piece {
    let ty = left.or(right);
    let is_int = ty.is_some_and(Type::is_int);
    match operator {
        "/" if is_int => (format!("div({a}, {b})"), ty),
        "%" => (format!("rem({a}, {b})"), ty),
        ">>>" => (format!("shr({a}, {b})"), ty),
        "<=" | ">=" | "==" | "!=" | "<" | ">" => (format!("i32({a} {operator} {b})"), Some(Type::I32)),
        _ => (format!("({a} {operator} {b})"), ty),
    }
}

fn call(name: &str, args: &[Piece]) -> Result<Piece, Skip> {
    let (a, ty) = &args[0];
    let ty = *ty;
    let b = args.get(1).map_or("", |arg| &arg.0);
    let bits = if args.iter().any(|arg| arg.1 == Some(Type::I64)) { 64 } else { 32 };
    let sign_bit = if bits == 64 { "(-9223372036854775807 - 1)" } else { "(-2147483647 - 1)" };
    let of = |name: &str| Ok((format!("{name}({a})"), ty));
    let low = |x: &str| format!("(i64({x}) & 4294967295)");
    match name {
        "sqrt" | "abs" | "floor" | "ceil" | "trunc" => of(name),
        "roundeven" => of("rint"),
        "popcnt" => of("popcount"),
        "min" | "max" | "copysign" | "xor" => Ok((format!("{name}({a}, {b})"), ty)),
        "if" => {
            // The condition is a comparison, which came out as `i32(...)`.
            let condition = a.strip_prefix("i32").unwrap_or_else(|| panic!("{a}"));
            Ok((format!("if({condition}, {b}, {})", args[2].0), args[1].1))
        }
        "f32" | "f64" | "i32" | "i64" => Ok((format!("{name}({a})"), Type::from_name(name))),
        "rotl" => Ok((format!("(({a} << {b}) | shr({a}, {bits} - {b}))"), ty)),
        "rotr" => Ok((format!("(shr({a}, {b}) | ({a} << ({bits} - {b})))"), ty)),
        "ctz" => Ok((format!("popcount(~{a} & ({a} - 1))"), ty)),
        "clz" => {
            let mut smeared = a.clone();
            for shift in [1, 2, 4, 8, 16, 32] {
                if shift < bits {
                    smeared = format!("({smeared} | shr({smeared}, {shift}))");
                }
            }
            Ok((format!("popcount(~{smeared})"), ty))
        }
        "lt_u" | "le_u" | "gt_u" | "ge_u" => {
            let operator =
                ["<", "<=", ">", ">="][["lt_u", "le_u", "gt_u", "ge_u"].iter().position(|n| *n == name).unwrap()];
            Ok((format!("i32(xor({a}, {sign_bit}) {operator} xor({b}, {sign_bit}))"), Some(Type::I32)))
        }
        "div_u" | "rem_u" if bits == 32 => {
            let function = if name == "div_u" { "div" } else { "rem" };
            Ok((format!("i32({function}({}, {}))", low(a), low(b)), Some(Type::I32)))
        }
        "div_u" | "rem_u" => Err("64-bit unsigned division"),
        _ if name.contains("reinterpret") => Err("bits of a float as an int, or the other way round"),
        "i64_extend_i32_u" => Ok((low(a), Some(Type::I64))),
        "i64_extend_i32_s" => Ok((format!("i64({a})"), Some(Type::I64))),
        _ if name.contains("_extend") => {
            let width: u32 = name.split("extend").nth(1).unwrap().trim_end_matches("_s").parse().unwrap();
            Ok((format!("(({a} << {0}) >> {0})", bits - width), ty))
        }
        _ => {
            // `to_verb_from_sign`: a conversion.
            let to = Type::from_name(&name[..3]).unwrap();
            let signed = name.ends_with("_s");
            let saturating = name.contains("_sat_");
            let text = match (name.contains("_trunc_"), signed, name.contains("i64")) {
                (_, true, _) => format!("{to}({a})"),
                (_, false, true) => return Err("64-bit unsigned conversion"),
                (true, false, false) if saturating => format!("i32(clamp(i64({a}), 0, 4294967295))"),
                (true, false, false) => format!("i32(i64({a}))"),
                (false, false, false) => format!("{to}({})", low(a)),
            };
            Ok((text, Some(to)))
        }
    }
}

struct Case {
    args: Vec<Value>,
    expected: Option<Value>,
    line: usize,
}

fn value(text: &str) -> Value {
    let (ty, bits) = text.split_once(':').unwrap();
    Value::from_bits(Type::from_name(ty).unwrap(), u64::from_str_radix(bits, 16).unwrap())
}

fn is_negative_nan(value: Value) -> bool {
    match value {
        Value::F32(v) => v.is_nan() && v.is_sign_negative(),
        Value::F64(v) => v.is_nan() && v.is_sign_negative(),
        _ => false,
    }
}

/// The cases by formula and inputs, so that each is compiled once. Nothing if the file is not there.
fn cases() -> Option<BTreeMap<(String, String), Vec<Case>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/float_int_cases.tsv");
    let Ok(data) = std::fs::read_to_string(path) else {
        println!("skipped: there is no {path}");
        return None;
    };
    let mut formulas: BTreeMap<(String, String), Vec<Case>> = BTreeMap::new();
    let mut skipped: BTreeMap<Skip, usize> = BTreeMap::new();
    let (mut total, mut applicable) = (0, 0);
    for (line, text) in data.lines().enumerate().skip(1) {
        let [_, _, result, formula, args, expected] = text.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        total += 1;
        let args: Vec<(&str, Value)> = args
            .split(';')
            .filter(|a| !a.is_empty())
            .map(|a| a.split_once('=').map(|(name, bits)| (name, value(bits))).unwrap())
            .collect();
        let inputs: Vec<(String, Type)> = args.iter().map(|a| (a.0.to_owned(), a.1.ty())).collect();
        let mut translator = Translator { rest: formula, args: &inputs };
        let translated = match expected.split_once(':').unwrap() {
            ("trap", "integer divide by zero") => Err("an int divided by zero (a value here)"),
            ("trap", "integer overflow") => Err("an int or conversion out of range (a value here)"),
            ("trap", _) => Err("NaN to an int (a value here)"),
            _ if formula == "copysign(x, y)" && is_negative_nan(args[1].1) => {
                Err("sign taken from a negative NaN (always positive here)")
            }
            _ => translator.expression(),
        };
        let formula = match translated {
            Ok((formula, ty)) => {
                assert!(translator.rest.is_empty() && ty.is_none_or(|ty| ty.name() == result), "{text}: {formula}");
                formula
            }
            Err(reason) => {
                *skipped.entry(reason).or_default() += 1;
                continue;
            }
        };
        applicable += 1;
        let params: Vec<String> = inputs.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
        let case = Case {
            args: args.iter().map(|a| a.1).collect(),
            expected: if expected.starts_with("nan:") { None } else { Some(value(expected)) },
            line: line + 1,
        };
        formulas.entry((formula, params.join(", "))).or_default().push(case);
    }

    println!("{total} cases, {applicable} applicable, {} formulas", formulas.len());
    for (reason, count) in &skipped {
        println!("  {count} left out: {reason}");
    }
    Some(formulas)
}

/// Is this what the case wants?
fn is_right(case: &Case, got: Value) -> bool {
    case.expected.map_or(got.is_nan(), |expected| got.same(expected))
}

#[test]
fn float_and_int_cases() {
    let Some(formulas) = cases() else { return };
    let applicable: usize = formulas.values().map(Vec::len).sum();
    let mut failures = Vec::new();
    for (name, engine) in support::engines() {
        let mut passed = 0;
        for ((formula, params), cases) in &formulas {
            let function = support::compile(&engine, params, formula);
            for case in cases {
                let got = function.call(&case.args).unwrap();
                let right = is_right(case, got);
                passed += usize::from(right);
                if !right {
                    failures.push(format!("{name}: line {}: `{formula}`: {:?} gave {got:?}", case.line, case.args));
                }
            }
        }
        println!("  {passed} of {applicable} passed: {name}");
    }
    failures.truncate(20);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Rows of a column: more than two steps of any level, and some that are left.
const ROWS: usize = 37;

/// Each case at many places of a column, between others of the same formula: in whole steps and in what is left of one.
/// The interpreter runs columns in blocks.
#[test]
fn float_and_int_cases_over_columns() {
    let Some(formulas) = cases() else { return };
    let (mut failures, mut random) = (Vec::new(), support::Random(5));
    for (name, engine) in support::engines() {
        let (mut columns, mut by_engine) = (0, BTreeMap::new());
        for ((formula, params), cases) in &formulas {
            let function = support::compile(&engine, params, formula);
            *by_engine.entry(format!("{:?}", function.column_engine())).or_insert(0) += 1;
            for this in 0..cases.len() {
                // Every third row, and so every lane in turn; first and last rows among them.
                let at: Vec<usize> =
                    (0..ROWS).map(|row| if row % 3 == 0 { this } else { random.below(cases.len()) }).collect();
                let mut inputs: Vec<Own> = function.params().iter().map(|param| Own::new(param.ty, ROWS)).collect();
                for (i, input) in inputs.iter_mut().enumerate() {
                    let mut column = input.column_mut().as_column_mut();
                    (0..ROWS).for_each(|row| column.set(row, cases[at[row]].args[i]));
                }
                let outputs = over_columns(&function, &inputs, ROWS).unwrap();
                columns += 1;
                for (row, &case) in at.iter().enumerate() {
                    let (got, case) = (outputs[0].get(row), &cases[case]);
                    if !is_right(case, got) {
                        let Case { line, args, .. } = case;
                        failures.push(format!("{name}: line {line}, row {row}: `{formula}`: {args:?} gave {got:?}"));
                    }
                }
            }
        }
        println!("  {columns} columns: {name}: formulas by engine: {by_engine:?}");
        let rows = by_engine.get("Rows").copied().unwrap_or(0);
        assert_eq!(rows, 0, "{name}: {by_engine:?}");
    }
    failures.truncate(20);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
