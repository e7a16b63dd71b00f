//! What the optimiser must not change: a formula of constants has the value of the same formula of variables, and
//! floating-point identities that hold only nearly are left alone.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use kiln::Type::{self, Bool, F32, F64, I32, I64};
use kiln::{Engine, EngineKind, Level, Value};
use support::{Random, awkward, compile, engines, literal, on_all};

const FLOATS: &[Type] = &[F32, F64];
const INTS: &[Type] = &[I32, I64];
const NUMBERS: &[Type] = &[I32, I64, F32, F64];
const ALL: &[Type] = &Type::ALL;

/// Formulas of `a`, `b` and `c`, with the types that all three may have.
const TEMPLATES: &[(&[Type], &str)] = &[
    (NUMBERS, "a + b"), (NUMBERS, "a - b"), (NUMBERS, "a * b"), (NUMBERS, "a / b"), (NUMBERS, "a // b"),
    (NUMBERS, "a % b"), (NUMBERS, "-a"), (NUMBERS, "+a"), (INTS, "~a"), (INTS, "a & b"), (INTS, "a | b"),
    (INTS, "a << b"), (INTS, "a >> b"), (INTS, "shr(a, b)"), (INTS, "shl(a, b)"), (INTS, "xor(a, b)"),
    (INTS, "popcount(a)"), (INTS, "gcd(a, b)"), (INTS, "lcm(a, b)"), (INTS, "a ^ b"), (INTS, "a ^ 3"), (INTS, "a ^ 0"),
    (&[Bool], "a and b"), (&[Bool], "a or b"), (&[Bool], "not a"), (&[Bool], "xor(a, b)"), (&[Bool], "a & b | c"),
    (ALL, "a == b"), (ALL, "a != b"), (NUMBERS, "a < b"), (NUMBERS, "a <= b"), (NUMBERS, "a > b"), (NUMBERS, "a >= b"),
    (NUMBERS, "not (a < b)"), (NUMBERS, "not (a >= b)"), (NUMBERS, "a < b < c"), (NUMBERS, "a <= b != c"),
    (ALL, "f64(a)"), (ALL, "f32(a)"), (ALL, "i64(a)"), (ALL, "i32(a)"), (ALL, "bool(a)"),
    (NUMBERS, "f32(f64(a))"), (NUMBERS, "i32(i64(a))"), (NUMBERS, "i64(f32(a))"), (NUMBERS, "i32(f64(a) + 0.5)"),
    (ALL, "if(a == b, b, c)"), (NUMBERS, "if(a < b, a, b)"), (NUMBERS, "if(a > b, a, b)"), (NUMBERS, "if(a < 0, -a, a)"),
    (NUMBERS, "min(a, b)"), (NUMBERS, "max(a, b)"), (NUMBERS, "fmin(a, b)"), (NUMBERS, "fmax(a, b)"),
    (NUMBERS, "min(a, b, c)"), (NUMBERS, "clamp(a, b, c)"), (NUMBERS, "abs(a)"), (NUMBERS, "sign(a)"),
    (NUMBERS, "floor(a)"), (NUMBERS, "ceil(a)"), (NUMBERS, "trunc(a)"), (NUMBERS, "rint(a)"), (NUMBERS, "round(a)"),
    (NUMBERS, "frac(a)"), (NUMBERS, "step(a, b)"), (NUMBERS, "div(a, b)"), (NUMBERS, "rem(a, b)"), (NUMBERS, "mod(a, b)"),
    (FLOATS, "round(a, 2)"), (FLOATS, "ldexp(a, 7)"), (FLOATS, "ldexp(a, -1060)"), (FLOATS, "copysign(a, b)"),
    (FLOATS, "nextafter(a, b)"), (FLOATS, "signbit(a)"), (FLOATS, "isnan(a)"), (FLOATS, "isinf(a)"), (FLOATS, "isfinite(a)"),
    (FLOATS, "isclose(a, b)"), (FLOATS, "fma(a, b, c)"), (FLOATS, "a * b + c"), (FLOATS, "a * b - c"), (FLOATS, "lerp(a, b, c)"),
    (FLOATS, "smoothstep(a, b, c)"), (FLOATS, "sqrt(a)"), (FLOATS, "recip(a)"), (FLOATS, "fmod(a, b)"),
    (FLOATS, "a ^ 2"), (FLOATS, "a ^ 3"), (FLOATS, "a ^ -1"), (FLOATS, "a ^ 0.5"), (FLOATS, "a ^ -2"), (FLOATS, "a ^ 17"),
    (FLOATS, "a ^ 64"), (FLOATS, "a ^ 65"), (FLOATS, "a ^ 0"), (FLOATS, "a ^ -0.5"), (FLOATS, "a ^ b"), (FLOATS, "atan2(a, b)"),
    (FLOATS, "hypot(a, b)"), (FLOATS, "log(a, b)"), (FLOATS, "sin(a)"), (FLOATS, "cos(a)"), (FLOATS, "tan(a)"),
    (FLOATS, "asin(a)"), (FLOATS, "acos(a)"), (FLOATS, "atan(a)"), (FLOATS, "sinh(a)"), (FLOATS, "cosh(a)"),
    (FLOATS, "tanh(a)"), (FLOATS, "asinh(a)"), (FLOATS, "acosh(a)"), (FLOATS, "atanh(a)"), (FLOATS, "exp(a)"),
    (FLOATS, "exp2(a)"), (FLOATS, "exp10(a)"), (FLOATS, "expm1(a)"), (FLOATS, "log(a)"), (FLOATS, "log2(a)"),
    (FLOATS, "log10(a)"), (FLOATS, "log1p(a)"), (FLOATS, "cbrt(a)"), (FLOATS, "erf(a)"), (FLOATS, "erfc(a)"),
    (FLOATS, "gamma(a)"), (FLOATS, "lgamma(a)"), (FLOATS, "fact(a)"), (FLOATS, "sinpi(a)"), (FLOATS, "cospi(a)"),
    (FLOATS, "deg2rad(a)"), (FLOATS, "rad2deg(a)"),
];

