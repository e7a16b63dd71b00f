//! Nulls: random formulas against a small evaluator of trees that knows nothing of columns, and a table of cases.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use kiln::{AsColumn, AsColumnMut, Engine, EngineKind, Host, Options, Type, Value};

/// A number or condition over the inputs x, y, z, which may be null.
enum Tree {
    Input(usize),
    Number(i32),
    Call(&'static str, Vec<Tree>),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Cell {
    Number(f64),
    Truth(bool),
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn number(&mut self, depth: usize) -> Tree {
        if depth == 0 || self.below(6) == 0 {
            return if self.below(4) == 0 { Tree::Number(self.below(3) as i32) } else { Tree::Input(self.below(3)) };
        }
        match self.below(7) {
            0 => self.call("+", "nn", depth),
            1 => self.call("-", "nn", depth),
            2 => self.call("*", "nn", depth),
            3 => self.call("max", "nn", depth),
            4 => self.call("coalesce", "nn", depth),
            5 => self.call("coalesce", "nnn", depth),
            _ => self.call("if", "cnn", depth),
        }
    }

    fn condition(&mut self, depth: usize) -> Tree {
        match if depth == 0 { self.below(3) } else { self.below(10) } {
            0 => self.call("<", "nn", depth),
            1 => self.call("==", "nn", depth),
            2 => self.call("isnull", "n", depth),
            3 => self.call("<<", "nnn", depth),
            4 | 5 => self.call("and", "cc", depth),
            6 | 7 => self.call("or", "cc", depth),
            8 => self.call("not", "c", depth),
            _ => self.call("if", "ccc", depth),
        }
    }

    fn call(&mut self, name: &'static str, arguments: &str, depth: usize) -> Tree {
        let depth = depth.saturating_sub(1);
        let argument = |kind: char| if kind == 'n' { self.number(depth) } else { self.condition(depth) };
        Tree::Call(name, arguments.chars().map(argument).collect())
    }
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Tree::Input(i) => ["x", "y", "z"][*i].to_owned(),
            Tree::Number(n) => n.to_string(),
            Tree::Call(name, arguments) => {
                let texts: Vec<String> = arguments.iter().map(Tree::text).collect();
                match *name {
                    "<<" => format!("({} < {} < {})", texts[0], texts[1], texts[2]),
                    "not" => format!("(not {})", texts[0]),
                    "max" | "coalesce" | "isnull" | "if" => format!("{name}({})", texts.join(", ")),
                    _ => format!("({} {name} {})", texts[0], texts[1]),
                }
            }
        }
    }

    /// The value in a row; `None` is null.
    fn value(&self, row: &[Option<f64>; 3]) -> Option<Cell> {
        let (name, arguments) = match self {
            Tree::Input(i) => return row[*i].map(Cell::Number),
            Tree::Number(n) => return Some(Cell::Number((*n).into())),
            Tree::Call(name, arguments) => (*name, arguments),
        };
        let of = |i: usize| arguments[i].value(row);
        let number = |i: usize| match of(i) {
            Some(Cell::Number(value)) => Some(value),
            None => None,
            other => panic!("{other:?}"),
        };
        let truth = |i: usize| match of(i) {
            Some(Cell::Truth(value)) => Some(value),
            None => None,
            other => panic!("{other:?}"),
        };
        let and = |a: Option<bool>, b: Option<bool>| match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        let less = |i: usize| Some(number(i)? < number(i + 1)?);
        let number_of = |value: Option<f64>| value.map(Cell::Number);
        let truth_of = |value: Option<bool>| value.map(Cell::Truth);
        match name {
            "+" => number_of(number(0).zip(number(1)).map(|(a, b)| a + b)),
            "-" => number_of(number(0).zip(number(1)).map(|(a, b)| a - b)),
            "*" => number_of(number(0).zip(number(1)).map(|(a, b)| a * b)),
            "max" => number_of(number(0).zip(number(1)).map(|(a, b)| a.max(b))),
            "coalesce" => (0..arguments.len()).find_map(of),
            "if" => of(if truth(0)? { 1 } else { 2 }),
            "isnull" => truth_of(Some(number(0).is_none())),
            "<" => truth_of(less(0)),
            "<<" => truth_of(and(less(0), less(1))),
            "==" => truth_of(number(0).zip(number(1)).map(|(a, b)| a == b)),
            "and" => truth_of(and(truth(0), truth(1))),
            "or" => truth_of(and(truth(0).map(|c| !c), truth(1).map(|c| !c)).map(|c| !c)),
            "not" => truth_of(truth(0).map(|c| !c)),
            _ => panic!("{name}"),
        }
    }
}

fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    for kind in [EngineKind::Jit, EngineKind::Interpreter] {
        for checked in [false, true] {
            let mut options = Options::default();
            (options.engine, options.checked) = (Some(kind), checked);
            engines.push(Engine::with_options(options).unwrap());
        }
    }
    engines
}

