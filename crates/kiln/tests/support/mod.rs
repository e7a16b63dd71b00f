//! What the tests of formulas share: engines of every kind, numbers that look random, and values that are awkward.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![allow(unreachable_pub, reason = "it is a module of several programs")]
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod columns;
pub mod generate;
pub mod statements;

use kiln::{Engine, EngineKind, Function, Level, Options, Type, Value};

/// The levels that this machine can run, lowest first.
pub fn levels() -> Vec<Level> {
    let machine = Engine::new().level();
    Level::ALL.into_iter().filter(|&level| level <= machine).collect()
}

/// Default options for one kind of engine and one level.
pub fn options(kind: EngineKind, level: Level) -> Options {
    let mut options = Options::default();
    options.engine = Some(kind);
    options.level = Some(level);
    options
}

/// An engine of one kind, with default options.
pub fn engine(kind: EngineKind) -> Engine {
    let mut options = Options::default();
    options.engine = Some(kind);
    Engine::with_options(options).unwrap()
}

/// The interpreter and the compiler at every level of the machine, the interpreter first, with their names; `adjust`
/// sets further options.
pub fn engines_with(adjust: impl Fn(&mut Options)) -> Vec<(String, Engine)> {
    let make = |name: String, mut options: Options| {
        adjust(&mut options);
        (name, Engine::with_options(options).unwrap())
    };
    let top = *levels().last().unwrap();
    let mut engines = vec![make("interpreter".to_owned(), options(EngineKind::Interpreter, top))];
    for level in levels() {
        engines.push(make(format!("machine code {}", level.name()), options(EngineKind::Jit, level)));
    }
    engines
}

/// The same with default options.
pub fn engines() -> Vec<(String, Engine)> {
    engines_with(|_| {})
}

/// Compiles a formula whose inputs are `params`.
pub fn compile(engine: &Engine, params: &str, text: &str) -> Function {
    let formula = engine.formula(text);
    let formula = if params.is_empty() { formula } else { formula.params(params) };
    formula.compile().unwrap_or_else(|e| panic!("`{text}` ({params}): {e}"))
}

/// The value of a formula without inputs, on the machine's best engine.
pub fn value(text: &str) -> Value {
    Engine::new().compile(text).unwrap_or_else(|e| panic!("`{text}`: {e}")).call(&[]).unwrap()
}

/// The value that every engine agrees on.
pub fn on_all(engines: &[(String, Engine)], params: &str, text: &str, args: &[Value]) -> Value {
    let mut first: Option<Value> = None;
    for (name, engine) in engines {
        let value = compile(engine, params, text).call(args).unwrap_or_else(|e| panic!("{name}: `{text}`: {e}"));
        let expected = *first.get_or_insert(value);
        assert!(value.same(expected), "{name}: `{text}` of {args:?} is {value:?}, not {expected:?}");
    }
    first.unwrap()
}

/// Text that reads back as this value, of its type.
pub fn literal(value: Value) -> String {
    match value {
        Value::Bool(v) => v.to_string(),
        Value::I32(i32::MIN) => "(-2147483647i32 - 1i32)".to_owned(),
        Value::I64(i64::MIN) => "(-9223372036854775807i64 - 1i64)".to_owned(),
        Value::I32(v) if v < 0 => format!("(-{}i32)", v.unsigned_abs()),
        Value::I32(v) => format!("{v}i32"),
        Value::I64(v) if v < 0 => format!("(-{}i64)", v.unsigned_abs()),
        Value::I64(v) => format!("{v}i64"),
        Value::F32(v) if v.is_nan() => "f32(nan)".to_owned(),
        Value::F64(v) if v.is_nan() => "f64(nan)".to_owned(),
        Value::F32(v) if v.is_infinite() => format!("f32({}inf)", if v < 0.0 { "-" } else { "" }),
        Value::F64(v) if v.is_infinite() => format!("f64({}inf)", if v < 0.0 { "-" } else { "" }),
        Value::F32(v) if v.is_sign_negative() => format!("(-{:?}f32)", -v),
        Value::F32(v) => format!("{v:?}f32"),
        Value::F64(v) if v.is_sign_negative() => format!("(-{:?}f64)", -v),
        Value::F64(v) => format!("{v:?}f64"),
    }
}

/// A small generator of numbers that look random.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n
    }

    /// A value of the type: awkward, small, or any bits.
    pub fn value(&mut self, ty: Type) -> Value {
        match (ty, self.below(4)) {
            (Type::Bool, n) => Value::Bool(n & 1 != 0),
            (_, 0) => Value::from_bits(ty, self.next()),
            (Type::I32, 1) => Value::I32(self.next() as i32 % 100),
            (Type::I64, 1) => Value::I64(self.next() as i64 % 100),
            (Type::F32, 1) => Value::F32((self.next() as i64 % 4000) as f32 / 16.0),
            (Type::F64, 1) => Value::F64((self.next() as i64 % 4000) as f64 / 16.0),
            _ => {
                let all = awkward(ty);
                all[self.below(all.len())]
            }
        }
    }
}

impl generate::Choices for Random {
    fn below(&mut self, n: usize) -> usize {
        Random::below(self, n)
    }
}

/// Values at which operations tend to go wrong.
pub fn awkward(ty: Type) -> Vec<Value> {
    const FLOATS: [f64; 37] = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        2.0,
        3.0,
        7.0,
        0.1,
        0.3333333333333333,
        0.49999999999999994,
        0.9999999999999999,
        1.0000000000000002,
        1e-310,
        5e-324,
        2.2250738585072014e-308,
        1e-40,
        1e-45,
        1.1754943508222875e-38,
        3.4028234663852886e38,
        3.4028235677973366e38,
        f64::MAX,
        f64::INFINITY,
        4503599627370495.5,
        4503599627370496.0,
        9007199254740993.0,
        8388607.5,
        16777217.0,
        2147483647.0,
        2147483648.0,
        2147483648.5,
        4294967296.0,
        9223372036854774784.0,
        9223372036854775808.0,
        1.8446744073709552e19,
        1e22,
        710.0,
    ];
    const INTS: [i64; 30] = [
        0,
        1,
        -1,
        2,
        -2,
        3,
        5,
        7,
        -7,
        10,
        31,
        32,
        33,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        1 << 53,
        (1 << 53) + 1,
        0x7fff_ffff_ffff_ffff,
        i64::MIN,
        i64::MIN + 1,
        -0x8000_0000,
    ];
    let signs = |v: f64| [v, -v];
    match ty {
        Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Type::I32 => INTS.iter().map(|&v| Value::I32(v as i32)).collect(),
        Type::I64 => INTS.iter().map(|&v| Value::I64(v)).collect(),
        Type::F32 => FLOATS.into_iter().chain([f64::NAN]).flat_map(signs).map(|v| Value::F32(v as f32)).collect(),
        Type::F64 => FLOATS.into_iter().chain([f64::NAN]).flat_map(signs).map(Value::F64).collect(),
    }
}