/// How many lists of random values for each template and type.
const VALUES: usize = 200;

/// Is `name` a word of `text`?
fn uses(text: &str, name: char) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    text.char_indices().any(|(at, c)| {
        c == name && outside(text[..at].chars().next_back()) && outside(text[at + 1..].chars().next())
    })
}

/// `text` with the words `a`, `b` and `c` replaced by literals.
fn substitute(text: &str, values: &[(char, Value)]) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let before = text[..at].chars().next_back();
        let word = !before.is_some_and(char::is_alphanumeric) && !rest[1..].starts_with(char::is_alphanumeric);
        match values.iter().find(|v| v.0 == c) {
            Some((_, value)) if word => out.push_str(&literal(*value)),
            _ => out.push(c),
        }
    }
    out
}

/// A formula of constants is folded; the same formula of variables is executed, on the lowest and the highest level.
/// Constants in one place and variables in the others meet the rules for an operation with one constant.
#[test]
fn folded_is_executed() {
    let folding = support::engine(EngineKind::Interpreter);
    let low = Engine::with_options(support::options(EngineKind::Jit, Level::V1)).unwrap();
    let high = support::engine(EngineKind::Jit);
    let mut random = Random(7);
    let mut compared = 0;
    for &(types, text) in TEMPLATES {
        for &ty in types {
            let names: Vec<char> = ['a', 'b', 'c'].into_iter().filter(|&n| uses(text, n)).collect();
            let params: Vec<String> = names.iter().map(|n| format!("{n}: {ty}")).collect();
            let functions = [&low, &high].map(|engine| compile(engine, &params.join(", "), text));
            let edges = awkward(ty);
            let count = if names.len() == 1 { edges.len() } else { 0 } + VALUES;
            for i in 0..count {
                let mut values: Vec<(char, Value)> = names.iter().map(|&n| (n, random.value(ty))).collect();
                if names.len() == 1 && i < edges.len() {
                    values[0].1 = edges[i];
                }
                let args: Vec<Value> = values.iter().map(|v| v.1).collect();
                let executed = functions.each_ref().map(|f| f.call(&args).unwrap());
                let constant = substitute(text, &values);
                let folded = compile(&folding, "", &constant).call(&[]).unwrap();
                for executed in executed {
                    assert!(folded.same(executed), "`{constant}` folds to {folded:?}; `{text}` gives {executed:?}");
                }
                // One constant, the others variables.
                let at = random.below(names.len());
                let mixed = substitute(text, &values[at..=at]);
                let mut args = args;
                args.remove(at);
                let mut params = params.clone();
                params.remove(at);
                let mixed_value = compile(&folding, &params.join(", "), &mixed).call(&args).unwrap();
                assert!(mixed_value.same(folded), "`{mixed}` of {args:?} gives {mixed_value:?}; `{constant}` {folded:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 40_000, "{compared}");
}

/// Identities of real numbers that floats do not have, each with arguments that tell the two apart.
#[test]
fn float_identities_are_not_used() {
    let inf = f64::INFINITY;
    let nan = f64::NAN;
    let cases: &[(&str, &[f64], f64)] = &[
        ("x + 0", &[-0.0], 0.0), ("0 + x", &[-0.0], 0.0), ("x - 0", &[-0.0], -0.0), ("x + -0.0", &[-0.0], -0.0),
        ("0 - x", &[0.0], 0.0), ("-x", &[0.0], -0.0), ("0 - x", &[-0.0], 0.0), ("x * 0", &[-3.0], -0.0), ("x * 0", &[inf], nan),
        ("x * 0", &[nan], nan), ("x * 1", &[-0.0], -0.0), ("x * -1", &[0.0], -0.0), ("x / x", &[0.0], nan), ("x / x", &[inf], nan),
        ("x / x", &[nan], nan), ("x - x", &[inf], nan), ("x - x", &[nan], nan), ("x - x", &[-5.0], 0.0),
        ("-(x - y)", &[1.0, 1.0], -0.0), ("-(x + y)", &[0.0, -0.0], -0.0), ("-x - y", &[0.0, 0.0], -0.0), ("-x + y", &[0.0, 0.0], 0.0),
        ("y - x", &[0.0, 0.0], 0.0), ("0 * x + 1", &[inf], nan), ("x / 0", &[-1.0], -inf), ("x / -0.0", &[1.0], -inf), ("0 / x", &[0.0], nan),
        ("x / 3", &[5.0], 5.0 / 3.0), ("x / 10", &[3.0], 0.3), ("x * 0.1", &[3.0], 0.30000000000000004),
        ("(x + y) - y", &[1.0, 1e16], 0.0), ("x + (y - y)", &[1.0, 1e16], 1.0), ("(x + y) + z", &[1e16, 1.0, 1.0], 1e16),
        ("x + (y + z)", &[1e16, 1.0, 1.0], 1e16 + 2.0), ("(x * y) / y", &[1e300, 1e300], inf), ("x * y * z", &[1e200, 1e200, 1e-200], inf),
        ("x * y + z", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, -1.0], 0.0),
        ("x * y - z", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, 1.0], 0.0),
        ("z - x * y", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, 1.0], 0.0),
        ("fma(x, y, z)", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, -1.0], -f64::EPSILON * f64::EPSILON),
        ("sqrt(x) * sqrt(x)", &[2.0], 2.0000000000000004), ("sqrt(x * x)", &[1e200], inf), ("sqrt(x) / sqrt(y)", &[2.0, 3.0], 0.8164965809277261),
        ("x ^ 0.5", &[-0.0], 0.0), ("x ^ 0.5", &[-inf], inf), ("sqrt(x)", &[-0.0], -0.0), ("x ^ 0", &[nan], 1.0), ("1 ^ x", &[nan], 1.0),
        ("x ^ 3", &[-2.0], -8.0), ("x ^ -1", &[-0.0], -inf), ("x ^ 2", &[-3.0], 9.0), ("x + x + x", &[0.1], 0.30000000000000004),
        ("x * 3", &[0.1], 0.30000000000000004), ("x * 2 / 2", &[f64::MAX], inf), ("x / 2 * 2", &[5e-324], 0.0),
        ("if(x < y, x, y)", &[nan, 1.0], 1.0), ("if(x < y, x, y)", &[1.0, nan], nan), ("if(x < y, x, y)", &[0.0, -0.0], -0.0),
        ("if(x < y, x, y)", &[-0.0, 0.0], 0.0), ("min(x, y)", &[nan, 1.0], nan), ("min(x, y)", &[1.0, nan], nan), ("min(x, y)", &[0.0, -0.0], -0.0),
        ("min(x, y)", &[-0.0, 0.0], -0.0), ("max(x, y)", &[-0.0, 0.0], 0.0), ("max(x, y)", &[0.0, -0.0], 0.0), ("fmin(x, y)", &[nan, 1.0], 1.0),
        ("fmax(x, y)", &[1.0, nan], 1.0), ("if(x > 0, x, -x)", &[0.0], -0.0), ("if(x >= 0, x, -x)", &[-0.0], -0.0), ("abs(x)", &[-0.0], 0.0),
        ("f64(not (x < y))", &[nan, 1.0], 1.0), ("f64(x >= y)", &[nan, 1.0], 0.0), ("f64(x != x)", &[nan], 1.0), ("f64(x == x)", &[nan], 0.0),
        ("f64(x + 1 == x)", &[inf], 1.0), ("f64(f32(x))", &[0.1], 0.10000000149011612), ("f64(x - y == 0)", &[inf, inf], 0.0),
        ("f64(x == y)", &[0.0, -0.0], 1.0), ("1/x + 1/y", &[0.0, -0.0], nan), ("1/(x + 0.0) - 1/(x - 0.0)", &[-0.0], inf),
        ("0.0 * x + -0.0 * x", &[1.0], 0.0), ("copysign(1, 0.0) + copysign(1, -0.0)", &[], 0.0), ("1/0.0 + 1/-0.0", &[], nan),
    ];
    let engines = engines();
    for (text, args, expected) in cases {
        let names = ["x", "y", "z"];
        // As many inputs as arguments; formulas may leave some out.
        let params: Vec<String> = names[..args.len()].iter().map(|n| format!("{n}: f64")).collect();
        let args: Vec<Value> = args.iter().map(|&v| Value::F64(v)).collect();
        let got = on_all(&engines, &params.join(", "), text, &args);
        assert!(got.same(Value::F64(*expected)), "`{text}` of {args:?} is {got:?}, not {expected:?}");
    }
}