/// Evaluates a formula whose inputs may all be null; `garbage` stands where there is nothing.
fn evaluate(engine: &Engine, formula: &str, rows: &[[Option<f64>; 3]], garbage: f64) -> Vec<Option<Cell>> {
    let f = engine.formula(formula).params("x, y, z").nullable(&["x", "y", "z"]).compile().unwrap();
    let mut columns: Vec<Box<dyn AsColumn>> = Vec::new();
    for (i, param) in f.params().iter().enumerate() {
        let of = param.validity_of.unwrap_or(i);
        match param.validity_of {
            None => columns.push(Box::new(rows.iter().map(|row| row[of].unwrap_or(garbage)).collect::<Vec<f64>>())),
            Some(_) => columns.push(Box::new(rows.iter().map(|row| row[of].is_some()).collect::<Vec<bool>>())),
        }
    }
    let columns: Vec<&dyn AsColumn> = columns.iter().map(|column| &**column).collect();
    let (mut numbers, mut truths, mut there) = (vec![0.0; rows.len()], vec![false; rows.len()], vec![true; rows.len()]);
    let is_number = f.outputs()[0].ty == Type::F64;
    let first: &mut dyn AsColumnMut = if is_number { &mut numbers } else { &mut truths };
    let mut outputs = vec![first];
    if f.outputs().len() > 1 {
        assert_eq!((f.outputs()[1].validity_of, f.outputs()[1].ty), (Some(0), Type::Bool));
        outputs.push(&mut there);
    }
    f.eval_columns_all(&columns, &mut outputs).unwrap();
    let cell = |i: usize| if is_number { Cell::Number(numbers[i]) } else { Cell::Truth(truths[i]) };
    (0..rows.len()).map(|i| there[i].then(|| cell(i))).collect()
}

#[test]
fn random_formulas_are_what_a_tree_evaluator_says() {
    let values = [None, Some(0.0), Some(1.0), Some(2.0)];
    let mut rows = Vec::new();
    for x in values {
        for y in values {
            rows.extend(values.map(|z| [x, y, z]));
        }
    }
    let engines = engines();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut nulls = 0;
    for round in 0..300 {
        let depth = 1 + round % 4;
        let tree = if round % 2 == 0 { random.number(depth) } else { random.condition(depth) };
        let formula = tree.text();
        let expected: Vec<Option<Cell>> = rows.iter().map(|row| tree.value(row)).collect();
        nulls += expected.iter().filter(|cell| cell.is_none()).count();
        for engine in &engines {
            for garbage in [0.0, 1.0, f64::NAN] {
                let found = evaluate(engine, &formula, &rows, garbage);
                assert_eq!(found, expected, "{formula} with {garbage}, checked: {}", engine.options().checked);
            }
        }
    }
    assert!(nulls > 1000, "{nulls}");
}

#[test]
fn without_inputs_that_can_be_null_nothing_is_null() {
    let engine = Engine::new();
    let value = |formula: &str| engine.compile(formula).unwrap().call(&[Value::F64(3.0)]).unwrap();
    assert!(value("isnull(x)").same(Value::Bool(false)));
    assert!(value("coalesce(x, 5)").same(Value::F64(3.0)));
    assert!(value("coalesce(1, x) + 1").same(Value::F64(2.0)));
    let f = engine.formula("x + y").params("x, y").nullable(&["x", "unused"]).compile().unwrap();
    let validities: Vec<Option<usize>> = f.params().iter().map(|param| param.validity_of).collect();
    assert_eq!(validities, [None, None, Some(0)]);
    let f = engine.formula("coalesce(x, 0)").nullable(&["x"]).compile().unwrap();
    assert_eq!(f.outputs().len(), 1);
    let f = engine.formula("{ a: x, b: y, c: isnull(y) }").params("x, y").nullable(&["y"]).compile().unwrap();
    let validities: Vec<_> = f.outputs().iter().map(|output| (output.name.as_str(), output.validity_of)).collect();
    assert_eq!(validities, [("a", None), ("b", None), ("c", None), ("b", Some(1))]);
}

