//! The bits of the built-in functions: the same on every engine and level, for single calls and columns, wherever in a
//! column a row stands and whatever stands beside it; and the same as in the last release, of which testdata/math_bits.tsv
//! keeps a hash for each function. `KILN_BLESS=1` writes that file anew, which changes results that people may rely on.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use kiln::{AsColumn, AsColumnMut, Function, Type, Value};
use std::fmt::Write as _;
use std::path::Path;
use support::{Random, compile, engines};

/// Inputs of each function; no whole number of steps of any level.
const ROWS: usize = 5003;

/// Functions of one and of two floats whose results are neither exact nor defined by operations.
const FUNCTIONS: [(&str, usize); 33] = [
    ("exp", 1),
    ("exp2", 1),
    ("exp10", 1),
    ("expm1", 1),
    ("log", 1),
    ("log2", 1),
    ("log10", 1),
    ("log1p", 1),
    ("sin", 1),
    ("cos", 1),
    ("tan", 1),
    ("asin", 1),
    ("acos", 1),
    ("atan", 1),
    ("sinpi", 1),
    ("cospi", 1),
    ("sinh", 1),
    ("cosh", 1),
    ("tanh", 1),
    ("asinh", 1),
    ("acosh", 1),
    ("atanh", 1),
    ("cbrt", 1),
    ("erf", 1),
    ("erfc", 1),
    ("gamma", 1),
    ("lgamma", 1),
    ("pow", 2),
    ("atan2", 2),
    ("hypot", 2),
    ("log", 2),
    ("fmod", 2),
    ("fact", 1),
];

/// A column of floats of either type.
enum Column {
    Wide(Vec<f64>),
    Narrow(Vec<f32>),
}

impl Column {
    fn of(ty: Type, values: impl Iterator<Item = f64>) -> Column {
        if ty == Type::F32 {
            Column::Narrow(values.map(|v| v as f32).collect())
        } else {
            Column::Wide(values.collect())
        }
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Column::Wide(rows) => Value::F64(rows[row]),
            Column::Narrow(rows) => Value::F32(rows[row]),
        }
    }

    /// The bits of a row; all NaNs are alike.
    fn bits(&self, row: usize) -> u64 {
        let value = self.value(row);
        if value.is_nan() { u64::MAX } else { value.to_bits() }
    }

    fn input(&self) -> &dyn AsColumn {
        match self {
            Column::Wide(rows) => rows,
            Column::Narrow(rows) => rows,
        }
    }

    fn output(&mut self) -> &mut dyn AsColumnMut {
        match self {
            Column::Wide(rows) => rows,
            Column::Narrow(rows) => rows,
        }
    }
}

/// A third of the inputs are random bits, the others numbers of people's sizes and ones near which something happens.
fn input(random: &mut Random, ty: Type) -> f64 {
    let bits = random.next();
    let part = (bits >> 11) as f64 / 9_007_199_254_740_992.0;
    match random.below(6) {
        0 | 1 if ty == Type::F32 => f64::from(f32::from_bits(bits as u32)),
        0 | 1 => f64::from_bits(bits),
        2 => part * 2.0 - 1.0,
        3 => (part * 2.0 - 1.0) * 30.0,
        4 => (part * 2.0 - 1.0) * 800.0,
        _ => {
            let special = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 10.0, 1e22, f64::INFINITY, -f64::INFINITY, f64::NAN, 1e-310];
            special[random.below(special.len())]
        }
    }
}

fn by_columns(function: &Function, inputs: &[Column], ty: Type, rows: usize) -> Column {
    let mut out = Column::of(ty, (0..rows).map(|_| 0.0));
    let inputs: Vec<&dyn AsColumn> = inputs.iter().map(Column::input).collect();
    function.eval_columns(&inputs, out.output()).unwrap();
    out
}

fn hash(column: &Column) -> u64 {
    (0..ROWS).fold(0xcbf2_9ce4_8422_2325, |hash, row| {
        (hash ^ column.bits(row)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}

#[test]
fn bits_are_the_same_everywhere_and_always() {
    let mut text =
        "# Results, version 1: hashes by function, number of arguments and type, of what `tests/math_bits.rs` says.\n"
            .to_owned();
    for (number, (name, count)) in FUNCTIONS.into_iter().enumerate() {
        for ty in [Type::F64, Type::F32] {
            let mut random = Random(number as u64 * 2 + 1);
            let inputs: Vec<Column> =
                (0..count).map(|_| Column::of(ty, (0..ROWS).map(|_| input(&mut random, ty)))).collect();
            // The same rows in another order, with others beside them.
            let moved = |row: usize| (row * 7 + 3) % ROWS;
            let others: Vec<Column> = inputs
                .iter()
                .map(|column| Column::of(ty, (0..ROWS).map(|row| number_of(column.value(moved(row))))))
                .collect();
            let (params, call) = match count {
                1 => (format!("x: {ty}"), format!("{name}(x)")),
                _ => (format!("x: {ty}, y: {ty}"), format!("{name}(x, y)")),
            };
            let result = if name == "fact" { Type::F64 } else { ty };
            let mut first: Option<Column> = None;
            for (engine_name, engine) in engines() {
                let function = compile(&engine, &params, &call);
                let out = by_columns(&function, &inputs, result, ROWS);
                let want = first.get_or_insert(by_columns(&function, &inputs, result, ROWS));
                let elsewhere = by_columns(&function, &others, result, ROWS);
                for row in 0..ROWS {
                    let args: Vec<Value> = inputs.iter().map(|column| column.value(row)).collect();
                    let note = || format!("{engine_name}: {call} of {args:?}: row {row}");
                    assert_eq!(out.bits(row), want.bits(row), "{}", note());
                    if row % 16 == 0 {
                        let single = Column::of(result, std::iter::once(number_of(function.call(&args).unwrap())));
                        assert_eq!(single.bits(0), want.bits(row), "{}, a single call", note());
                    }
                    assert_eq!(elsewhere.bits(row), want.bits(moved(row)), "{engine_name}: {call}, moved to row {row}");
                }
            }
            let _ = writeln!(text, "{name}\t{count}\t{ty}\t{:016x}", hash(&first.unwrap()));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/math_bits.tsv");
    if std::env::var_os("KILN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, kept) in text.lines().zip(kept.lines().chain(std::iter::repeat(""))) {
        assert_eq!(line, kept, "results have changed");
    }
}

fn number_of(value: Value) -> f64 {
    match value {
        Value::F64(v) => v,
        Value::F32(v) => f64::from(v),
        other => panic!("{other:?}"),
    }
}