/// The same text with f32, against the arithmetic of this program.
#[test]
fn f32_is_not_widened() {
    let engines = engines();
    let mut random = Random(3);
    for _ in 0..300 {
        let [Value::F32(x), Value::F32(y), Value::F32(z)] = [0; 3].map(|_| random.value(F32)) else { unreachable!() };
        let args = [Value::F32(x), Value::F32(y), Value::F32(z)];
        for (text, expected) in [("x * y + z", x * y + z), ("x + y + z", x + y + z), ("x / y - z", x / y - z), ("x / 3 * 0.1", x / 3.0 * 0.1)] {
            let got = on_all(&engines[..2], "x: f32, y: f32, z: f32", text, &args);
            assert!(got.same(Value::F32(expected)), "`{text}` of {args:?} is {got:?}, not {expected:?}");
        }
    }
}

/// Division and remainder by every small constant, by those next to powers of two and by random ones.
#[test]
fn division_by_constants() {
    let mut random = Random(5);
    let engines: Vec<_> = engines().into_iter().enumerate().filter(|(i, _)| [0, 1, 3].contains(i)).map(|(_, e)| e).collect();
    for bits in [32, 64] {
        let (min, max) = (-1_i64 << (bits - 1), i64::MAX >> (64 - bits));
        let mut divisors: Vec<i64> = (-17..=17).collect();
        divisors.extend([min, min + 1, max, max - 1, 641, 1000, -1000, 1_000_000_007]);
        for shift in [5, 8, 16, 30, bits - 2] {
            let power = 1_i64 << shift;
            divisors.extend([power, power - 1, power + 1, -power]);
        }
        divisors.extend((0..8).map(|_| (random.next() as i64) >> (64 - bits) >> random.below(bits as usize - 2)));
        for d in divisors {
            let mut xs = vec![0, 1, -1, min, min + 1, max, max - 1, d, -d.max(min + 1)];
            for _ in 0..12 {
                let x = (random.next() as i64) >> (64 - bits) >> random.below(bits as usize - 1);
                let multiple = if d == 0 { x } else { x - x.wrapping_rem(d) };
                xs.extend([x, multiple, multiple.wrapping_sub(1), multiple.wrapping_add(1)]);
            }
            let ty = if bits == 32 { I32 } else { I64 };
            let divisor = literal(Value::from_bits(ty, d as u64));
            for (text, f) in [
                ("//", floor_div as fn(i64, i64) -> i64),
                ("%", floor_mod),
                ("div", |x, d| if d == 0 { 0 } else { x.wrapping_div(d) }),
                ("rem", |x, d| if d == 0 { 0 } else { x.wrapping_rem(d) }),
            ] {
                let text = if text.len() == 3 { format!("{text}(x, {divisor})") } else { format!("x {text} {divisor}") };
                for (name, engine) in &engines {
                    let function = compile(engine, &format!("x: {ty}"), &text);
                    for &x in &xs {
                        let arg = Value::from_bits(ty, x as u64);
                        let (got, want) = (function.call(&[arg]).unwrap(), Value::from_bits(ty, f(Value::from_bits(I64, x as u64).wide(ty), d) as u64));
                        assert!(got.same(want), "{name}: `{text}` of {x} is {got:?}, not {want:?}");
                    }
                }
            }
        }
    }
}