#[test]
fn what_is_null_does_not_fail() {
    let mut options = Options::default();
    options.checked = true;
    options.limits.steps = 100;
    let mut engine = Engine::with_options(options).unwrap();
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = calls.clone();
    let lookup = move |n: i64| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if n == 0 { Err("nothing".to_owned()) } else { Ok(n) }
    };
    engine.register(Host::new("lookup", lookup)).unwrap();
    // n is null in row 1, where it holds 0.
    let run = |formula: &str, n: [i64; 3]| {
        let f = engine.formula(formula).params("n: i64").nullable(&["n"]).compile().unwrap();
        let (mut out, mut there) = ([9i64; 3], [true; 3]);
        let done = f.eval_columns_all(&[&n, &[true, false, true]], &mut [&mut out, &mut there]);
        done.map(|()| [0, 1, 2].map(|i| there[i].then_some(out[i]))).map_err(|error| error.code().to_owned())
    };
    for formula in ["7 // n", "let a = 7 // n; a", "if(n > 100, 1, 7 // n)", "lookup(n)*7 // n", "7 // (n + 0) + n - n"]
    {
        let expected = if formula.starts_with("lookup") { [Some(7), None, Some(7)] } else { [Some(3), None, Some(1)] };
        assert_eq!(run(formula, [2, 0, 4]), Ok(expected), "{formula}");
    }
    assert_eq!(run("7 // n", [2, 0, 0]), Err("division-by-zero".to_owned()));
    assert_eq!(run("lookup(n)", [2, 0, 0]), Err("host".to_owned()));
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 4, "a null was passed to a host function");
    // Rows where something is null do not loop either.
    assert_eq!(run("var k = n; while k != 8 { k = k*2 }; k", [2, 0, 4]), Ok([Some(8), None, Some(8)]));
    assert_eq!(run("sum(k // n for k in 1..=n*n)", [2, 0, 3]), Ok([Some(4), None, Some(12)]));
    assert_eq!(run("var k = n; while k != 8 { k = k*2 }; k", [2, 0, 0]), Err("steps".to_owned()));
}

#[test]
fn aggregates_skip_nulls() {
    let x = [5.0, 1.0, f64::NAN, 3.0, 1e9];
    let there = [true, true, false, true, false];
    for engine in engines() {
        let of = |formula: &str| {
            let f = engine.formula(formula).params("x").nullable(&["x"]).compile().unwrap();
            assert!(f.is_aggregate(), "{formula}");
            let values = f.aggregate(&[&x, &there]).unwrap();
            assert_eq!(values.len(), 1);
            values[0].map(|value| match value {
                Value::F64(value) => value,
                Value::I64(value) => value as f64,
                Value::Bool(value) => f64::from(value),
                other => panic!("{other:?}"),
            })
        };
        let cases = [
            ("sum(x)", 9.0),
            ("prod(x)", 15.0),
            ("mean(x)", 3.0),
            ("var(x)", 8.0 / 3.0),
            ("std(x, 1)", 2.0),
            ("min(x)", 1.0),
            ("max(x)", 5.0),
            ("first(x)", 5.0),
            ("last(x)", 3.0),
            ("count(x)", 3.0),
            ("nrows() + 0*count(x)", 5.0),
            ("count(isnull(x))", 2.0),
            ("count(x > 2)", 2.0),
            ("any(x > 100)", 0.0),
            ("all(x < 100)", 1.0),
            ("sum(coalesce(x, 100))", 209.0),
            ("sum(x - mean(x))", 0.0),
            ("coalesce(min(if(x > 100, x, x + 1e9)) - 1e9, 7)", 1.0),
            ("sum(x) + max(x)", 14.0),
        ];
        for (formula, expected) in cases {
            assert_eq!(of(formula), Some(expected), "{formula}");
        }
        let none = |formula: &str| {
            let f = engine.formula(formula).params("x").nullable(&["x"]).compile().unwrap();
            f.aggregate(&[&x, &[false; 5]]).unwrap()[0].map(Value::to_bits)
        };
        assert_eq!([none("min(x)"), none("max(x) + 1"), none("first(x)*2")], [None; 3]);
        assert_eq!([none("sum(x)"), none("count(x)"), none("coalesce(max(x), 0)")], [Some(0); 3]);
        assert_eq!(none("isnull(last(x))"), Some(1));
        // Without inputs that can be null, too.
        let empty: [f64; 0] = [];
        let f = engine.compile("{ a: min(x), b: sum(x), c: coalesce(max(x), 3), d: isnull(last(x)) }").unwrap();
        let values = f.aggregate(&[&empty]).unwrap();
        assert_eq!(values.iter().map(|v| v.is_some()).collect::<Vec<_>>(), [false, true, true, true]);
        assert!(values[2].unwrap().same(Value::F64(3.0)) && values[3].unwrap().same(Value::Bool(true)));
        // In every row: null where the row's own value is.
        let f = engine.formula("x - min(x)").params("x").nullable(&["x"]).compile().unwrap();
        let (mut out, mut valid) = ([0.0; 5], [false; 5]);
        f.eval_columns_all(&[&x, &there], &mut [&mut out, &mut valid]).unwrap();
        assert_eq!((out[0], out[1], out[3], valid), (4.0, 0.0, 2.0, there));
        let mut stream = f.stream();
        for rows in [0..2, 2..3, 3..5] {
            stream.accumulate(&[&&x[rows.clone()], &&there[rows]]).unwrap();
        }
        stream.end_pass().unwrap();
        let (mut out, mut valid) = ([0.0; 2], [true; 2]);
        stream.eval(&[&&x[3..], &&there[3..]], &mut [&mut out, &mut valid]).unwrap();
        assert_eq!((out[0], valid), (2.0, [true, false]));
    }
}