/// An int value as `i64`, after it went through `ty`.
trait Wide {
    fn wide(self, ty: Type) -> i64;
}

impl Wide for Value {
    fn wide(self, ty: Type) -> i64 {
        if ty == I32 { i64::from(self.to_bits() as i32) } else { self.to_bits() as i64 }
    }
}

fn floor_div(x: i64, d: i64) -> i64 {
    match d {
        0 => 0,
        _ => x.wrapping_div(d) - i64::from(x.wrapping_rem(d) != 0 && (x < 0) != (d < 0)),
    }
}

fn floor_mod(x: i64, d: i64) -> i64 {
    match d {
        0 => 0,
        _ => {
            let r = x.wrapping_rem(d);
            if r != 0 && (r < 0) != (d < 0) { r + d } else { r }
        }
    }
}

/// Float to int truncates and saturates, NaN is 0; int to f32 rounds once.
#[test]
fn conversions_at_their_edges() {
    let engines = engines();
    let mut random = Random(11);
    let mut floats: Vec<f64> = awkward(F64).into_iter().map(|v| f64::from_bits(v.to_bits())).collect();
    for edge in [2f64.powi(31), 2f64.powi(32), 2f64.powi(63), 2f64.powi(64), 2f64.powi(53)] {
        for near in [edge, edge.next_down(), edge.next_up(), edge - 1.0, edge + 1.0, edge - 0.5, edge + 0.5] {
            floats.extend([near, -near]);
        }
    }
    floats.extend((0..200).map(|_| f64::from_bits(random.next())));
    let mut ints: Vec<i64> = awkward(I64).into_iter().map(|v| v.to_bits() as i64).collect();
    // Halfway between two f32 after rounding to f64, but not before.
    ints.extend([0x20_0000_2000_0001, 0x7fff_ffbf_ffff_ffff, 0x4000_0040_0000_0001, -0x4000_0040_0000_0001, 16_777_217, 16_777_219]);
    ints.extend((0..200).map(|i| random.next() as i64 >> (i % 63)));
    for (name, engine) in &engines {
        let make = |from: &str, to: &str| compile(engine, &format!("x: {from}"), &format!("{to}(x)"));
        let functions = ["i32", "i64", "f32", "bool"].map(|to| make("f64", to));
        let narrow = ["i32", "i64", "f64", "bool"].map(|to| make("f32", to));
        for &x in &floats {
            let wanted = [Value::I32(x as i32), Value::I64(x as i64), Value::F32(x as f32), Value::Bool(x != 0.0)];
            for (f, want) in functions.iter().zip(wanted) {
                let got = f.call(&[Value::F64(x)]).unwrap();
                assert!(got.same(want), "{name}: {:?} of {x:?} is {got:?}, not {want:?}", f.source());
            }
            let x = x as f32;
            let wanted = [Value::I32(x as i32), Value::I64(x as i64), Value::F64(f64::from(x)), Value::Bool(x != 0.0)];
            for (f, want) in narrow.iter().zip(wanted) {
                let got = f.call(&[Value::F32(x)]).unwrap();
                assert!(got.same(want), "{name}: {:?} of {x:?}f32 is {got:?}, not {want:?}", f.source());
            }
        }
        let wide = ["f32", "f64", "i32", "bool"].map(|to| make("i64", to));
        let short = ["f32", "f64", "i64", "bool"].map(|to| make("i32", to));
        for &x in &ints {
            let wanted = [Value::F32(x as f32), Value::F64(x as f64), Value::I32(x as i32), Value::Bool(x != 0)];
            for (f, want) in wide.iter().zip(wanted) {
                let got = f.call(&[Value::I64(x)]).unwrap();
                assert!(got.same(want), "{name}: {:?} of {x} is {got:?}, not {want:?}", f.source());
            }
            let x = x as i32;
            let wanted = [Value::F32(x as f32), Value::F64(f64::from(x)), Value::I64(i64::from(x)), Value::Bool(x != 0)];
            for (f, want) in short.iter().zip(wanted) {
                let got = f.call(&[Value::I32(x)]).unwrap();
                assert!(got.same(want), "{name}: {:?} of {x} is {got:?}, not {want:?}", f.source());
            }
        }
    }
}

/// Numbers are read to the nearest value of their own type, not by way of a wider one.
#[test]
#[allow(clippy::excessive_precision, reason = "the digits are the test")]
fn literals_round_once() {
    for (text, want) in [
        // Just below and above the middle of two f32, nearer to it than an f64 can tell.
        ("1.00000017881393432617187499f32", Value::F32(1.0000001)),
        ("1.00000017881393432617187501f32", Value::F32(1.0000002)),
        ("16777217.0000000001f32", Value::F32(16777218.0)),
        ("9007199254740993.0", Value::F64(9007199254740992.0)),
        ("9007199254740993.00000000000000000001", Value::F64(9007199254740994.0)),
        ("0.1", Value::F64(0.1)),
        ("1e23", Value::F64(1e23)),
        ("2.2250738585072011e-308", Value::F64(2.2250738585072011e-308)),
        ("4.9e-324", Value::F64(5e-324)),
        ("2.4703282292062327208e-324", Value::F64(0.0)),
    ] {
        let got = support::value(text);
        assert!(got.same(want), "`{text}` is {got:?}, not {want:?}");
    }
}

/// Zeros of both signs and all NaNs keep apart in the pool of constants and among shared values.
#[test]
fn constants_are_told_apart_by_their_bits() {
    let engines = engines();
    for (text, want) in [
        ("1 / (x * 0.0) + 1 / (x * -0.0)", f64::NAN),
        ("copysign(2, x * 0.0) + copysign(3, x * -0.0)", -1.0),
        ("(if(x > 0, 0.0, 1.0)) ^ -1 - (if(x > 0, -0.0, 1.0)) ^ -1", f64::INFINITY),
        ("atan2(x * 0.0, -1) - atan2(x * -0.0, -1)", 2.0 * std::f64::consts::PI),
    ] {
        let got = on_all(&engines, "x: f64", text, &[Value::F64(1.0)]);
        assert!(got.same(Value::F64(want)), "`{text}` is {got:?}, not {want:?}");
    }
}

/// Shift counts are taken modulo the width, and two shifts are not one.
#[test]
fn shifts() {
    let engines = engines();
    let mut random = Random(13);
    for (text, f) in [
        ("(x << 20) << 20", (|x| x.wrapping_shl(20).wrapping_shl(20)) as fn(i32) -> i32),
        ("(x >> 20) >> 20", |x| x.wrapping_shr(20).wrapping_shr(20)),
        ("shr(shr(x, 20), 20)", |x| ((x as u32 >> 20) >> 20) as i32),
        ("x << 33", |x| x << 1),
        ("x >> -1", |x| x >> 31),
        ("shr(x, 32)", |x| x),
        ("(x << 5) >> 5", |x| (x << 5) >> 5),
        ("shr(x << 5, 5)", |x| (((x << 5) as u32) >> 5) as i32),
        ("(x >> 5) << 5", |x| (x >> 5) << 5),
    ] {
        for _ in 0..20 {
            let x = random.next() as i32;
            let got = on_all(&engines, "x: i32", text, &[Value::I32(x)]);
            assert!(got.same(Value::I32(f(x))), "`{text}` of {x} is {got:?}, not {}", f(x));
        }
    }
}
